"""Spikes of the loss: a stretch of data that is no text is passed over, and the run is that of the data without it, to the bit."""

import json
import random
import unittest

from triga_runner import TrigaTest, make_text, state_hash

SAMPLES = 14  # a step
SETTINGS = ("data.shuffle=false", "train.max_steps=36", "learning_rate_schedule={kind: constant}", "eval.every_steps=0",
            "checkpoint.every_steps=8")
SPIKES = "train.spikes={window: 8, z_score: 6, max_in_a_row: 3}"


def words(*settings):
    return [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]


def noise(generator):
    return "".join(chr(generator.randrange(33, 65)) for _ in range(31))


class SpikesTest(TrigaTest):
    def setUp(self):
        super().setUp()
        make_text(self.folder / "text.txt", num_documents=50 * SAMPLES)
        self.good = (self.folder / "text.txt").read_text().splitlines()

    def write(self, lines):
        (self.folder / "text.txt").write_text("\n".join(lines) + "\n")

    def spoil(self, *steps):
        """The samples of these steps, (first, last) each, become noise."""
        generator = random.Random(5)
        lines = list(self.good)
        for first, last in steps:
            for i in range((first - 1) * SAMPLES, last * SAMPLES):
                lines[i] = noise(generator)
        self.write(lines)

    def leave_out(self, first_step, last_step):
        self.write(self.good[:(first_step - 1) * SAMPLES] + self.good[last_step * SAMPLES:])

    def state(self, run):
        return json.loads((run.directory / "checkpoints" / "latest" / "training" / "state.json").read_text())

    def test_a_series_is_left_out_with_all_since_the_checkpoint_before_it(self):
        # Checkpoints at 8 and 16, spikes at 21 to 23: the data of 17 to 23 are left out.
        for ranks, settings in ((1, ()), (2, ("parallel.zero=1",)), (2, ("parallel.pp=2",)), (1, ("checkpoint.asynchronous=false",)),
                                (2, ("checkpoint.keep_last=1",))):
            with self.subTest(ranks=ranks, settings=settings):
                name = f"{ranks}{''.join(settings)}"
                self.leave_out(17, 23)
                expected = self.launch(ranks, f"expected-{name}", *words(*settings))
                self.spoil((21, 23))
                run = self.launch(ranks, f"run-{name}", *words(SPIKES, *settings))
                self.assertEqual(run.column("loss"), expected.column("loss"))
                self.assertEqual(state_hash(run.directory), state_hash(expected.directory))
                state = self.state(run)
                self.assertEqual((state["rollbacks"], state["left_out_steps"], state["skipped_steps"]), (1, 7, 0))
                log = (run.directory / "log" / "rank-0.log").read_text()
                self.assertEqual(log.count("is skipped: the loss"), 3)
                self.assertIn("went back from step 23 to 16 after 3 spikes of the loss in a row; the data of the 7 steps in between", log)
                # The same with stops in the series, after the way back, and later.
                for limit in (22, 23, 25, 36):
                    parts = self.launch(ranks, f"parts-{name}", *words(SPIKES, *settings, f"train.max_steps={limit}"))
                self.assertEqual(parts.column("loss"), expected.column("loss"))
                self.assertEqual(state_hash(parts.directory), state_hash(expected.directory))

    def test_few_in_a_row_are_skipped_and_training_goes_on(self):
        self.spoil((21, 22))
        run = self.launch(1, "run", *words(SPIKES))
        state = self.state(run)
        self.assertEqual((state["rollbacks"], state["left_out_steps"], state["skipped_steps"]), (0, 0, 2))
        self.assertEqual(state["spikes_in_a_row"], 0)
        self.assertEqual(len(state["losses"]), 8)
        self.assertEqual(state["losses"], [run.column("loss")[step] for step in range(29, 37)])
        log = (run.directory / "log" / "rank-0.log").read_text()
        self.assertEqual(log.count("is skipped: the loss"), 2)
        worst = max(loss for step, loss in run.column("loss").items() if step > 22)
        self.assertLess(worst, run.column("loss")[20] + 0.5, "no step was made with them")

    def test_a_run_that_would_go_back_too_often_ends_with_7(self):
        self.spoil((21, 30))
        run = self.launch(1, "run", *words("train.spikes={window: 8, max_in_a_row: 2, max_rollbacks: 1}"), check=False)
        self.assertEqual(run.status, 7, str(run))
        self.assertIn("it has gone back to a checkpoint 1 times (train.spikes.max_rollbacks) without a checkpoint after 8 good steps", run.err)

    def test_going_back_counts_only_without_progress_in_between(self):
        # Back from 23 to 16, so the data of step 35 are those of step 28; back from 30 to 24, which has 8 good steps behind it.
        self.spoil((21, 23), (35, 37))
        settings = "train.spikes={window: 8, z_score: 6, max_in_a_row: 3, max_rollbacks: 1}"
        run = self.launch(2, "run", *words(settings))
        state = self.state(run)
        self.assertEqual((state["rollbacks"], state["settled_rollbacks"], state["left_out_steps"]), (2, 2, 13))
        self.launch(2, "parts", *words(settings, "train.max_steps=27"))  # what counts is in the checkpoints
        self.launch(2, "parts", *words(settings, "train.max_steps=29"))  # also where it stops inside the second series
        parts = self.launch(1, "parts", *words(settings))
        self.assertEqual(self.state(parts)["rollbacks"], 2)

    def test_the_short_last_step_of_an_epoch_is_no_spike(self):
        random_line = noise(random.Random(7))
        self.write(self.good[:28 * SAMPLES] + [random_line])  # step 29 is this sample alone
        run = self.launch(2, "run", *words(SPIKES, "train.max_steps=29"))
        self.assertEqual(self.state(run)["skipped_steps"], 0)
        losses = run.column("loss")
        self.assertGreater(losses[29], 1.1 * losses[28], "it would have been one")

    def test_without_a_checkpoint_from_before_it_ends_with_7(self):
        self.spoil((21, 26))
        run = self.launch(2, "run", *words(SPIKES, "checkpoint.every_steps=30"), check=False)
        self.assertEqual(run.status, 7, str(run))
        self.assertIn("there is no good checkpoint from before them", run.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
