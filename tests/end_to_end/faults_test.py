"""Nothing is lost, whatever dies: ranks killed, stopped and crashed in the middle of training; checkpoints damaged; a full disk.

After each, the run must have ended in bounded time with the right status and words, and starting it again must give the
weights and optimizer state of the run that nothing happened to, to the bit. Random instants: tests/faults/campaign.py.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
import unittest

from triga_runner import TRIGA, TrigaTest, environment, ranks_of, state_hash

STEPS = 40
# The decay of the schedule is that of the first start: said here, so that runs with another limit are the same run.
ARGUMENTS = ("--set", f"train.max_steps={STEPS}", "--set", f"learning_rate_schedule.decay_steps={STEPS}", "--set", "checkpoint.every_steps=5", "--set", "eval.every_steps=10",
             "--set", "parallel.communication_timeout=4")


class FaultsTest(TrigaTest):
    arguments = ARGUMENTS

    def start(self, ranks, directory, *arguments):
        return subprocess.Popen(
            [str(TRIGA), "launch", str(self.experiment), "-n", str(ranks), "--run-dir", str(directory), *self.arguments,
             *arguments], cwd=self.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for_step(self, directory, step, process):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if (directory / "metrics.jsonl").read_text().count('"grad_norm"') >= step:
                    return
            except OSError:
                pass
            if process.poll() is not None:
                self.fail(f"ended before step {step}: {process.communicate()}")
            time.sleep(0.005)
        self.fail(f"step {step} was not reached within a minute")

    def finish(self, process, seconds):
        started = time.monotonic()
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            try:  # ranks that stay keep its output open
                left = process.communicate(timeout=5)
            except subprocess.TimeoutExpired as error:
                left = (error.stdout, error.stderr)
            self.fail(f"did not end within {seconds} s: {left}")
        return out, err, time.monotonic() - started

    def expected_hash(self, ranks):
        directory = self.folder / f"expected{ranks}"
        self.launch(ranks, directory, *self.arguments)
        return state_hash(directory)

    def resume_and_compare(self, ranks, directory, expected):
        run = self.launch(ranks, directory, *self.arguments)
        self.assertEqual(state_hash(directory), expected, str(run))

    def wait_for_save(self, directory, process):
        """Until a checkpoint is being written."""
        while not list((directory / "checkpoints").glob("*.tmp")):
            if process.poll() is not None:
                self.fail(f"ended: {process.communicate()}")

    def hit(self, ranks, victim, number, seconds, *words, status=6, inside_a_save=False):
        """Sends a signal to one rank in the middle of training; checks end, words, leftovers, and the resumed result."""
        expected = self.expected_hash(ranks)
        directory = self.folder / f"hit{ranks}-{number}"
        process = self.start(ranks, directory)
        self.wait_for_step(directory, 12, process)
        if inside_a_save:
            self.wait_for_save(directory, process)
        os.kill(ranks_of(directory)[victim], number)
        out, err, took = self.finish(process, seconds)
        text = out + err
        self.assertEqual(process.returncode, status, text)
        failure = (directory / "failure.txt").read_text()
        for word in (f"rank {victim}", *words):
            self.assertIn(word, failure)
        if number != signal.SIGSEGV:
            self.assertNotIn("crashed (", text)  # on its way out
        self.assertRegex(failure, r"step \d+")
        self.assertIn("step-000000", failure, "names the newest checkpoint")
        self.assertIn("triga launch", failure, "says how to go on")
        self.assertTrue(err.rstrip().endswith(failure.rstrip()), "the report is the last thing printed:\n" + err[-3000:])
        written = (directory / "status.json").read_text()
        self.assertIn('"failed"', written)
        self.assertIn(f'"exit_status": {status}', written)
        time.sleep(0.2)
        self.assertEqual(ranks_of(directory), {}, "no process is left over")
        print(f"signal {number} to rank {victim} of {ranks}: ended after {took:.1f} s")
        self.resume_and_compare(ranks, directory, expected)
        return failure

    def hit_inside_a_stage(self, ranks, victim, number, seconds, *words):
        """The signal may find the rank between two steps, where it is in no stage; then it is sent to another run."""
        for _ in range(5):
            failure = self.hit(ranks, victim, number, seconds, *words)
            if re.search(r"of stage \d+, microbatch \d+", failure):
                return
            shutil.rmtree(self.folder / f"hit{ranks}-{number}")
        self.fail(f"no report of five names a stage:\n{failure}")

    def test_killed_rank(self):
        self.hit(2, 1, signal.SIGKILL, 20)

    def test_killed_first_rank(self):
        self.hit(4, 0, signal.SIGKILL, 20)

    def test_a_run_that_lost_a_rank_is_started_again(self):
        expected = self.expected_hash(2)
        directory = self.folder / "restarted"
        process = self.start(2, directory, "--set", "launch.max_restarts=2")
        self.wait_for_step(directory, 12, process)
        os.kill(ranks_of(directory)[1], signal.SIGKILL)
        out, err, _ = self.finish(process, 90)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertIn("died without a word", err)
        self.assertIn("starts again in 5 s (1 of 2; launch.max_restarts)", err)
        self.assertEqual(state_hash(directory), expected)

    def test_crashed_rank(self):
        self.hit(2, 1, signal.SIGSEGV, 20, "crashed (SIGSEGV)", status=1)

    def test_stopped_rank(self):
        self.hit(2, 1, signal.SIGSTOP, 25, "stopped")

    def test_stopped_rank_inside_a_save(self):
        """Where ranks wait long for slow disks, one that is stopped is not waited for so long."""
        self.arguments = (*ARGUMENTS, "--set", "checkpoint.every_steps=1", "--set", "checkpoint.asynchronous=false")
        self.hit(2, 1, signal.SIGSTOP, 25, "stopped", inside_a_save=True)

    def test_killed_stage_of_a_pipeline(self):
        self.arguments = (*ARGUMENTS, "--set", "parallel.pp=2")
        self.hit_inside_a_stage(2, 1, signal.SIGKILL, 20)

    def test_stopped_stage_of_a_pipeline(self):
        self.arguments = (*ARGUMENTS, "--set", "parallel.pp=2", "--set", "parallel.pipeline_schedule=zb_h1")
        self.hit_inside_a_stage(2, 0, signal.SIGSTOP, 25, "stopped")

    def test_stop_signal_saves_and_the_same_command_goes_on(self):
        expected = self.expected_hash(2)
        directory = self.folder / "stopped"
        process = self.start(2, directory)
        self.wait_for_step(directory, 12, process)
        process.send_signal(signal.SIGTERM)
        out, err, _ = self.finish(process, 20)
        self.assertEqual(process.returncode, 75, out + err)
        self.assertIn('"stopped"', (directory / "status.json").read_text())
        self.assertRegex(err.splitlines()[-1], r"^triga: stopped after saving step \d+ \(exit status 75\)")
        self.resume_and_compare(2, directory, expected)

    def test_second_stop_signal_ends_at_once_and_says_so(self):
        directory = self.folder / "ended"
        # Steps of several seconds, so that both signals fall into one.
        process = self.start(2, directory, "--set", "model.config={num_layers: 12, num_heads: 4, hidden_size: 384}", "--set",
                             "train.global_batch.samples=120")
        self.wait_for_step(directory, 1, process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err, _ = self.finish(process, 20)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, out + err)
        self.assertIn("a second signal ended it at once", err.splitlines()[-1])
        self.assertNotIn("out of memory", out + err)
        status = json.loads((directory / "status.json").read_text())
        self.assertEqual((status["state"], status["exit_status"]), ("stopped", 130))

    def test_damaged_checkpoint_is_passed_over_in_words(self):
        expected = self.expected_hash(1)
        whole = self.folder / "whole"
        self.launch(1, whole, *ARGUMENTS, "--set", "train.max_steps=20")
        newest = whole / "checkpoints" / "step-00000020"
        files = sorted(p.relative_to(newest) for p in newest.rglob("*") if p.is_file())
        self.assertGreater(len(files), 6)
        generator = random.Random(3)
        for i, name in enumerate(files):
            damage = ("flip", "truncate", "delete")[i % 3]
            directory = self.folder / f"damaged{i}"
            shutil.copytree(whole, directory, symlinks=True)
            path = directory / "checkpoints" / "step-00000020" / name
            content = bytearray(path.read_bytes())
            if damage == "flip":
                content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
                path.write_bytes(content)
            elif damage == "truncate":
                path.write_bytes(content[:len(content) // 2])
            else:
                path.unlink()
            run = self.launch(1, directory, *ARGUMENTS)
            text = run.out + run.err
            self.assertIn("step-00000020 is passed over", text, f"{damage} {name}")
            self.assertIn("step-00000015", text)
            self.assertEqual(state_hash(directory), expected, f"{damage} {name}")
            shutil.rmtree(directory)

    def test_a_finished_run_whose_last_checkpoint_is_damaged_goes_on_from_an_older_one(self):
        directory = self.folder / "run"
        self.launch(2, directory, *ARGUMENTS)
        expected = state_hash(directory)
        path = directory / "checkpoints" / "latest" / "model.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        run = self.launch(2, directory, *ARGUMENTS)
        self.assertIn(f"step-{STEPS:08} is passed over", run.out + run.err)
        self.assertEqual(state_hash(directory), expected)

    def run_on_a_disk(self, options, arguments, then="true"):
        """A command of triga whose run directory is on a file system of its own; its status is printed, and then what `then` prints."""
        disk = self.folder / "disk"
        disk.mkdir()
        script = (f"disk={disk} && mount -t tmpfs -o {options} none $disk && trap 'umount $disk' EXIT && cd {self.folder} && "
                  f"{TRIGA} {arguments} --run-dir $disk/run; echo status $?; {then}")
        namespace = [] if os.geteuid() == 0 else ["unshare", "-rm"]
        return subprocess.run([*namespace, "bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=120)

    def test_a_folder_that_cannot_be_written_is_refused_with_one_report(self):
        done = self.run_on_a_disk("ro", f"launch {self.experiment} -n 2 {' '.join(ARGUMENTS)}")
        text = done.stdout + done.stderr
        self.assertIn("status 5", done.stdout, text)
        self.assertEqual(text.count("Read-only file system"), 1, text)
        self.assertIn("the run's folder cannot be used", text)

    def test_no_whole_checkpoint_is_an_error_with_the_cures(self):
        directory = self.folder / "run"
        self.launch(1, directory, *ARGUMENTS, "--set", "train.max_steps=5")
        for path in (directory / "checkpoints").glob("step-*"):
            (path / "model.safetensors").write_bytes(b"rubbish")
        run = self.launch(1, directory, *ARGUMENTS, check=False)
        self.assertEqual(run.status, 5, str(run))
        self.assertIn("--fresh", run.err)

    def test_full_disk_does_not_end_the_run(self):
        # Too small for the second checkpoint.
        done = self.run_on_a_disk("size=4800k", f"train {self.experiment} {' '.join(ARGUMENTS)} --set train.max_steps=12",
                                  f"ls $disk/run/checkpoints; cat $disk/run/status.json; {TRIGA} status $disk/run")
        text = done.stdout + done.stderr
        self.assertIn("could not be saved; the run goes on", text)
        self.assertIn("step-00000005", done.stdout, "the older checkpoint stays")
        self.assertRegex(done.stdout, r"(?m)^newest checkpoint: step 5 \(saved \d+ s ago\)$")
        self.assertIn("12/12", text, "the run went on to its last step")
        self.assertIn("status 5", done.stdout, "the last state could not be saved, and the status says so")

    def test_a_run_that_diverges_says_so_on_every_rank(self):
        run = self.launch(2, "diverged", *ARGUMENTS, "--set", "optimizer={kind: sgd, learning_rate: 1.0e+30}", "--set",
                          "train.clip_norm=0", "--set", "train.max_skipped_steps=3", check=False)
        self.assertEqual(run.status, 7, str(run))
        self.assertIn("is skipped", run.out + run.err)
        self.assertIn("3 steps in a row", run.err)
        self.assertEqual(run.status_json()["exit_status"], 7)

    def test_a_second_writer_is_refused(self):
        directory = self.folder / "run"
        process = self.start(2, directory, "--set", "train.max_steps=2000")
        self.wait_for_step(directory, 2, process)
        second = self.launch(1, directory, *ARGUMENTS, "--set", "train.max_steps=2000", check=False)
        fresh = self.launch(1, directory, *ARGUMENTS, "--set", "train.max_steps=2000", "--fresh", check=False)
        process.send_signal(signal.SIGINT)
        out, err, _ = self.finish(process, 20)
        self.assertEqual(process.returncode, 75, out + err)
        for refused in (second, fresh):
            self.assertEqual(refused.status, 2, str(refused))
            self.assertIn("another run writes to this directory", refused.err)

    def test_a_second_writer_is_refused_before_it_looks(self):
        """What it found may be in the making, or be gone at once: nothing of it counts while another run writes."""
        directory = self.folder / "run"
        process = self.start(1, directory, "--set", "train.max_steps=2000")
        self.wait_for_step(directory, 12, process)
        [rank] = ranks_of(directory).values() or [process.pid]
        os.kill(rank, signal.SIGSTOP)
        for path in (directory / "checkpoints").glob("step-*/model.safetensors"):
            path.write_bytes(b"")
        second = self.launch(1, directory, *ARGUMENTS, "--set", "train.max_steps=2000", check=False)
        os.kill(rank, signal.SIGKILL)
        self.finish(process, 20)
        self.assertEqual(second.status, 2, str(second))
        self.assertIn("another run writes to this directory", second.err)
        alone = self.launch(1, directory, *ARGUMENTS, "--set", "train.max_steps=2000", check=False)
        self.assertEqual(alone.status, 5, str(alone))
        self.assertIn("no checkpoint is whole", alone.err)
        self.assertFalse((directory / "lease.json").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
