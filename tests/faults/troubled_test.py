"""One rank hangs, fails or runs out of memory in the middle of training: the run names it, says what happened, and every rank ends within
the deadline. And what `triga status` says of a run meanwhile. The trouble comes from a dataset or a model (troubled.cpp)."""

import json
import os
import resource
import signal
import subprocess
import time
import unittest

from triga_runner import BUILD, TRIGA, TrigaTest, environment, ranks_of

PLUGINS = BUILD / "tests" / "faults" / "plugins"
EXPERIMENT = """\
name: troubled
model:
  plugin: transformer
  kind: gpt2
  config: {num_layers: 2, num_heads: 2, hidden_size: 32, context_length: 32, dropout: 0.1}
data:
  train: {plugin: troubled, kind: troubled, trouble: none, sample: 40}
  tokenizer: {kind: bytes}
train: {max_steps: 1000000, global_batch: {samples: 4}, microbatch_size: 2, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 1.0e-3}
learning_rate_schedule: {kind: constant}
checkpoint: {every_steps: 0}
log: {every_steps: 1}
"""
DEADLINE = 4
END = 10  # seconds from the cause to the end of launch: 5 for a report on a slow disk, and mpirun lingers a second or two; 3 for busy cores


class TroubledTest(TrigaTest):
    def setUp(self):
        super().setUp()
        self.experiment.write_text(EXPERIMENT)
        self.environment = environment(TRIGA_PLUGIN_PATH=PLUGINS)
        self.mark = self.folder / "began"  # made when the trouble begins

    def train(self, trouble, ranks=2, seconds=90, deadline=DEADLINE, hangs=False, sample=40, settings=(), **how):
        """Runs until the trouble ends it, in time from when it began: only of a rank that hangs the deadline tells. -> (status,
        everything printed to stderr, failure.txt)"""
        directory = self.folder / f"run{sample}"
        self.mark.unlink(missing_ok=True)
        done = subprocess.run(
            [str(TRIGA), "launch", str(self.experiment), "-n", str(ranks), "--run-dir", str(directory), "--set",
             f"data.train.trouble={trouble}", "--set", f"data.train.sample={sample}", "--set", f"data.train.mark={self.mark}", "--set",
             f"parallel.communication_timeout={deadline}",
             *(word for setting in settings for word in ("--set", setting))], cwd=self.folder,
            env=self.environment, capture_output=True, text=True, timeout=seconds, **how)
        ended = time.time()
        self.assertTrue(self.mark.exists(), "ended before the trouble:\n" + done.stderr)
        took = ended - self.mark.stat().st_mtime
        print(f"{trouble} on {ranks} ranks: ended {took:.1f} s after it began, with status {done.returncode}")
        self.assertLess(took, END + (deadline if hangs else 0), done.stderr)
        self.assertEqual(ranks_of(directory), {}, "no process is left over")
        failure = (directory / "failure.txt").read_text() if (directory / "failure.txt").exists() else ""
        if ranks > 1:
            self.assertTrue(failure and done.stderr.rstrip().endswith(failure.rstrip()),
                            "the report is the last thing printed:\n" + done.stderr[-3000:])
        status = json.loads((directory / "status.json").read_text())
        self.assertEqual((status["state"], status["exit_status"]), ("failed", done.returncode), str(status))
        return done.returncode, done.stderr, failure

    def check_hang(self, rank, place, status, failure):
        self.assertEqual(status, 6, failure)
        cause = failure.splitlines()[1]
        self.assertRegex(cause, rf"^rank {rank} on host \S+: it hangs: nothing moved for [34]\.\d s in {place}")
        self.assertIn("parallel.communication_timeout is 4 s", cause)
        self.assertIn("main thread:", failure)
        self.assertIn("Where the ranks were:", failure)
        self.assertRegex(failure, r"rank \d on host \S+: step \d+, .*in (all_reduce|all_gather|reduce_scatter)", "the one that waits for it")
        self.assertNotIn("missing:", cause)

    def test_a_rank_that_hangs_in_its_data_says_where(self):
        for rank, sample in ((0, 40), (1, 41)):  # of the two microbatches of one step
            status, _, failure = self.train("sleep", hangs=True, sample=sample)
            self.check_hang(rank, "data", status, failure)
            self.assertIn("Prefetcher", failure, "the stack of the thread that waits")

    def test_a_rank_that_hangs_in_a_layer_says_where(self):
        model = f"model={{plugin: troubled, kind: stuck, config: {{forward: 20, mark: {self.mark}}}}}"
        status, _, failure = self.train("none", hangs=True, settings=(model,))
        self.check_hang(1, r"forward of microbatch \d", status, failure)
        self.assertRegex(failure, r"main thread:\n(    .*\n)*    .*\btroubled\.so\b", "the layer is on its stack")

    def test_a_rank_that_opens_its_data_for_longer_than_the_deadline_is_waited_for(self):
        directory = self.folder / "run"
        done = subprocess.run(
            [str(TRIGA), "launch", str(self.experiment), "-n", "2", "--run-dir", str(directory), "--set", "data.train.trouble=slow_start",
             "--set", "train.max_steps=3", "--set", f"parallel.communication_timeout={DEADLINE}"], cwd=self.folder,
            env=self.environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_one_rank_alone_that_hangs_ends_too(self):
        status, printed, failure = self.train("sleep", ranks=1, hangs=True)
        self.assertEqual(status, 6, printed)
        self.assertIn("it hangs: nothing moved for", failure)

    def test_an_exception_on_one_rank_is_the_cause(self):
        status, _, failure = self.train("throw")
        self.assertEqual(status, 4, failure)
        self.assertRegex(failure.splitlines()[1], r"^rank [01] on host \S+: data\.train: sample 40: plugin 'troubled': in get of dataset \(Troubled\): the sample is broken")

    def test_ranks_that_part_name_what_each_meant_to_do(self):
        # Rank 1 has evaluated its share of the data, and rank 0 goes on with the next batch.
        settings = (f"data.validation={{plugin: troubled, kind: troubled, trouble: fewer, mark: {self.mark}}}", "eval.every_steps=5")
        status, _, failure = self.train("none", deadline=60, settings=settings)
        self.assertEqual(status, 6, failure)
        written = json.loads((self.folder / "run40" / "status.json").read_text())
        self.assertEqual((written["exit_status"], written["step"]), (6, 5), str(written))
        for words in (failure.splitlines()[1], written["cause"].splitlines()[0]):
            self.assertRegex(words, r"ranks of group world disagree on what to do next: "
                             r'rank 0 on host \S+: .*all_reduce max of 1 fp64 "signal to stop".*; '
                             r'rank 1 on host \S+: .*all_reduce sum of \d+ fp64 "loss of the evaluation"')

    def test_memory_that_the_system_refuses_is_named(self):
        limit = 1200 << 20  # of addresses: a rank has 700 MB of them

        def set_limit():
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        status, _, failure = self.train("memory", deadline=60, preexec_fn=set_limit)
        self.assertEqual(status, 8, failure)
        self.assertRegex(failure.splitlines()[1], r"^rank [01] on host \S+: .*out of memory")

    def status_of(self, directory):
        done = self.command("status", directory, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def wait_for_status(self, directory, is_good, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if directory.exists():
                status = self.status_of(directory)
                if is_good(status):
                    return status
            time.sleep(0.2)
        self.fail(f"not within {seconds} s: {status}")

    def test_status_of_a_run_that_lives_stands_still_and_is_over(self):
        directory = self.folder / "run"
        missing = self.command("status", directory)
        self.assertEqual(missing.returncode, 2)
        self.assertIn("no such folder", missing.stderr)
        directory.mkdir()
        self.assertIn("no run has begun", self.command("status", directory).stdout)
        process = subprocess.Popen(
            [str(TRIGA), "launch", str(self.experiment), "-n", "2", "--run-dir", str(directory), "--set",
             "parallel.communication_timeout=60"], cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            status = self.wait_for_status(directory, lambda one: len(one["ranks"]) == 2 and one["step"] > 5)
            self.assertEqual(status["state"], "running")
            self.assertEqual([one["rank"] for one in status["ranks"]], [0, 1])
            ranks = ranks_of(directory)
            self.assertEqual([one["pid"] for one in status["ranks"]], [ranks[0], ranks[1]])
            self.assertEqual([one["is_behind"] for one in status["ranks"]], [False, False])
            os.kill(ranks[1], signal.SIGSTOP)
            status = self.wait_for_status(
                directory, lambda one: [rank["is_behind"] for rank in one["ranks"]] == [False, True] and one["ranks"][1]["silent_seconds"] > 10)
            self.assertTrue(status["ranks"][0]["is_waiting"], str(status))
            self.assertGreater(status["ranks"][0]["since_seconds"], 2)
            table = self.command("status", directory).stdout
            print(table)
            self.assertRegex(table, r"(?m)^ +1 .*<- behind.*<- no sign of life for \d+ s$")
            os.kill(ranks[1], signal.SIGCONT)
            self.wait_for_status(directory, lambda one: not any(rank["is_behind"] for rank in one["ranks"]) and not any(
                rank["silent_seconds"] for rank in one["ranks"]))
            process.send_signal(signal.SIGTERM)
            _, printed = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 75, printed)
        finally:
            process.kill()
        status = self.status_of(directory)
        self.assertEqual((status["state"], status["exit_status"], status["ranks"]), ("stopped", 75, []))
        self.assertEqual(list((directory / ".progress").iterdir()), [], "ranks that end take their records away")

    def test_status_says_which_step_was_saved_last_and_how_many_saves_failed(self):
        directory = self.folder / "run"
        checkpoints, aside = directory / "checkpoints", directory / "aside"
        process = subprocess.Popen(
            [str(TRIGA), "launch", str(self.experiment), "-n", "2", "--run-dir", str(directory), "--set", "checkpoint.every_steps=10"],
            cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            status = self.wait_for_status(directory, lambda one: one["newest_checkpoint"])
            self.assertEqual((status["state"], status["failed_saves"]), ("running", 0))
            before = status["newest_checkpoint"]["step"]
            self.assertEqual(before % 10, 0)
            self.assertLess(status["newest_checkpoint"]["age_seconds"], 30)
            checkpoints.rename(aside)
            status = self.wait_for_status(directory, lambda one: one["failed_saves"])
            self.assertIsNone(status["newest_checkpoint"])
            self.assertRegex(self.command("status", directory).stdout, r"(?m)^newest checkpoint: none\n"
                             r"\d+ saves? failed since this start or its last rollback; see \S+/run/log/rank-0\.log$")
            self.assertIn("could not be saved; the run goes on", (directory / "log" / "rank-0.log").read_text())
            aside.rename(checkpoints)
            status = self.wait_for_status(directory, lambda one: (one["newest_checkpoint"] or {"step": 0})["step"] > before + 20)
            self.assertGreater(status["failed_saves"], 0, "saves that were good again do not hide those that failed")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=30), 75)
        finally:
            process.kill()
        status = self.status_of(directory)
        self.assertEqual((status["newest_checkpoint"]["step"], status["failed_saves"]), (status["step"], None))
        self.assertRegex(self.command("status", directory).stdout, rf"(?m)^newest checkpoint: step {status['step']} \(saved \d+ s ago\)$")

    def test_status_of_a_run_that_was_killed_as_a_whole(self):
        directory = self.folder / "run"
        process = subprocess.Popen(
            [str(TRIGA), "launch", str(self.experiment), "-n", "2", "--run-dir", str(directory)], cwd=self.folder, env=self.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.wait_for_status(directory, lambda one: len(one["ranks"]) == 2)
            process.kill()  # nobody is left to say how the run ended
            process.wait()
            for pid in ranks_of(directory).values():
                os.kill(pid, signal.SIGKILL)
        finally:
            process.kill()
        status = self.wait_for_status(directory, lambda one: one["state"] == "lost")
        self.assertEqual(len(status["ranks"]), 2, "where they were last")
        self.assertIsNone(status["newest_checkpoint"])
        self.assertIn("ended without a word", self.command("status", directory).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
