"""Runs over several hosts (several_hosts.py): the same bits as on one, a link that is cut, a host that dies and is replaced."""

import json
import os
import pathlib
import shutil
import signal
import tempfile
import time
import unittest

from several_hosts import SeveralHosts
from triga_runner import MPIRUN, TRIGA, TrigaTest, environment, mpi_environment, state_hash

# Slow enough steps that something can happen in the middle of a run.
LONG = ["--set", "train.max_steps=4000", "--set", "checkpoint.every_steps=10", "--set", "log.every_steps=5",
        "--set", "parallel.communication_timeout=8"]


def is_rank(pid):
    try:
        return b"OMPI_COMM_WORLD_RANK=" in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


class HostsTest(TrigaTest):
    def setUp(self):
        super().setUp()
        # Where every host sees it: each has a /tmp of its own.
        shared = pathlib.Path(tempfile.mkdtemp(prefix="triga-test-", dir="/var/tmp"))
        shutil.copytree(self.folder, shared, dirs_exist_ok=True)
        shutil.rmtree(self.folder)
        self.folder, self.experiment = shared, shared / "tiny.yaml"

    def launch_line(self, hosts, directory, *arguments, on="a,b"):
        return [TRIGA, "launch", self.experiment, "--hosts", on, "--run-dir", self.folder / directory, *hosts.launch_options(), *arguments]

    def wait_for_step(self, process, directory, step, timeout=90):
        path = self.folder / directory / "metrics.jsonl"
        deadline = time.monotonic() + timeout
        while True:
            lines = path.read_text().splitlines() if path.exists() else []
            if any(json.loads(line)["step"] >= step for line in lines if line.endswith("}")):
                return
            if process.poll() is not None or time.monotonic() > deadline:
                out, err = process.communicate(timeout=60)
                self.fail(f"step {step} was not reached\n{out}\n{err}")
            time.sleep(0.1)

    def most_ranks(self, hosts, process):
        """How many a host at a time, until the command ends or there are four."""
        most = dict.fromkeys(hosts.names, 0)
        while process.poll() is None and sum(most.values()) < 4:
            for name in most:
                most[name] = max(most[name], sum(1 for pid in hosts.programs(name, "train") if is_rank(pid)))
        return most

    def end(self, process, timeout):
        """Its last words; the test fails when it does not end."""
        started = time.monotonic()
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
        return out + err, time.monotonic() - started

    def test_the_same_bits_as_on_one_host_however_it_is_started(self):
        layouts = {"dp": ["--set", "parallel.dp=4"], "zero": ["--set", "parallel.zero=2"],
                   "grid": ["--set", "parallel.dp=2", "--set", "parallel.pp=2"]}
        with SeveralHosts(["a", "b"]) as hosts:
            for directory, arguments in layouts.items():
                with self.subTest(directory):
                    process = hosts.start("a", self.launch_line(hosts, directory, "-n", "4", *arguments), env=environment())
                    self.assertEqual(self.most_ranks(hosts, process), {"a": 2, "b": 2})
                    text, _ = self.end(process, 120)
                    self.assertEqual(process.returncode, 0, text)
                    expected = state_hash(self.launch(4, f"{directory}-on-one", *arguments).directory)
                    self.assertEqual(state_hash(self.folder / directory), expected)
            for on, ranks in (("a:2,b:2", {"a": 2, "b": 2}), ("a:3,b:1", {"a": 3, "b": 1})):
                with self.subTest(on):
                    directory = on.replace(":", "")
                    # On one core each rank has one thread, however many share its host: LibTorch's bits depend on that.
                    line = ["taskset", "-c", "0", *self.launch_line(hosts, directory, on=on)]
                    process = hosts.start("a", line, env=environment())
                    self.assertEqual(self.most_ranks(hosts, process), ranks)
                    text, _ = self.end(process, 120)
                    self.assertEqual(process.returncode, 0, text)
                    self.assertEqual(state_hash(self.folder / directory), state_hash(self.folder / "dp"))
            line = [*MPIRUN, "-n", "4", "--host", "a:2,b:2", *hosts.mpi_options(), TRIGA, "train", self.experiment, "--run-dir",
                    self.folder / "by-hand"]
            done = hosts.run("a", line, env=mpi_environment())
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(state_hash(self.folder / "by-hand"), state_hash(self.folder / "dp"))

    def test_a_folder_that_one_host_alone_sees_is_refused(self):
        with SeveralHosts(["a", "b"]) as hosts:
            line = self.launch_line(hosts, "/tmp/run", "-n", "4", "--set", "parallel.communication_timeout=8")
            done = hosts.run("a", line, env=environment())
            text = done.stdout + done.stderr
            self.assertEqual(done.returncode, 2, text)
            self.assertIn("not every host sees the run's folder, in which rank 0 on a has begun the run:\n  b finds at /tmp/run: there is no "
                          "such folder", text)

    def test_a_slow_link_shows_at_the_start(self):
        with SeveralHosts(["a", "b"]) as hosts:
            for directory, rate in (("fast", None), ("slow", "20mbit")):
                if rate:
                    hosts.slow_down("a", rate)
                    hosts.slow_down("b", rate)
                done = hosts.run("a", self.launch_line(hosts, directory, "-n", "4", "--set", "train.max_steps=2"), env=environment())
                text = done.stdout + done.stderr
                self.assertEqual(done.returncode, 0, text)
                self.assertRegex(text, r"all-reduce: [\d.]+ [GM]B/s inside hosts \(slowest: [ab]\), [\d.]+ [GM]B/s between 2 hosts")
                self.assertEqual("where the slowest networks of clusters do 125 MB/s" in text, rate is not None, text)

    def test_a_link_that_is_cut_ends_both_sides_in_time(self):
        with SeveralHosts(["a", "b"]) as hosts:
            process = hosts.start("a", self.launch_line(hosts, "run", "-n", "4", *LONG), env=environment())
            self.wait_for_step(process, "run", 20)
            hosts.cut("b")
            # The deadline of an operation, what launch waits for mpirun, which waits for host b, and what ranks take to end.
            text, seconds = self.end(process, 8 + 60 + 10 + 30)
            self.assertEqual(process.returncode, 6, text)
            self.assertRegex(text, r"was not done at step \d+ within 8 s; missing: .*rank [23] on host b")
            self.assertIn("To go on: triga launch", text)
            status = json.loads((self.folder / "run" / "status.json").read_text())
            self.assertEqual((status["state"], status["exit_status"]), ("failed", 6))
            hosts.wait_for_end("b", "train", timeout=60)
            hosts.wait_for_end("a", "train", timeout=10)
            print(f"(ended {seconds:.0f} s after the cut)", end=" ", flush=True)

    def test_a_host_that_dies_is_replaced_by_a_spare_one(self):
        steps = ["--set", "train.max_steps=300", "--set", "checkpoint.every_steps=10", "--set", "parallel.communication_timeout=8"]
        expected = state_hash(self.launch(4, "one", *steps).directory)
        with SeveralHosts(["a", "b", "c"]) as hosts:
            process = hosts.start("a", self.launch_line(hosts, "run", "-n", "4", "-N", "2", *steps, "--set", "launch.max_restarts=3",
                                                        on="a,b,c"), env=environment())
            self.wait_for_step(process, "run", 20)
            hosts.crash("b")
            text, _ = self.end(process, 240)
            self.assertEqual(process.returncode, 0, text)
            self.assertIn("host b is left out: it does not answer", text)
            self.assertIn("4 ranks on a, c", text)
            self.assertEqual(state_hash(self.folder / "run"), expected)

    def test_a_host_on_which_ranks_die_twice_is_left_out(self):
        steps = ["--set", "train.max_steps=600", "--set", "checkpoint.every_steps=10", "--set", "parallel.communication_timeout=8"]
        expected = state_hash(self.launch(4, "one", *steps).directory)
        (self.folder / "hosts").write_text("a slots=2\nb slots=2\nc slots=2\n")
        with SeveralHosts(["a", "b", "c"]) as hosts:
            line = [TRIGA, "launch", self.experiment, "--hostfile", self.folder / "hosts", "-n", "4", "--run-dir", self.folder / "run",
                    *hosts.launch_options(), *steps, "--set", "launch.max_restarts=3"]
            process = hosts.start("a", line, env=environment())
            for step in (20, 120):
                self.wait_for_step(process, "run", step)
                os.kill(next(pid for pid in hosts.programs("b", "train") if is_rank(pid)), signal.SIGKILL)
            text, _ = self.end(process, 240)
            self.assertEqual(process.returncode, 0, text)
            self.assertIn("host b is left out: the run ended on it 2 times", text)
            self.assertIn("4 ranks on a, c", text)
            self.assertEqual(state_hash(self.folder / "run"), expected)


if __name__ == "__main__":
    unittest.main()
