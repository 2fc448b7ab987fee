#!/usr/bin/env python3
"""Plants one violation of each rule into a small tree and checks that it, and only it, is found."""

import pathlib
import shutil
import tempfile
import unittest

import check_format
import check_includes
import check_lengths
import check_scaffold
import sources

CLEAN = {
    "framework/include/triga/error.h": "#pragma once\n#include <string>\n",
    "framework/include/triga/layer.h": '#pragma once\n#include <ATen/core/Tensor.h>\n\n#include "triga/error.h"\n',
    "framework/base/files.h": '#pragma once\n#include "triga/error.h"\n',
    "framework/config/parse.cpp": '#include <yaml-cpp/yaml.h>\n\n#include "base/files.h"\n',
    "framework/comm/communicator.h": '#pragma once\n#include "base/files.h"\n',
    "framework/comm/mpi/mpi.cpp": '#include <mpi.h>\n\n#include "comm/communicator.h"\n',
    "framework/data/loader.h": "#pragma once\n// As in the rnn plugin; getenv is not used.\n",
    "framework/trainer/trainer.cpp": '#include "comm/communicator.h"\n#include "data/loader.h"\n',
    "plugins/common/bpe.h": '#pragma once\n#include "triga/layer.h"\n',
    "plugins/rnn/plugin.cpp": '#include <torch/torch.h>\n\n#include "common/bpe.h"\n#include "triga/layer.h"\n',
    "plugins/diffusion/plugin.cpp": '#include "triga/layer.h"\n',
    "plugins/diffusion/unet.h": "#pragma once\n",
    "launchers/main.cpp": '#include <cstdlib>\n\n#include "data/loader.h"\nconst char* home = std::getenv("HOME");\n',
    "tests/unit/a_test.cpp": '#include "data/loader.h"\n',
    "tests/support/fake.h": "#pragma once\n",
}

# (file, its whole text, the rule in brackets, words of the message)
VIOLATIONS = [
    ("framework/base/up.h", '#pragma once\n#include "config/x.h"\n', "arrow", "upwards"),
    ("framework/comm/side.cpp", '#include "data/loader.h"\n', "arrow", "a neighbour"),
    ("framework/include/triga/bad.h", '#pragma once\n#include "base/files.h"\n', "arrow", "public header"),
    ("framework/include/triga/bad.h", "#pragma once\n#include <nlohmann/json.hpp>\n", "only-in", "nlohmann"),
    ("framework/include/triga/bad.h", "#pragma once\n#include <torch/torch.h>\n", "only-in", "plugins and tests"),
    ("framework/base/bad.cpp", '#include "torch/torch.h"\n', "only-in", "plugins and tests"),
    ("framework/base/bad.cpp", '#include "rnn/rnn.h"\n', "arrow", "no file of ours"),
    ("framework/base/bad.cpp", '#include "../../plugins/diffusion/unet.h"\n', "arrow", "does not know any plugin"),
    ("framework/base/bad.cpp", "#  include <mpi.h>\n", "only-in", "framework/comm/mpi"),
    ("framework/comm/mpi/bad.h", "#pragma once\n#include <mpi.h>\n", "only-in", "sources of"),
    ("framework/comm/mpi/bad.cpp", "#include <nccl.h>\n", "only-in", "framework/cuda"),
    ("framework/config/bad.h", "#pragma once\n#include <yaml-cpp/yaml.h>\n", "only-in", "sources of framework/config"),
    ("framework/trainer/bad.cpp", '#include "comm/mpi/inner.h"\n', "arrow", "opened at run time"),
    ("framework/trainer/bad.cpp", '#include "launchers/options.h"\n', "arrow", "highest level"),
    ("framework/trainer/bad.cpp", '#include "tests/support/fake.h"\n', "arrow", "outside tests/"),
    ("framework/gpu/bad.cpp", '#include "base/files.h"\n', "arrow", "has no level"),
    ("framework/data/bad.cpp", "auto kind = \"rnn\";\n", "plugin-name", "'rnn'"),
    ("framework/data/bad.cpp", '/* */ auto v = std::getenv("A");\n', "environment", "launchers/ only"),
    ("plugins/rnn/bad.cpp", '#include "base/files.h"\n', "arrow", "own folder"),
    ("plugins/rnn/bad.cpp", '#include "diffusion/unet.h"\n', "arrow", "own folder"),
    ("plugins/rnn/bad.cpp", 'auto v = getenv("A");\n', "environment", "launchers/ only"),
    ("launchers/bad.cpp", '#include "cuda/graph.h"\n', "arrow", "only through the interfaces"),
    ("framework/base/bad.h", "// #pragma once\n", "once", "#pragma once"),
]

# Files that some violations name; each is itself clean.
TARGETS = {
    "framework/config/x.h": "#pragma once\n",
    "framework/cuda/graph.h": "#pragma once\n",
    "framework/comm/mpi/inner.h": "#pragma once\n",
    "launchers/options.h": "#pragma once\n",
}


