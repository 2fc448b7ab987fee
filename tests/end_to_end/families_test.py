"""Classifiers and forecasters of every family on small data: layouts, resume, evaluation; rolling forecasts as a table and a plot."""

import csv
import json
import math
import random
import re
import struct
import unittest
import xml.dom.minidom

from triga_runner import TrigaTest, state_hash

TAIL = """\
train: {max_steps: 12, global_batch: {samples: 10}, microbatch_size: 2, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 3.0e-3}
eval: {every_steps: 6}
checkpoint: {every_steps: 6}
log: {every_steps: 1}
"""
CLASSIFIER = """\
name: mood
model: {plugin: rnn, kind: rnn_classifier, config: {hidden_size: 16, embedding_size: 12, num_layers: 3, bidirectional: true, max_length: 40}}
data:
  train: {kind: labelled_text, files: [moods.tsv], take: {to: 0.8}}
  validation: {kind: labelled_text, files: [moods.tsv], take: {from: 0.8}}
  tokenizer: {kind: byte_bpe, vocab_size: 300}
"""
FORECASTER = """\
name: waves
model: {plugin: rnn, kind: rnn_forecaster, config: {num_features: 2, horizon: 4, hidden_size: 16, num_layers: 3, cell: gru, subtract_last: true}}
data:
  train: {kind: csv_series, file: waves.csv, rows: {to: 150}, standardise: {to: 150}, input_length: 12}
  validation: {kind: csv_series, file: waves.csv, rows: {from: 150}, standardise: {to: 150}, input_length: 12}
"""
ROWS = """\
name: bars
model: {plugin: rnn, kind: rnn_classifier, config: {input: features, num_features: 8, max_length: 8, num_labels: 4, hidden_size: 16, num_layers: 3}}
data:
  train: {kind: idx_rows, images: bars.idx, labels: labels.idx, take: {to: 0.8}}
  validation: {kind: idx_rows, images: bars.idx, labels: labels.idx, take: {from: 0.8}}
"""
VIT = """\
name: bars
model:
  plugin: transformer
  kind: vit_classifier
  config: {image_size: 8, patch_size: 4, num_channels: 1, num_labels: 4, num_layers: 3, num_heads: 2, hidden_size: 16, intermediate_size: 32,
           dropout: 0.1, attention_dropout: 0.1, shift: 1}
data:
  train: {kind: idx_images, images: bars.idx, labels: labels.idx, take: {to: 0.8}}
  validation: {kind: idx_images, images: bars.idx, labels: labels.idx, take: {from: 0.8}}
"""


