"""The folder of a test of the command is removed when the test passed, and kept to be looked at when it failed."""

import shutil
import unittest

from triga_runner import TrigaTest


class Planted(TrigaTest):
    folders = {}

    def setUp(self):
        super().setUp()
        Planted.folders[self._testMethodName] = self.folder

    def passes(self):
        pass

    def fails(self):
        self.fail("planted")

    def fails_in_a_part(self):
        for part in (1, 2):
            with self.subTest(part=part):
                self.assertEqual(part, 1)

    def breaks(self):
        raise OSError("planted")


class RunnerTest(unittest.TestCase):
    def test_only_the_folder_of_a_passed_test_is_removed(self):
        result = unittest.TestResult()
        for name in ("fails", "passes", "fails_in_a_part", "breaks"):
            Planted(name).run(result)
            self.addCleanup(shutil.rmtree, Planted.folders[name], ignore_errors=True)
        self.assertEqual(result.testsRun, 4)
        self.assertEqual({name: folder.exists() for name, folder in Planted.folders.items()},
                         {"fails": True, "passes": False, "fails_in_a_part": True, "breaks": True})


def load_tests(loader, _tests, _pattern):
    return loader.loadTestsFromTestCase(RunnerTest)  # not those that are to fail


if __name__ == "__main__":
    unittest.main(verbosity=2)
