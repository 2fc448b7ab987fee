"""A signal to stop, and a rank whose save takes twenty seconds longer than that of the others (slow_fsync.cpp): all wait for it, the
checkpoint is whole, and the status is 75. mpirun kills all ranks about a second after the first one ended with a status that is not
zero, so none may end before the last has written."""

import json
import os
import signal
import subprocess
import time
import unittest

from triga_runner import BUILD, MPIRUN, TRIGA, TrigaTest, environment, mpi_environment, ranks_of, state_hash

SECONDS = 20
SETTINGS = ["--set", "train.max_steps=20000", "--set", "learning_rate_schedule.decay_steps=20000", "--set", "checkpoint.every_steps=0",
            "--set", "eval.every_steps=0", "--set", "parallel.pp=3"]  # each rank writes a part


class SlowSaveTest(TrigaTest):
    def stop(self, name, line, slow_rank, make_environment, send):
        """Starts it, makes one rank slow, sends a signal; returns the step at which it stopped."""
        directory, flag = self.folder / name, self.folder / f"{name}.slow"
        slow = {"LD_PRELOAD": BUILD / "tests" / "faults" / "libslow_fsync.so", "SLOW_FSYNC_RANK": slow_rank, "SLOW_FSYNC_AFTER": flag,
                "SLOW_FSYNC_SECONDS": SECONDS}
        process = subprocess.Popen([str(word) for word in [*line, "--run-dir", directory, *SETTINGS]], cwd=self.folder,
                                   env=make_environment(**slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        metrics = directory / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 20:
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll(), "it ended too early")
            time.sleep(0.02)
        flag.touch()
        started = time.monotonic()
        send(process, directory)
        out, err = process.communicate(timeout=SECONDS + 60)
        seconds = time.monotonic() - started
        self.assertGreaterEqual(seconds, SECONDS, out + err)  # it was slow indeed
        status = json.loads((directory / "status.json").read_text())
        self.assertEqual((status["state"], status["exit_status"]), ("stopped", 75), out + err)
        self.assertNotIn("died", out + err)
        self.assertEqual(process.returncode, 75, out + err)
        latest = (directory / "checkpoints" / "latest").resolve()
        self.assertEqual(latest.name, f"step-{status['step']:08d}")
        return directory, status["step"]

    def check(self, directory, step):
        """What was saved are the bits of a run that ended there of itself."""
        whole = self.launch(3, "whole-" + directory.name, *SETTINGS, "--set", f"train.max_steps={step}")
        self.assertEqual(state_hash(directory), state_hash(whole.directory))

    def test_triga_launch_waits_for_the_slowest_rank(self):
        line = [TRIGA, "launch", self.experiment, "-n", 3]
        self.check(*self.stop("launch", line, 1, environment, lambda process, _: process.send_signal(signal.SIGTERM)))

    def test_mpirun_and_a_signal_to_one_rank(self):
        line = [*MPIRUN, "-n", 3, TRIGA, "train", self.experiment]

        def send(_, directory):
            os.kill(ranks_of(directory)[1], signal.SIGUSR2)

        self.check(*self.stop("mpirun", line, 0, mpi_environment, send))


if __name__ == "__main__":
    unittest.main()