class FamiliesTest(TrigaTest):
    def setUp(self):
        super().setUp()
        generator = random.Random(4)
        words = {0: "poor dull slow bad".split(), 1: "good fine warm witty".split()}
        lines = [" ".join(generator.choices(words[i % 2], k=generator.randint(1, 9))) + f"\t{i % 2}" for i in range(100)]
        (self.folder / "moods.tsv").write_text("\n".join(lines) + "\n")
        rows = [f"day {i},{10 + 3 * math.sin(i / 4):.4f},{-2 + math.cos(i / 5):.4f}" for i in range(200)]
        (self.folder / "waves.csv").write_text("\n".join(["date,load,heat", *rows]) + "\n")
        images = [bytes(255 if column // 2 == i % 4 else 7 * i % 50 for _ in range(8) for column in range(8)) for i in range(100)]
        (self.folder / "bars.idx").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">III", 100, 8, 8) + b"".join(images))
        (self.folder / "labels.idx").write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 100) + bytes(i % 4 for i in range(100)))

    def check(self, text, metric):
        self.experiment.write_text(text + TAIL)
        alone = self.launch(1, "alone")
        for ranks, settings in ((3, ()), (2, ("parallel.pp=2",)), (4, ("parallel.dp=2", "parallel.pp=2", "parallel.zero=2"))):
            run = self.launch(ranks, f"{ranks}{''.join(settings)}", *[w for s in settings for w in ("--set", s)])
            for split, names in (("train", ("loss", "grad_norm")), ("validation", ("loss", metric))):
                for name in names:
                    expected, got = alone.column(name, split), run.column(name, split)
                    self.assertEqual(expected.keys(), got.keys())
                    for step in expected:  # fp32 sums in another order; a metric may be 0
                        self.assertAlmostEqual(got[step], expected[step], delta=1e-5 * max(1, abs(expected[step])),
                                               msg=f"{settings} {name} {step}")
        self.launch(2, "parts", "--set", "train.max_steps=6")
        parts, straight = self.launch(2, "parts"), self.launch(2, "straight")
        self.assertEqual(state_hash(parts.directory), state_hash(straight.directory))
        for run in (alone, self.check_bf16(alone, state_hash)):
            completed = self.command("evaluate", run.directory, "--json")
            self.assertEqual(completed.returncode, 0, completed.stderr)
            self.assertIn(f'"{metric}":', completed.stdout)
        return alone

    def test_rnn_classifier(self):
        self.check(CLASSIFIER, "accuracy")

    def test_every_cell_learns_in_bf16(self):
        """Padded and packed sequences. lstm packed and gru padded: above."""
        for text, cells in ((ROWS, ("gru", "rnn_tanh", "rnn_relu")), (FORECASTER, ("lstm", "rnn_tanh", "rnn_relu"))):
            self.experiment.write_text(text + TAIL)
            for cell in cells:
                with self.subTest(cell=cell, text=text[:12]):
                    setting = ("--set", f"model.config.cell={cell}")
                    fp32, bf16 = (self.launch(1, f"{text[6:10]}{cell}{precision}", *setting, "--set", f"train.precision={precision}")
                                  for precision in ("fp32", "bf16"))
                    for step, loss in fp32.column("loss").items():
                        self.assertAlmostEqual(bf16.column("loss")[step] / loss, 1, delta=0.01, msg=step)

    def test_rnn_classifier_of_rows_of_images(self):
        self.check(ROWS, "accuracy")
        longer = self.launch(1, "longer", "--set", "train.max_steps=80", "--set", "optimizer.learning_rate=1.0e-2")
        self.assertGreater(longer.column("accuracy", "validation")[80], 0.9)  # a bar at one of four places

    def test_vit_classifier(self):
        self.check(VIT, "accuracy")

    def test_rnn_forecaster(self):
        run = self.check(FORECASTER, "mae")
        inputs = ("--input", "file=waves.csv", "--input", "from=150")
        completed = self.command("generate", run.directory, *inputs, "--output-dir", "out")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertIn("12 forecasts of 4 rows: mse ", completed.stdout)
        self.check_reading_comes_from_training(run, inputs, completed.stdout)
        with open(self.folder / "out" / "forecast.csv", newline="") as file:
            table = list(csv.DictReader(file))
        self.assertEqual([(line["row"], line["column"]) for line in table],
                         [(str(row), name) for row in range(150, 198) for name in ("load", "heat")])
        for line in table:
            row = int(line["row"])
            happened = 10 + 3 * math.sin(row / 4) if line["column"] == "load" else -2 + math.cos(row / 5)
            self.assertAlmostEqual(float(line["actual"]), happened, delta=1e-4)
            self.assertLess(abs(float(line["forecast"]) - happened), 8, "in other units than the file's")
        svg = xml.dom.minidom.parse(str(self.folder / "out" / "forecast.svg"))
        self.assertEqual(len(svg.getElementsByTagName("polyline")), 4)  # what happened and the forecast, of two columns

    def forecasts(self, directory, *arguments, status=0):
        completed = self.command("generate", directory, *arguments, "--output-dir", "again")
        self.assertEqual(completed.returncode, status, completed.stderr)
        return completed.stderr if status else (completed.stdout.splitlines()[0], (self.folder / "again" / "forecast.csv").read_text())

    def check_reading_comes_from_training(self, run, inputs, said):
        """Columns, means, deviations and the length of the input are those of training; what an input says goes before."""
        whole = ("--input", "columns=load,heat", "--input", "input_length=12", "--input", "standardise_to=150")
        table = (self.folder / "out" / "forecast.csv").read_text()
        expected = (said.splitlines()[0], table)
        self.assertEqual(self.forecasts(run.directory, *inputs, *whole), expected)
        lines = (self.folder / "waves.csv").read_text().splitlines()
        cells = [line.split(",") for line in lines]  # the same in another file: another order, another column, other rows before
        (self.folder / "moved.csv").write_text("\n".join(f"{heat},{number},{load}" for number, (_, load, heat) in
                                                         zip(["count", *range(100, 200)], [cells[0], *cells[101:]])) + "\n")
        moved = self.forecasts(run.directory, "--input", "file=moved.csv", "--input", "from=50")
        self.assertEqual(moved[0], expected[0])
        values = [[line.split(",")[1:] for line in text.splitlines()] for text in (moved[1], table)]
        self.assertEqual(*values)
        self.assertNotEqual(self.forecasts(run.directory, *inputs, "--input", "standardise_to=0"), expected)
        self.assertNotEqual(self.forecasts(run.directory, *inputs, "--input", "input_length=11"), expected)

        bare = self.folder / "bare"  # as of a run that did not say it
        self.assertEqual(self.command("checkpoint", "export", run.directory / "checkpoints" / "latest", bare).returncode, 0)
        experiment = ("--experiment", str(self.experiment))
        self.assertEqual(self.forecasts(bare, *experiment, *inputs), expected)
        (bare / "series.json").unlink()
        says = self.forecasts(bare, *experiment, *inputs, status=2)
        self.assertIn("has no series.json, which says how the series was read in training; give it as it was: --input columns=NAME,NAME "
                      "--input input_length=ROWS --input standardise_to=ROW (0: not standardised)", says)
        for missing in (0, 2, 4):
            some = whole[:missing] + whole[missing + 2:]
            self.assertIn(whole[missing + 1].split("=")[0], self.forecasts(bare, *experiment, *inputs, *some, status=2))
        self.assertEqual(self.forecasts(bare, *experiment, *inputs, *whole), expected)
        (bare / "series.json").write_text('{"columns": ["load"]}')
        self.assertIn("series.json: ", self.forecasts(bare, *experiment, *inputs, status=5))

    def test_the_horizon_is_one_setting_and_an_evaluation_measures_it(self):
        """An evaluation begins a forecast at every row. So does a rolling forecast of one row at a time, and must come to the same numbers."""
        self.experiment.write_text(FORECASTER + TAIL)
        inputs = ("--input", "file=waves.csv", "--input", "from=150")
        for horizon in (9, 1):
            run = self.launch(2, f"horizon{horizon}", "--set", f"model.config.horizon={horizon}")
            generated = self.command("generate", run.directory, *inputs, "--output-dir", f"out{horizon}")
            self.assertEqual(generated.returncode, 0, generated.stderr)
            self.assertIn(f"{50 // horizon} forecasts of {horizon} rows: mse ", generated.stdout)
        evaluated = self.command("evaluate", run.directory, "--json")
        self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
        for name in ("mse", "mae"):
            rolling = float(re.search(rf"{name} ([0-9.e-]+)", generated.stdout).group(1))  # six digits
            self.assertAlmostEqual(json.loads(evaluated.stdout)[name], rolling, delta=2e-5 * rolling)

    def test_what_does_not_fit_is_said(self):
        self.experiment.write_text(FORECASTER + TAIL)
        run = self.launch(1, "run", "--set", "train.max_steps=1", "--set", "checkpoint.every_steps=1")
        for inputs, status, says in (
            (("file=none.csv",), 4, "none.csv"),
            (("file=waves.csv", "columns=load"), 4, "1 columns; the model forecasts 2"),
            (("file=waves.csv", "columns=heat,load"), 2, "columns: heat,load, but the model was trained on load,heat, in this order"),
            (("file=waves.csv", "from=199"), 4, "is no place for a forecast of 4 rows"),
            (("file=waves.csv", "standardise_to=900"), 4, "are no rows of it; there are 200"),
            ((), 2, "file"),
        ):
            completed = self.command("generate", run.directory, *[word for value in inputs for word in ("--input", value)])
            self.assertEqual(completed.returncode, status, completed.stderr)
            self.assertIn(says, completed.stderr)
        self.experiment.write_text(VIT + TAIL)
        completed = self.command("train", self.experiment, "--run-dir", "wrong", "--set", "model.config.num_labels=2")
        self.assertEqual(completed.returncode, 4, completed.stderr)
        self.assertIn("but the model tells 2 apart (num_labels): 0 to 1", completed.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
