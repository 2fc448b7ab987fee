"""A rank that the kernel ends because its control group has no memory left is named as such (needs root, to make a group)."""

import os
import pathlib
import subprocess
import unittest

from triga_runner import BUILD, TRIGA, TrigaTest, environment

from troubled_test import EXPERIMENT, PLUGINS

LIMIT = 1200 << 20


class MemoryGroupTest(TrigaTest):
    def setUp(self):
        super().setUp()
        self.experiment.write_text(EXPERIMENT)
        own = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
        version1 = [line.split(":")[2] for line in own if "memory" in line.split(":")[1].split(",")]
        if version1:
            parent = pathlib.Path("/sys/fs/cgroup/memory" + version1[0])
            limit = "memory.limit_in_bytes"
        else:
            parent = pathlib.Path("/sys/fs/cgroup" + own[-1].split(":")[2])
            limit = "memory.max"
        self.group = parent / f"triga-test-{os.getpid()}"
        self.group.mkdir()
        self.addCleanup(self.group.rmdir)
        (self.group / limit).write_text(str(LIMIT))

    def test_a_rank_ended_by_the_out_of_memory_killer_is_named(self):
        directory = self.folder / "run"
        join = f"echo $$ > {self.group}/cgroup.procs && exec {TRIGA} launch {self.experiment} -n 2 --run-dir {directory} --set data.train.trouble=memory"
        done = subprocess.run(["bash", "-c", join], cwd=self.folder, env=environment(TRIGA_PLUGIN_PATH=PLUGINS), capture_output=True, text=True,
                              timeout=120)
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, 6, text)
        failure = (directory / "failure.txt").read_text()
        print(failure)
        self.assertRegex(
            failure.splitlines()[1], r"^rank [01] on host \S+ ran out of memory: the out-of-memory killer of control group "
            r"\S*/triga-test-\d+ \(limit 1200\.0 MB\) ended its process \d+ at step \d+")
        self.assertTrue(done.stderr.rstrip().endswith(failure.rstrip()), done.stderr[-2000:])


if __name__ == "__main__":
    unittest.main(verbosity=2)