class PlantedTree(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in {**CLEAN, **TARGETS}.items():
            self.plant(path, text)

    def plant(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def test_a_clean_tree_has_no_problems(self):
        self.assertEqual(check_includes.problems(self.root), [])
        self.assertEqual(check_lengths.problems(self.root, {}), [])

    def test_every_planted_include_is_found(self):
        for path, text, rule, words in VIOLATIONS:
            with self.subTest(path=path, text=text):
                self.plant(path, text)
                found = check_includes.problems(self.root)
                (self.root / path).unlink()
                self.assertEqual(len(found), 1, found)
                self.assertRegex(found[0], rf"^{path}:\d+: \[{rule}\] ")
                self.assertIn(words, found[0])

    def test_a_problem_names_its_line(self):
        self.plant("framework/base/bad.cpp", '/* two\nlines */\n#include "triga/error.h"\n#include <mpi.h>\n')
        self.assertIn("framework/base/bad.cpp:4: ", check_includes.problems(self.root)[0])

    def test_long_files_are_found(self):
        self.plant("framework/base/long.h", "#pragma once\n" + "int x;\n" * 250)
        self.plant("framework/base/long.cpp", "int x;\n" * 501)
        found = check_lengths.problems(self.root, {})
        self.assertEqual([line.split(":")[0] for line in found], ["framework/base/long.cpp", "framework/base/long.h"])

    def test_exceptions_raise_a_limit_and_must_be_needed(self):
        self.plant("framework/base/long.h", "#pragma once\n" + "int x;\n" * 250)
        self.assertEqual(check_lengths.problems(self.root, {"framework/base/long.h": 300}), [])
        self.assertIn("no exception any more", check_lengths.problems(self.root, {"framework/base/files.h": 300})[0])
        self.assertIn("does not exist", check_lengths.problems(self.root, {"framework/gone.h": 300})[-1])

    def test_a_page_that_differs_from_the_scaffold_is_found(self):
        block = "<!-- scaffold: a.cpp -->\n```cpp\nint a;\n```\n"
        self.plant("docs/write_a_plugin.md", "A page.\n\n" + block)
        self.plant("launchers/scaffold/a.cpp", "int a;\n")
        self.assertEqual(list(check_scaffold.problems(self.root)), [])
        self.plant("launchers/scaffold/a.cpp", "int b;\n")
        self.assertEqual(list(check_scaffold.problems(self.root)),
                         ["docs/write_a_plugin.md:3: [scaffold] is not launchers/scaffold/a.cpp as it is"])
        self.plant("launchers/scaffold/b.h", "")
        self.assertIn("launchers/scaffold/b.h:1: [scaffold] is not shown", list(check_scaffold.problems(self.root))[1])
        (self.root / "launchers/scaffold/b.h").unlink()
        self.plant("launchers/scaffold/a.cpp", "int a;\n")
        self.plant("launchers/scaffold/README.md", "Type:\n\n    make\n")
        self.assertEqual(list(check_scaffold.problems(self.root)), ["docs/write_a_plugin.md:1: [scaffold] does not say: make"])
        self.plant("docs/write_a_plugin.md", "A page.\n\n    make\n\n" + block)
        self.assertEqual(list(check_scaffold.problems(self.root)), [])
        self.plant("launchers/scaffold_parts/metric/README.md", "Type:\n\n    make all\n")
        self.assertIn("launchers/scaffold_parts/metric/README.md:1:", list(check_scaffold.problems(self.root))[0])
        (self.root / "launchers/scaffold/a.cpp").unlink()
        self.assertIn("there is no launchers/scaffold/a.cpp", list(check_scaffold.problems(self.root))[0])

    def test_an_exception_without_reason_is_refused(self):
        self.plant("list.txt", "framework/base/long.h 300\n")
        self.assertRaises(SystemExit, check_lengths.read_exceptions, self.root / "list.txt")

    def test_wrong_layout_is_found(self):
        self.plant(".clang-format", "BasedOnStyle: Google\n")
        self.assertEqual(check_format.problems(self.root), [])
        self.plant("framework/base/bad.cpp", "int a;\nint   b;\n")
        found = check_format.problems(self.root)
        self.assertEqual(len(found), 1)
        self.assertIn("framework/base/bad.cpp:2: [format]", found[0])

    def test_comments_and_strings_are_told_apart(self):
        text = 'a /* "x */ "// y" // z\nR"(// raw)" 1\'000'
        self.assertEqual(sources.code_of(text).split(), ["a", '"//', 'y"', 'R"(//', 'raw)"', "1'000"])
        self.assertNotIn("raw", sources.code_of(text, keep_strings=False))


if __name__ == "__main__":
    unittest.main()
