"""Saves while training goes on hold what saves hold that training waits for; a save may come by the clock."""

import json
import unittest

from triga_runner import TrigaTest, read_safetensors

LAYOUTS = ((1, ()), (2, ("parallel.zero=0",)), (3, ("parallel.zero=2",)), (2, ("parallel.pp=2",)), (4, ("parallel.pp=2", "parallel.zero=1")),
           (2, ("train.precision=bf16",)), (2, ("train.ema_decay=0.9",)))
EVERY_STEP = ("checkpoint.every_steps=1", "checkpoint.keep_last=9", "eval.every_steps=3", "train.max_steps=8")


def words(settings):
    return [word for setting in settings for word in ("--set", setting)]


class SavingTest(TrigaTest):
    def tensors(self, run):
        """Of every checkpoint: step -> file -> tensors."""
        return {folder.name: {str(path.relative_to(folder)): read_safetensors(path) for path in folder.rglob("*.safetensors")}
                for folder in (run.directory / "checkpoints").glob("step-*")}

    def test_in_the_background_they_hold_the_same_to_the_bit(self):
        for ranks, settings in LAYOUTS:
            with self.subTest(ranks=ranks, settings=settings):
                name = f"{ranks}{''.join(settings)}"
                waiting, background = (self.launch(ranks, f"{way}-{name}", *words((*EVERY_STEP, *settings, f"checkpoint.asynchronous={way}")))
                                       for way in ("false", "true"))
                self.assertEqual(background.column("loss"), waiting.column("loss"))
                expected, got = self.tensors(waiting), self.tensors(background)
                self.assertEqual(sorted(got), [f"step-{step:08d}" for step in range(1, 9)])
                self.assertEqual(got, expected)
                for folder in (background.directory / "checkpoints").glob("step-*"):
                    manifests = [json.loads((run.directory / "checkpoints" / folder.name / "training" / "manifest.json").read_text())
                                 for run in (waiting, background)]
                    self.assertEqual(manifests[0]["metrics"], manifests[1]["metrics"])
                for link in ("latest", "best"):
                    self.assertEqual(*((run.directory / "checkpoints" / link).readlink() for run in (waiting, background)))
                check = self.command("checkpoint", "check", background.directory)
                self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
                log = (background.directory / "log" / "rank-0.log").read_text()
                self.assertEqual(log.count(" is saved, "), 8, "each once")

    def test_the_way_of_saving_may_change_when_a_run_goes_on(self):
        self.launch(1, "run", *words(("checkpoint.every_steps=5", "train.max_steps=10")))
        run = self.launch(1, "run", *words(("checkpoint.every_steps=5", "train.max_steps=20", "checkpoint.asynchronous=false",
                                            "checkpoint.every_minutes=60")))
        self.assertEqual(len(run.column("loss")), 20)

    def test_the_clock_of_the_first_rank_saves_too(self):
        run = self.launch(2, "run", *words(("checkpoint.every_steps=0", "checkpoint.every_minutes=0.005", "checkpoint.keep_last=1000",
                                            "train.max_steps=1000000", "train.max_steps=", "train.max_minutes=0.05",
                                            "learning_rate_schedule.decay_steps=1000", "eval.every_steps=0")))
        saved = sorted(path.name for path in (run.directory / "checkpoints").glob("step-*"))
        self.assertGreaterEqual(len(saved), 3, "every 0.3 of 3 seconds")
        self.assertLessEqual(len(saved), 11)
        check = self.command("checkpoint", "check", run.directory)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
