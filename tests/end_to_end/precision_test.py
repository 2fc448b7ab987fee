"""bf16 and recomputation: what they change and what not, on the quickstart's model and real text (Python sources)."""

import json
import pathlib
import re
import struct
import unittest

from triga_runner import TrigaTest, read_safetensors

QUICKSTART = pathlib.Path(__file__).resolve().parents[2] / "experiments" / "quickstart.yaml"
STEPS, WINDOW = 60, 20


class PrecisionTest(TrigaTest):
    def setUp(self):
        super().setUp()
        self.experiment = QUICKSTART

    def test_bf16_learns_as_fp32_does(self):
        """Mean loss over windows of steps, and held-out loss, within 1 %: with a learning rate at which a curve does not hang on
        its last bits (at the quickstart's, a change of rounding alone moved it by 2 % either way)."""
        settings = ("--set", f"train.max_steps={STEPS}", "--set", "log.every_steps=1", "--set", "optimizer.learning_rate=1.0e-3",
                    "--set", f"eval.every_steps={STEPS // 2}", "--set", "data.validation.take.from=0.9995")
        runs = {precision: self.launch(2, precision, *settings, "--set", f"train.precision={precision}", timeout=600)
                for precision in ("fp32", "bf16")}
        losses = {precision: run.column("loss") for precision, run in runs.items()}
        self.assertLess(losses["fp32"][STEPS], losses["fp32"][1] - 2, "nothing is learnt")
        self.assertNotEqual(losses["fp32"], losses["bf16"])
        for first in range(1, STEPS, WINDOW):
            means = {p: sum(values[s] for s in range(first, first + WINDOW)) / WINDOW for p, values in losses.items()}
            print(f"steps {first} to {first + WINDOW - 1}: {means['fp32']:.4f} with fp32, {means['bf16'] / means['fp32'] - 1:+.2%} with bf16")
            self.assertAlmostEqual(means["bf16"] / means["fp32"], 1, delta=0.01)
        held_out = {p: run.column("loss", "validation") for p, run in runs.items()}
        for step, loss in held_out["fp32"].items():
            self.assertAlmostEqual(held_out["bf16"][step] / loss, 1, delta=0.01)

    def test_an_export_may_be_bf16(self):
        run = self.launch(1, "run", "--set", "train.max_steps=1")
        latest = run.directory / "checkpoints" / "latest"
        for dtype, word, size in (("bf16", "BF16", 2), ("fp16", "F16", 2), ("fp32", "F32", 4)):
            done = self.command("checkpoint", "export", latest, self.folder / dtype, "--dtype", dtype)
            self.assertEqual(done.returncode, 0, done.stderr)
            exported = read_safetensors(self.folder / dtype / "model.safetensors")
            for name, (_, shape, content) in read_safetensors(latest / "model.safetensors").items():
                self.assertEqual(exported[name][:2], (word, shape))
                numbers = struct.unpack(f"<{len(content) // 4}f", content)
                got = exported[name][2]
                self.assertEqual(len(got), len(numbers) * size)
                if dtype == "bf16":  # bf16 is the upper half of fp32, rounded to nearest
                    got = struct.unpack(f"<{len(numbers)}f", b"".join(b"\0\0" + got[i:i + 2] for i in range(0, len(got), 2)))
                    self.assertLessEqual(max(abs(a - b) - abs(a) / 256 for a, b in zip(numbers, got)), 0)
                if dtype == "fp32":
                    self.assertEqual(got, content)
            self.assertEqual(json.loads((self.folder / dtype / "config.json").read_text())["dtype"],
                             {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}[dtype])
        wrong = self.command("checkpoint", "export", latest, self.folder / "x", "--dtype", "int8")
        self.assertEqual(wrong.returncode, 2)

    def test_recomputation_saves_memory(self):
        peaks = {}
        for recompute in ("none", "selective", "full"):
            run = self.launch(1, recompute, "--set", "train.max_steps=1", "--set", f"parallel.recompute={recompute}", "--set",
                              "model.config.dropout=0.1", "--set", "model.config.context_length=256")
            said = re.search(r"memory after the first step: ([\d.]+) MB, ([\d.]+) MB at its peak", run.out + run.err)
            peaks[recompute] = float(said[2]) - float(said[1])
        print({recompute: f"{megabytes:.0f} MB beside parameters" for recompute, megabytes in peaks.items()})
        # Selective drops attention's weights: 4 layers x 16 samples x 4 heads x 256 x 256 fp32. Full keeps a layer's inputs only.
        weights = 4 * 16 * 4 * 256 * 256 * 4 * 1e-6
        self.assertLess(peaks["selective"], peaks["none"] - 0.7 * weights)
        self.assertLess(peaks["full"], 0.5 * peaks["none"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
