"""Nothing is lost: a run that is interrupted and resumed is the run that was not, to the bit."""

import json
import subprocess
import unittest

from triga_runner import MPIRUN, TRIGA, TrigaTest, mpi_environment, state_hash

STEPS = ("--set", "checkpoint.every_steps=10", "--set", "eval.every_steps=10")


class ResumeTest(TrigaTest):
    def test_three_starts_equal_one(self):
        for ranks, *settings in ((1,), (2,), (2, "parallel.zero=0"), (3, "parallel.zero=2"), (2, "train.precision=bf16"),
                                 (2, "parallel.recompute=full", "train.precision=bf16", "parallel.zero=2")):
            with self.subTest(ranks=ranks, settings=settings):
                self.check_three_starts(ranks, [word for setting in settings for word in ("--set", setting)])

    def check_three_starts(self, ranks, settings):
        name = "-".join([str(ranks), *settings[1::2]])
        straight = self.launch(ranks, f"straight-{name}", *STEPS, *settings, "--set", "train.max_steps=40")
        expected = state_hash(straight.directory)
        name = f"parts-{name}"
        # The decay of the schedule is that of the first start, so it must be said here.
        decay = ("--set", "learning_rate_schedule={kind: cosine, warmup_steps: 5, decay_steps: 40}")
        for limit in (20, 30, 40):
            run = self.launch(ranks, name, *STEPS, *settings, *decay, "--set", f"train.max_steps={limit}")
        self.assertEqual(state_hash(run.directory), expected)
        for column in ("loss", "grad_norm", "learning_rate"):
            self.assertEqual(run.column(column), straight.column(column), column)
        self.assertEqual(run.column("loss", "validation"), straight.column("loss", "validation"))

    def test_resumes_on_any_number_of_ranks(self):
        straight = self.launch(1, "straight", *STEPS, "--set", "train.max_steps=40")
        decay = ("--set", "learning_rate_schedule={kind: cosine, warmup_steps: 5, decay_steps: 40}")
        for ranks, zero, limit in ((3, 1, 10), (1, 2, 20), (4, 0, 30), (2, 2, 40)):
            run = self.launch(ranks, "moving", *STEPS, *decay, "--set", f"train.max_steps={limit}", "--set",
                              f"parallel.zero={zero}")
        for name, tolerance in (("loss", 2e-6), ("grad_norm", 5e-6)):
            expected, got = straight.column(name), run.column(name)
            self.assertEqual(expected.keys(), got.keys())
            for step in expected:
                self.assertAlmostEqual(got[step] / expected[step], 1, delta=tolerance)

    def test_a_finished_run_says_so(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        before = sorted(p.name for p in (self.folder / "run").rglob("*"))
        again = self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        self.assertIn("finished", again.out + again.err)
        self.assertEqual(before, sorted(p.name for p in (self.folder / "run").rglob("*")))

    def test_another_experiment_is_refused_with_the_difference_and_the_cures(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        changed = self.launch(1, "run", *STEPS, "--set", "optimizer.learning_rate=1.0e-4", check=False)
        self.assertEqual(changed.status, 2, str(changed))
        for word in ("optimizer.learning_rate", "--run-dir", "--resume", "--fresh"):
            self.assertIn(word, changed.err)
        fresh = self.launch(1, "run", *STEPS, "--set", "optimizer.learning_rate=1.0e-4", "--set", "train.max_steps=10",
                            "--fresh")
        self.assertEqual(fresh.column("learning_rate")[10] < 1e-4, True)
        moved = [p for p in self.folder.iterdir() if p.name.startswith("run.")]
        self.assertEqual(len(moved), 1, "the old run is moved aside, not deleted")
        self.assertTrue((moved[0] / "metrics.jsonl").exists())

    def test_a_refusal_ends_with_2_on_both_ranks_and_is_said_once(self):
        self.launch(2, "run", *STEPS, "--set", "train.max_steps=10")
        line = (*MPIRUN, "-n", "2", "bash", "-c", '"$@"; echo "status $?"', "-", TRIGA, "train",
                self.experiment, "--run-dir", self.folder / "run", "--set", "optimizer.learning_rate=1.0e-4")
        done = subprocess.run([*map(str, line)], cwd=self.folder, env=mpi_environment(), capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.stdout.count("status 2"), 2, str(done))

    def test_resume_from_a_path_needs_a_place_of_its_own(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        again = self.launch(1, "run", "--resume", self.folder / "run" / "checkpoints" / "latest", check=False)
        self.assertEqual(again.status, 2, str(again))
        self.assertIn("cannot start there", again.err)

    def test_resume_from_a_path_starts_there(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=20")
        other = self.launch(1, "other", *STEPS, "--set", "train.max_steps=20", "--resume",
                            self.folder / "run" / "checkpoints" / "step-00000010")
        self.assertEqual(min(other.column("loss")), 11)
        self.assertEqual(state_hash(self.folder / "run"), state_hash(other.directory))

    def test_a_torn_last_line_of_metrics_is_dropped(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        with open(self.folder / "run" / "metrics.jsonl", "a") as file:
            file.write('{"step": 11, "loss": 3.')
        run = self.launch(1, "run", *STEPS, "--set", "train.max_steps=12")
        for line in (run.directory / "metrics.jsonl").read_text().splitlines():
            json.loads(line)
        self.assertEqual(list(run.column("loss")), list(range(1, 13)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
