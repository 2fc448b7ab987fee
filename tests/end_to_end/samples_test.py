"""What a model generates during training (log.samples): in every family and layout what `triga generate` makes of the checkpoint of that
step, with the average of the weights; and the run is the same to the bit as one without."""

import math
import signal
import struct
import subprocess
import time
import unittest

from triga_runner import TRIGA, Run, TrigaTest, environment, read_tensors

TAIL = """\
train: {max_steps: 12, global_batch: {samples: 8}, microbatch_size: 2, seed: 3, device: cpu, ema_decay: 0.5}
optimizer: {kind: adamw, learning_rate: 3.0e-3}
eval: {every_steps: 6}
checkpoint: {every_steps: 5, keep_last: 9}
"""
TEXT = """\
name: text
model: {plugin: transformer, kind: gpt2, config: {num_layers: 4, num_heads: 2, hidden_size: 32, context_length: 32, dropout: 0.1}}
data:
  train: {kind: text, files: [text.txt]}
  validation: {kind: text, files: [held_out.txt]}
  tokenizer: {kind: bytes}
log: {every_steps: 1, samples: {every_steps: 5, inputs: {prompt: "the ", max_new_tokens: 20, temperature: 0}}}
"""
IMAGES = """\
name: bars
model:
  plugin: diffusion
  kind: ddpm
  config: {sample_size: 8, in_channels: 1, block_out_channels: [8, 16], down_block_types: [DownBlock2D, AttnDownBlock2D],
           up_block_types: [AttnUpBlock2D, UpBlock2D], layers_per_block: 1, norm_num_groups: 4, num_train_timesteps: 100}
data:
  train: {kind: idx_images, images: bars.idx, take: {to: 0.9}}
  validation: {kind: idx_images, images: bars.idx, take: {from: 0.9}}
log: {every_steps: 1, samples: {every_steps: 5, inputs: {num_images: 3, num_steps: 4, seed: 2}}}
"""
FORECASTS = """\
name: waves
model: {plugin: rnn, kind: rnn_forecaster, config: {num_features: 2, horizon: 4, hidden_size: 16, num_layers: 3, cell: gru}}
data:
  train: {kind: csv_series, file: waves.csv, rows: {to: 150}, standardise: {to: 150}, input_length: 12, horizon: 4}
  validation: {kind: csv_series, file: waves.csv, rows: {from: 150}, standardise: {to: 150}, input_length: 12, horizon: 4}
log: {every_steps: 1, samples: {every_steps: 5, inputs: {file: waves.csv, from: 150}}}
"""
OFF = ("--set", "log.samples=null")
LAYOUTS = ((2, ()), (2, ("parallel.pp=2",)), (4, ("parallel.dp=2", "parallel.pp=2", "parallel.zero=2")))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def tensors(run):
    folder = run.directory / "checkpoints" / "latest"
    stem = ("unet", "diffusion_pytorch_model") if (folder / "unet").exists() else ("", "model")
    return {**read_tensors(folder / stem[0], stem[1]), **read_tensors(folder / "training", "optimizer")}


