"""Recurrent networks as time passes: gradients of the loss by what they remember at each step, and state that is carried from one
training step to the next; on every layout, and over an interruption."""

import csv
import json
import math
import unittest
import xml.dom.minidom

from triga_runner import TrigaTest, read_tensors, state_hash

LAYOUTS = ((3, ()), (2, ("parallel.pp=2",)), (3, ("parallel.pp=3", "parallel.pipeline_schedule=zb_h1")),
           (4, ("parallel.dp=2", "parallel.pp=2", "parallel.zero=2")))
ADDING = """\
name: adding
model: {plugin: rnn, kind: rnn_regressor, config: {num_features: 2, hidden_size: 12, num_layers: 2, max_length: 30, dropout: 0.1}}
data:
  train: {plugin: rnn, kind: adding_problem, num_samples: 60, length: 30}
  validation: {plugin: rnn, kind: adding_problem, num_samples: 23, length: 30}
train: {max_steps: 12, global_batch: {samples: 10}, microbatch_size: 2, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 3.0e-3}
eval: {every_steps: 6}
checkpoint: {every_steps: 6}
log: {every_steps: 1, gradient_norms_every_steps: 5}
"""
# One step on 60 pairs, to see what first weights do to the gradient on its way through them.
FIRST_STEP = """\
name: adding
model: {plugin: rnn, kind: rnn_regressor, config: {num_features: 2, hidden_size: 64, max_length: 60, dropout: 0}}
data: {train: {plugin: rnn, kind: adding_problem, num_samples: 64, length: 60}}
train: {max_steps: 1, global_batch: {samples: 64}, microbatch_size: 64, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 3.0e-3}
log: {every_steps: 1, gradient_norms_every_steps: 1}
"""
# 45 windows in 8 streams of 6 or 5: an epoch is 6 steps, the last one short, and 8 steps end in the middle of the second one.
STREAMS = """\
name: streams
model: {plugin: rnn, kind: rnn_language_model, config: {embedding_size: 8, hidden_size: 12, num_layers: 2, context_length: 10, dropout: 0.1,
        carry_state: true}}
data:
  train: {kind: text, files: [stream.txt], take: {to: 0.7}}
  validation: {kind: text, files: [stream.txt], take: {from: 0.7}}
  tokenizer: {kind: bytes}
  shuffle: false
train: {max_steps: 14, global_batch: {samples: 8}, microbatch_size: 2, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 3.0e-3}
eval: {every_steps: 7}
checkpoint: {every_steps: 7}
log: {every_steps: 1}
"""


