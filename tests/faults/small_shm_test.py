"""Buffers of ranks of one host where /dev/shm has 64 MB, as in many containers: in a mount namespace of its own (needs root).

Each rank shares 150 MB with the other: more than twice of what fits there. Nothing may depend on it, and nothing be left in it.
"""

import re
import subprocess
import unittest

from triga_runner import TRIGA, TrigaTest, environment


class SmallShmTest(TrigaTest):
    def test_ranks_share_more_than_fits_into_dev_shm(self):
        train = (f"{TRIGA} launch {self.experiment} -n 2 --run-dir {self.folder}/run --set train.max_steps=3 --set eval.every_steps=0 "
                 "--set model.config.num_layers=6 --set model.config.hidden_size=512 --set model.config.num_heads=8 "
                 "--set parallel.zero=0")
        script = f"mount -t tmpfs -o size=64m tmpfs /dev/shm && df --output=size -m /dev/shm && {train} && ls -A /dev/shm"
        done = subprocess.run(["unshare", "--mount", "bash", "-ec", script], cwd=self.folder, env=environment(), capture_output=True,
                              text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("64", done.stdout.splitlines()[1], "the mount has another size")
        shared = re.search(r"values ([\d.]+), gradients ([\d.]+)", done.stdout + done.stderr)
        self.assertGreater(float(shared[1]) + float(shared[2]), 128, "the test shares too little to tell")
        self.assertNotIn("goes over messages", done.stdout + done.stderr)
        left = done.stdout.rsplit("checkpoints", 1)[-1].splitlines()[1:]
        self.assertEqual(left, [], "something is left in /dev/shm")


if __name__ == "__main__":
    unittest.main(verbosity=2)
