"""Runs over several hosts (several_hosts.py): the same bits as on one, a link that is cut, a host that dies and is replaced, a
host that is slow."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import unittest

from several_hosts import SeveralHosts
from triga_runner import MPIRUN, TRIGA, TrigaTest, environment, make_text, mpi_environment, state_hash

# Slow enough steps that something can happen in the middle of a run.
LONG = ["--set", "train.max_steps=4000", "--set", "checkpoint.every_steps=10", "--set", "log.every_steps=5",
        "--set", "parallel.communication_timeout=8"]


def is_rank(pid):
    try:
        return b"OMPI_COMM_WORLD_RANK=" in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


@contextlib.contextmanager
def made_slow(pid):
    """The process runs for 20 ms of every 80, so that what it does takes four times as long."""
    process, is_over = os.pidfd_open(pid), threading.Event()

    def stop_and_go():
        with contextlib.suppress(ProcessLookupError):  # it has ended
            while not is_over.is_set():
                signal.pidfd_send_signal(process, signal.SIGSTOP)
                is_over.wait(0.06)
                signal.pidfd_send_signal(process, signal.SIGCONT)
                is_over.wait(0.02)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        os.close(process)


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

    def wait_until(self, process, is_so, what, timeout):
        deadline = time.monotonic() + timeout
        while not is_so():
            if process.poll() is not None:
                out, err = process.communicate(timeout=60)
                self.fail(f"the run ended before {what}\n{out}\n{err}")
            if time.monotonic() > deadline:
                self.fail(f"{what}: not within {timeout} s; the logs are in {self.folder}")
            time.sleep(0.1)

    def wait_for_step(self, process, directory, step, timeout=90):
        path = self.folder / directory / "metrics.jsonl"

        def is_reached():
            lines = path.read_text().splitlines() if path.exists() else []
            return any(json.loads(line)["step"] >= step for line in lines if line.endswith("}"))

        self.wait_until(process, is_reached, f"step {step}", timeout)

    def stragglers(self, directory):
        """What the log says of ranks that are slow."""
        lines = (self.folder / directory / "log" / "rank-0.log").read_text().splitlines()
        return [line.split(" W [train] ")[1] for line in lines if "slower than the others" in line and line.endswith(")")]

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

    def test_a_host_whose_only_rank_is_killed_each_time_is_left_out(self):
        steps = ["--set", "train.max_steps=600", "--set", "checkpoint.every_steps=10", "--set", "parallel.communication_timeout=8"]
        expected = state_hash(self.launch(2, "one", *steps).directory)
        with SeveralHosts(["a", "b", "c"]) as hosts:
            # On one core each rank has one thread, as two ranks have on one host.
            line = ["taskset", "-c", "0", *self.launch_line(hosts, "run", "-n", "2", "-N", "2", *steps, "--set", "launch.max_restarts=4",
                                                            on="a,b,c")]
            process = hosts.start("a", line, env=environment())
            for step in (20, 120):
                self.wait_for_step(process, "run", step)
                [rank] = [pid for pid in hosts.programs("b", "train") if is_rank(pid)]
                # Stopped first, until the other rank waits: Open MPI ends one that sends to a rank that is gone, and mpirun may hear of
                # that end first.
                os.kill(rank, signal.SIGSTOP)
                time.sleep(0.5)
                os.kill(rank, signal.SIGKILL)
            text, _ = self.end(process, 240)
            self.assertEqual(process.returncode, 0, text)
            self.assertIn("host b is left out: the run ended on it 2 times", text)
            self.assertNotIn("host a is left out", text)
            self.assertIn("2 ranks on a, c", text)
            self.assertNotIn("(3 of 4; launch.max_restarts)", text)
            self.assertEqual(state_hash(self.folder / "run"), expected)

    def test_a_host_that_cannot_be_reached_is_named(self):
        with SeveralHosts(["a", "b"]) as hosts:
            for extra in ([], ["--set", "launch.max_restarts=3"]):
                done = hosts.run("a", self.launch_line(hosts, "run", "-n", "2", *extra, on="a,nobody"), env=environment())
                text = done.stdout + done.stderr
                self.assertEqual(done.returncode, 6, text)
                self.assertIn("the run did not begin, since mpirun can start nothing on nobody; the reason is above\n"
                              "  Hosts must answer `ssh HOST true` without a question", text)
                self.assertFalse((self.folder / "run").exists())

    def test_a_rank_that_is_slow_is_named_and_no_other(self):
        # Packed, and long against the last batch of an epoch, which is small: all ranks have as much to compute, and it takes long against
        # what is sent, written and logged.
        make_text(self.folder / "text.txt", num_documents=1200)
        settings = {"train.max_steps": 1000000, "train.global_batch.samples": 12, "train.microbatch_size": 4, "data.train.pack": "true",
                    "model.config.hidden_size": 64, "model.config.context_length": 128, "checkpoint.every_steps": 0, "eval.every_steps": 0,
                    "log.every_steps": 20, "parallel.communication_timeout": 30}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        with SeveralHosts(["a", "b", "c"]) as hosts:
            # On one core each rank has one thread. That they share it slows all down alike; rank 1 has a quarter of it at most.
            line = ["taskset", "-c", "0", *self.launch_line(hosts, "run", "-n", "3", *words, on="a,b,c")]
            process = hosts.start("a", line, env=environment())
            self.wait_for_step(process, "run", 20)
            [rank_1] = [pid for pid in hosts.programs("b", "train") if is_rank(pid)]
            started = time.monotonic()
            with made_slow(rank_1):
                # Three windows of a minute, the first of which may have begun too early to count.
                self.wait_until(process, lambda: self.stragglers("run"), "a line on rank 1", 270)
            seconds = time.monotonic() - started
            [launcher] = [pid for pid in hosts.programs("a", "launch") if os.readlink(f"/proc/{pid}/exe") == str(TRIGA.resolve())]
            os.kill(launcher, signal.SIGTERM)
            text, _ = self.end(process, 60)
            self.assertEqual(process.returncode, 75, text)
            for name in hosts.names:
                hosts.wait_for_end(name, "train", timeout=10)
        [message] = self.stragglers("run")
        self.assertRegex(message, r"^rank 1 on host b is slower than the others: its own work takes \S+ s a step, theirs \S+ s \(median\); "
                                  r"most of the difference is in forward and backward \(\S+ s against \S+ s\)$")
        self.assertIn(f"warning: {message}\n", text)
        status = json.loads((self.folder / "run" / "status.json").read_text())
        self.assertEqual((status["state"], status["exit_status"]), ("stopped", 75))
        latest = (self.folder / "run" / "checkpoints" / "latest").resolve()
        self.assertEqual(latest.name, f"step-{status['step']:08d}")
        print(f"(after {seconds:.0f} s: {message})", end=" ", flush=True)


if __name__ == "__main__":
    unittest.main()