class RecurrentTest(TrigaTest):
    def norms(self, run):
        with open(run.directory / "gradients.csv", newline="") as file:
            return {(int(line["step"]), line["name"], int(line["place"])): float(line["norm"]) for line in csv.DictReader(file)}

    def assert_close(self, expected, got, message, relative=1e-5):
        self.assertEqual(expected.keys(), got.keys(), message)
        for key, value in expected.items():  # fp32 sums in another order
            self.assertLessEqual(abs(got[key] - value), relative * abs(value), f"{message} {key}: {got[key]}, {value} expected")

    def assert_same_run(self, expected, run, message):
        """An end of a part has an evaluation more."""
        for name in ("loss", "grad_norm"):
            self.assert_close(expected.column(name), run.column(name), f"{message} {name}")
        evaluated = {step: loss for step, loss in run.column("loss", "validation").items() if step % 7 == 0}
        self.assert_close(expected.column("loss", "validation"), evaluated, f"{message} validation loss")

    def on_layouts(self):
        for ranks, settings in LAYOUTS:
            yield self.launch(ranks, f"{ranks}{''.join(settings)}", *[w for s in settings for w in ("--set", s)]), settings

    def test_gradients_through_time_are_the_same_on_every_layout_and_change_nothing(self):
        self.experiment.write_text(ADDING)
        alone = self.launch(1, "alone")
        norms = self.norms(alone)
        names = [f"rnn.{layer}.{part}" for layer in (0, 1) for part in ("cell", "hidden")]
        self.assertEqual(sorted(norms), sorted((step, name, place) for step in (1, 5, 10) for name in names for place in range(30)))
        self.assertTrue(all(math.isfinite(norm) and norm > 0 for norm in norms.values()))
        svg = xml.dom.minidom.parse(str(alone.directory / "gradients.svg"))
        self.assertEqual(len(svg.getElementsByTagName("polyline")), 4 * 3)
        line = alone.lines("gradients")[1]
        self.assertEqual(line["step"], 5)
        self.assertAlmostEqual(line["rnn.1.hidden.last"], norms[5, "rnn.1.hidden", 29], delta=1e-8)
        for run, settings in self.on_layouts():
            self.assert_close(norms, self.norms(run), settings, 1e-4)
        unwatched = self.launch(1, "unwatched", "--set", "log.gradient_norms_every_steps=0")
        self.assertEqual(state_hash(unwatched.directory), state_hash(alone.directory))
        self.assertFalse((unwatched.directory / "gradients.csv").exists())
        bf16 = self.check_bf16(alone, lambda directory: (state_hash(directory), (directory / "gradients.csv").read_text()))
        # The gradient on its way through 30 steps is rounded at each, so the earliest have a few per cent of another one.
        self.assert_close(norms, self.norms(bf16), "bf16", 0.1)
        recomputed = self.launch(1, "recomputed", "--set", "parallel.recompute=full")
        self.assertEqual(self.norms(recomputed), norms)
        self.assertEqual(state_hash(recomputed.directory), state_hash(alone.directory))
        recomputed = self.launch(1, "recomputed-bf16", "--set", "parallel.recompute=full", "--set", "train.precision=bf16")
        self.assertEqual(state_hash(recomputed.directory), state_hash(bf16.directory))

    def test_what_first_weights_do_to_gradients_through_time(self):
        """How much of the gradient by the state of the last of 60 time steps arrives at the first."""
        self.experiment.write_text(FIRST_STEP)

        def arrives(part, cell, *settings):
            words = [word for setting in (f"cell={cell}", *settings) for word in ("--set", f"model.config.{setting}")]
            run = self.launch(1, "-".join((cell, part, *settings)), *words)
            line, = run.lines("gradients")
            return line[f"rnn.0.{part}.first"] / line[f"rnn.0.{part}.last"]

        # Each step of a simple layer multiplies by its matrix and by tanh' <= 1. Weights uniform within 1 / sqrt(H) have a spectral radius
        # of 1 / sqrt(3) = 0.58 (circular law), one of 64 rows a little more or less. torch.nn's LSTM and GRU keep half at each step.
        vanished = 0.65 ** 59
        self.assertLess(arrives("hidden", "rnn_tanh"), vanished)
        self.assertLess(arrives("hidden", "lstm"), vanished)
        self.assertLess(arrives("hidden", "gru"), vanished)
        # A gate with a bias of 4 keeps sigmoid(4) = 0.98 at each step, and more than sigmoid(3) whatever arrives at it.
        kept = (1 / (1 + math.exp(-3))) ** 59
        self.assertGreater(arrives("hidden", "gru", "forget_bias=4"), kept)
        self.assertGreater(arrives("cell", "lstm", "forget_bias=4"), kept)
        # An LSTM's hidden state reaches the cell through gates only, by weights within 1 / sqrt(H) = 1/8.
        self.assertGreater(arrives("hidden", "lstm", "forget_bias=4"), kept / 8)
        # A radius of 4 / sqrt(3) = 2.3 explodes though tanh' < 1: by more than a fifth a step, for the states do not saturate.
        self.assertGreater(arrives("hidden", "rnn_tanh", "recurrent_gain=4"), 1.2 ** 59 / 100)

    def test_the_table_of_gradients_goes_on_with_the_run(self):
        self.experiment.write_text(ADDING)
        self.launch(2, "parts", "--set", "train.max_steps=6")
        parts, straight = self.launch(2, "parts"), self.launch(2, "straight")
        self.assertEqual(*((run.directory / "gradients.csv").read_text() for run in (parts, straight)))
        both = self.command("gradients", "parts", "straight", "--output", "both.svg")
        self.assertEqual(both.returncode, 0, both.stderr)
        svg = xml.dom.minidom.parse(str(self.folder / "both.svg"))
        self.assertEqual(len(svg.getElementsByTagName("polyline")), 2 * 4 * 3)
        for wrong, status, says in (((str(self.folder),), 4, "has no gradients.csv"), ((), 2, "runs is required")):
            completed = self.command("gradients", *wrong)
            self.assertEqual((completed.returncode, says in completed.stderr), (status, True), completed.stderr)

    def write_streams(self):
        (self.folder / "stream.txt").write_text("".join(chr(97 + (i * i + i // 7) % 23) for i in range(640)))
        self.experiment.write_text(STREAMS)

    def test_carried_state_is_the_same_on_every_layout(self):
        self.write_streams()
        alone = self.launch(1, "alone")
        for run, settings in self.on_layouts():
            self.assert_same_run(alone, run, settings)
        def state(directory):
            return state_hash(directory), read_tensors(directory / "checkpoints" / "latest" / "training", "sequence_state")

        fp32 = self.launch(1, "fp32", "--set", "train.max_steps=12", "--set", "eval.every_steps=6")
        bf16 = self.check_bf16(fp32, state, "--set", "train.max_steps=12", "--set", "eval.every_steps=6")
        forgetful = self.launch(1, "forgetful", "--set", "model.config.carry_state=false")
        self.assertNotEqual(forgetful.column("loss")[2], alone.column("loss")[2])
        completed = self.command("evaluate", alone.directory / "checkpoints" / "latest", "--json")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertEqual(json.loads(completed.stdout)["loss"], alone.column("loss", "validation")[14])

    def test_carried_state_goes_on_to_the_bit_and_on_another_layout(self):
        self.write_streams()
        straight = self.launch(2, "straight")
        for steps in (5, 6, 8):  # in the middle of an epoch, at its end, behind it
            directory = f"parts{steps}"
            first = self.launch(2, directory, "--set", f"train.max_steps={steps}")
            state = read_tensors(first.directory / "checkpoints" / "latest" / "training", "sequence_state")
            self.assertEqual(sorted(state), sorted(f"rnn.{layer}.{part}.{microbatch}" for layer in (0, 1) for part in ("cell", "hidden")
                                                   for microbatch in range(4)))
            parts = self.launch(2, directory)
            self.assertEqual(parts.column("loss"), straight.column("loss"), steps)
            self.assertEqual(state_hash(parts.directory), state_hash(straight.directory), steps)
        for number, (ranks, settings) in enumerate(((1, ()), *LAYOUTS)):
            directory = f"moved{number}"
            self.launch(2, directory, "--set", "train.max_steps=8")
            moved = self.launch(ranks, directory, *[w for s in settings for w in ("--set", s)])
            self.assert_same_run(straight, moved, settings)


if __name__ == "__main__":
    unittest.main(verbosity=2)
