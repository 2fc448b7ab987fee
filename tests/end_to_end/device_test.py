"""Devices: what is said where there is no GPU. (What a GPU computes: tests/gpu.)"""

import unittest

from triga_runner import TrigaTest, environment


class DeviceTest(TrigaTest):
    def test_a_gpu_that_is_not_there_is_an_error_with_its_place(self):
        self.experiment.write_text(self.experiment.read_text().replace("device: cpu", "device: cuda"))
        line = self.experiment.read_text().splitlines().index("  device: cuda") + 1
        done = self.command("train", self.experiment, env=environment(CUDA_VISIBLE_DEVICES=""))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(f"tiny.yaml:{line}: train.device: cuda: ", done.stderr)

    def test_without_a_gpu_auto_is_the_cpu(self):
        run = self.launch(1, "run", "--set", "train.device=auto", "--set", "train.max_steps=1",
                          env=environment(CUDA_VISIBLE_DEVICES=""))
        self.assertIn("on CPU", (run.directory / "log" / "rank-0.log").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
