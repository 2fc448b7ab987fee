"""The moving average of weights: what it is, that it leaves training alone, that evaluations and checkpoints show it, resume."""

import json
import struct
import unittest

from triga_runner import TrigaTest, read_tensors, state_hash

AVERAGE = ("--set", "train.ema_decay=0.3", "--set", "train.max_steps=8", "--set", "eval.every_steps=4", "--set", "checkpoint.keep_last=8")
LAYOUTS = ((1, ()), (2, ("parallel.zero=2",)), (2, ("parallel.pp=2",)), (2, ("parallel.zero=0",)))


def words(settings):
    return [word for setting in settings for word in ("--set", setting)]


def floats(tensor):
    kind, _, data = tensor
    assert kind == "F32", kind
    return struct.unpack(f"<{len(data) // 4}f", data)


class AverageTest(TrigaTest):
    def weights(self, run, step):
        folder = run.directory / "checkpoints" / f"step-{step:08d}"
        return read_tensors(folder, "model"), read_tensors(folder / "training", "optimizer")

    def test_it_is_the_average_of_the_steps_and_leaves_training_alone(self):
        plain = self.launch(1, "plain", *AVERAGE, "--set", "train.ema_decay=none")
        for ranks, settings in LAYOUTS:
            run = self.launch(ranks, f"{ranks}{''.join(settings)}", *AVERAGE, *words(settings), "--set", "checkpoint.every_steps=1")
            if ranks == 1:
                self.assertEqual(run.column("loss"), plain.column("loss"))
            average = {}
            for step in range(1, 9):
                decay = 0 if step == 1 else min(0.3, step / (9 + step))
                shown, training = self.weights(run, step)
                for name in shown:
                    raw = floats(training[f"{name}.raw"])
                    before = average.get(name, raw)
                    average[name] = [decay * a + (1 - decay) * r for a, r in zip(before, raw)]
                    for expected, got in zip(average[name], floats(shown[name])):
                        self.assertAlmostEqual(got, expected, delta=1e-6 * max(1, abs(expected)))  # fp32, eight steps
                self.assertFalse([name for name in training if name.endswith(".average")])

    def test_evaluations_show_what_the_checkpoint_holds(self):
        for precision in ("fp32", "bf16"):
            run = self.launch(2, precision, *AVERAGE, "--set", f"train.precision={precision}", "--set", "checkpoint.every_steps=4")
            completed = self.command("evaluate", run.directory / "checkpoints" / "step-00000008", "--json")
            self.assertEqual(completed.returncode, 0, completed.stderr)
            # One process adds up in another order than two.
            self.assertAlmostEqual(json.loads(completed.stdout)["loss"] / run.column("loss", "validation")[8], 1, delta=1e-6)

    def test_a_resumed_run_is_the_same_to_the_bit(self):
        for ranks, settings in LAYOUTS:
            what = [*AVERAGE, *words(settings), "--set", "checkpoint.every_steps=4", "--set", "learning_rate_schedule={kind: constant}"]
            name = f"{ranks}{''.join(settings)}"
            straight = self.launch(ranks, f"straight-{name}", *what)
            self.launch(ranks, f"parts-{name}", *what, "--set", "train.max_steps=4")
            parts = self.launch(ranks, f"parts-{name}", *what)
            self.assertEqual(state_hash(parts.directory), state_hash(straight.directory), name)

    def test_a_layout_reads_what_another_wrote(self):
        what = [*AVERAGE, "--set", "checkpoint.every_steps=4", "--set", "learning_rate_schedule={kind: constant}"]
        straight = self.launch(1, "straight", *what)
        self.launch(1, "parts", *what, "--set", "train.max_steps=4")
        parts = self.launch(2, "parts", *what, "--set", "parallel.pp=2")
        for step, loss in straight.column("loss").items():
            self.assertAlmostEqual(parts.column("loss")[step] / loss, 1, delta=2e-6)
        ours, theirs = self.weights(parts, 8)[0], self.weights(straight, 8)[0]
        for name in theirs:
            for got, expected in zip(floats(ours[name]), floats(theirs[name])):
                self.assertAlmostEqual(got, expected, delta=2e-6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