class SamplesTest(TrigaTest):
    def setUp(self):
        super().setUp()
        images = [bytes(255 if column == i % 8 else 10 * i % 60 for _ in range(8) for column in range(8)) for i in range(60)]
        (self.folder / "bars.idx").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">III", 60, 8, 8) + b"".join(images))
        rows = [f"day {i},{10 + 3 * math.sin(i / 4):.4f},{-2 + math.cos(i / 5):.4f}" for i in range(200)]
        (self.folder / "waves.csv").write_text("\n".join(["date,load,heat", *rows]) + "\n")

    def folders(self, run):
        return sorted(path.name for path in (run.directory / "samples").iterdir())

    def log_of(self, run):
        return (run.directory / "log" / "rank-0.log").read_text()

    def assert_same_run(self, run, other):
        for name, split in (("loss", "train"), ("grad_norm", "train"), ("loss", "validation")):
            self.assertEqual(run.column(name, split), other.column(name, split), name)
        self.assertEqual(tensors(run), tensors(other))

    def check(self, text, *inputs):
        """Returns the samples of the last step."""
        self.experiment.write_text(text + TAIL)
        run = self.launch(1, "with")
        self.assert_same_run(run, self.launch(1, "without", *OFF))
        self.assertFalse((self.folder / "without" / "samples").exists())
        self.assertEqual(self.folders(run), ["step-00000005", "step-00000010", "step-00000012"])
        words = [word for value in inputs for word in ("--input", value)]
        for step in self.folders(run):
            made = contents(run.directory / "samples" / step)
            done = self.command("generate", run.directory / "checkpoints" / step, *words, "--output-dir", f"made-{step}")
            self.assertEqual(done.returncode, 0, done.stderr)
            if "text.txt" in made:  # the command ends it with a line break, and names the files
                self.assertTrue(done.stdout.startswith(made.pop("text.txt").decode()), f"{step}: {done.stdout}")
            if made:
                self.assertEqual(made, contents(self.folder / f"made-{step}"), step)
        last = contents(run.directory / "samples" / "step-00000012")
        for ranks, settings in LAYOUTS:
            sets = [word for setting in settings for word in ("--set", setting)]
            name = f"{ranks}{''.join(settings)}"
            other = self.launch(ranks, name, *sets)
            self.assert_same_run(other, self.launch(ranks, f"{name}-without", *sets, *OFF))
            self.assertEqual(self.folders(other), self.folders(run))
            self.assertEqual(contents(other.directory / "samples" / "step-00000012").keys(), last.keys())
        return last

    def test_text(self):
        last = self.check(TEXT, "prompt=the ", "max_new_tokens=20", "temperature=0")
        self.assertTrue(last["text.txt"].startswith(b"the "))
        self.assertEqual(len(last["text.txt"]), len("the ") + 20 + 1)

    def test_images(self):
        last = self.check(IMAGES, "num_images=3", "num_steps=4", "seed=2")
        self.assertEqual(list(last), ["grid.png", "image-00000.png", "image-00001.png", "image-00002.png"])

    def test_forecasts(self):
        last = self.check(FORECASTS, "file=waves.csv", "from=150")
        self.assertEqual(list(last), ["forecast.csv", "forecast.svg", "text.txt"])
        resolved = (self.folder / "with" / "resolved.yaml").read_text()
        self.assertIn(str(self.folder / "waves.csv"), resolved.split("log:")[1], "a path is absolute in resolved.yaml")

    def stopped(self, name, *settings):
        """A run that a signal stops while its sampler works on what would take minutes."""
        line = [str(TRIGA), "train", str(self.experiment), "--run-dir", str(self.folder / name), *settings, "--set",
                "log.samples={every_steps: 5, inputs: {num_images: 10000000}}"]
        process = subprocess.Popen(line, cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        metrics = self.folder / name / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 5):
            time.sleep(0.01)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 75)
        self.assertEqual(Run(subprocess.CompletedProcess(line, 75, "", ""), self.folder / name).status_json()["step"], 5)

    def test_what_a_signal_gave_up_is_made_first_when_the_run_goes_on(self):
        self.experiment.write_text(IMAGES + TAIL)
        straight = self.launch(1, "straight")
        self.stopped("parts")
        self.assertFalse((self.folder / "parts" / "samples" / "step-00000005").exists())
        parts = self.launch(1, "parts")
        self.assert_same_run(parts, straight)
        for step in self.folders(straight):
            self.assertEqual(contents(parts.directory / "samples" / step), contents(straight.directory / "samples" / step))

    def test_what_is_there_is_not_made_again(self):
        self.experiment.write_text(TEXT + TAIL)
        run = self.launch(1, "run", "--set", "train.max_steps=10")
        marks = [run.directory / "samples" / step / "mark" for step in self.folders(run)]
        for mark in marks:
            mark.touch()
        again = self.launch(1, "run", "--set", "train.max_steps=15")
        self.assertEqual(self.folders(again), ["step-00000005", "step-00000010", "step-00000015"])
        self.assertTrue(all(mark.exists() for mark in marks))

    def test_a_sampler_that_refuses_does_not_end_the_run(self):
        self.experiment.write_text(TEXT + TAIL)
        run = self.launch(2, "run", "--set", "log.samples.inputs.prompt=" + "a" * 40, "--set", "parallel.pp=2")
        self.assertIn("step 5: none were made, the run goes on: prompt has 40 tokens; the model reads at most 32", self.log_of(run))
        self.assertFalse((run.directory / "samples").exists())
        (run.directory / "samples").write_text("in the way")
        run = self.launch(1, "run", "--set", "train.max_steps=14")
        self.assertIn("they could not be written, the run goes on", self.log_of(run))
        self.assertEqual(len(run.lines()), 14)


if __name__ == "__main__":
    unittest.main(verbosity=2)
