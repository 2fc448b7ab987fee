"""A signal to stop, and a rank whose save takes twenty seconds longer than that of the others (slow_fsync.cpp): all wait for it, the
checkpoint is whole, and the status is 75. mpirun kills all ranks about a second after the first one ended with a status that is not
zero, so none may end before the last has written. And such a save in the middle of training: the log says who is waited for."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

from triga_runner import BUILD, MPIRUN, TRIGA, TrigaTest, environment, mpi_environment, ranks_of, state_hash

SECONDS = 20
SETTINGS = ["--set", "train.max_steps=20000", "--set", "learning_rate_schedule.decay_steps=20000", "--set", "checkpoint.every_steps=0",
            "--set", "eval.every_steps=0", "--set", "parallel.pp=3"]  # each rank writes a part


class SlowSaveTest(TrigaTest):
    def start(self, name, line, slow_rank, make_environment):
        """-> (process, its run's folder, the file that makes the next fsync of a rank slow), when it trains."""
        directory, flag = self.folder / name, self.folder / f"{name}.slow"
        slow = {"LD_PRELOAD": BUILD / "tests" / "faults" / "libslow_fsync.so", "SLOW_FSYNC_RANK": slow_rank, "SLOW_FSYNC_AFTER": flag,
                "SLOW_FSYNC_SECONDS": SECONDS}
        process = subprocess.Popen([str(word) for word in line], cwd=self.folder,
                                   env=make_environment(**slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        metrics = directory / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 20:
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll(), "it ended too early")
            time.sleep(0.02)
        return process, directory, flag

    def stop(self, name, line, slow_rank, make_environment, send):
        """Starts it, makes one rank slow, sends a signal; returns the step at which it stopped."""
        line = [*line, "--run-dir", self.folder / name, *SETTINGS]
        process, directory, flag = self.start(name, line, slow_rank, make_environment)
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

    def test_a_save_in_the_background_that_lasts_is_said_with_who_has_not_written(self):
        # Saves far enough apart that steps tell, before the next save waits for this one, who has written.
        settings = ["--set", "checkpoint.every_steps=200", "--set", "parallel.communication_timeout=6", "--set", "log.every_steps=10"]
        line = [TRIGA, "launch", self.experiment, "-n", 3, "--run-dir", self.folder / "background", *SETTINGS, *settings]
        process, directory, flag = self.start("background", line, 1, environment)
        log = directory / "log" / "rank-0.log"
        flag.touch()
        deadline = time.monotonic() + SECONDS + 60
        said, text = [], ""
        while not said or f"step {said[0][0]} is saved, " not in text:
            self.assertLess(time.monotonic(), deadline, text)
            self.assertIsNone(process.poll(), "it ended")
            time.sleep(0.1)
            text = log.read_text()
            said = re.findall(r"the checkpoint of step (\d+) is still not there after ([\d.]+) s: rank 1 has not written its part", text)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, out + err)
        self.assertGreaterEqual(len(said), 2, text)  # after 6 and 12 of its 20 seconds
        for (_, age), least in zip(said, (6, 12)):
            self.assertGreaterEqual(float(age), least)

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
