"""A small ddpm learns digits that this test draws; most of what it makes must be digits, and all ten of them. And the judge must tell."""

import random
import struct
import unittest

import torch
from PIL import Image, ImageDraw

import judge_digits
from triga_runner import TrigaTest

SIZE = 12
EXPERIMENT = """\
name: digits
model:
  plugin: diffusion
  kind: ddpm
  config: {sample_size: 12, in_channels: 1, block_out_channels: [16, 32], down_block_types: [DownBlock2D, AttnDownBlock2D],
           up_block_types: [AttnUpBlock2D, UpBlock2D], layers_per_block: 1, norm_num_groups: 4, dropout: 0.0,
           beta_schedule: squaredcos_cap_v2, prediction_type: v_prediction, num_train_timesteps: 200}
data:
  train: {kind: idx_images, images: digits.idx, take: {to: 0.9}}
  validation: {kind: idx_images, images: digits.idx, take: {from: 0.9}}
train: {max_steps: 900, global_batch: {samples: 32}, microbatch_size: 16, seed: 1, device: cpu, ema_decay: 0.98}
optimizer: {kind: adamw, learning_rate: 3.0e-3}
learning_rate_schedule: {kind: cosine, warmup_steps: 50}
eval: {every_steps: 0}
checkpoint: {every_steps: 0}
log: {every_steps: 50, samples: {every_steps: 0, inputs: {num_images: 200, batch_size: 50, num_steps: 25, eta: 1}}}
"""
# The corners of each digit, in a box of 2 x 4.
STROKES = {0: [(0, 0), (2, 0), (2, 4), (0, 4), (0, 0)], 1: [(0, 1), (1, 0), (1, 4)], 2: [(0, 0), (2, 0), (2, 2), (0, 4), (2, 4)],
           3: [(0, 0), (2, 0), (1, 2), (2, 2), (2, 4), (0, 4)], 4: [(1.5, 4), (1.5, 0), (0, 2.5), (2, 2.5)],
           5: [(2, 0), (0, 0), (0, 2), (2, 2), (2, 4), (0, 4)], 6: [(2, 0), (0, 2), (0, 4), (2, 4), (2, 2), (0, 2)],
           7: [(0, 0), (2, 0), (0.7, 4)], 8: [(0, 0), (2, 0), (0, 4), (2, 4), (0, 0)], 9: [(2, 4), (2, 0), (0, 0), (0, 2), (2, 2)]}


def draw(digit, generator):
    """Shifted, slanted, of some width and size; four times as large, then scaled down."""
    scale = 4
    width, height = generator.uniform(2, 3), generator.uniform(1.7, 2.1)
    left, top, slant = generator.uniform(2.2, 4), generator.uniform(1.5, 2.5), generator.uniform(-0.3, 0.6)
    points = [((left + x * width + slant * (2 - y)) * scale, (top + y * height) * scale) for x, y in STROKES[digit]]
    image = Image.new("L", (SIZE * scale, SIZE * scale))
    ImageDraw.Draw(image).line(points, fill=255, width=generator.randint(4, 6), joint="curve")
    return image.resize((SIZE, SIZE), Image.BILINEAR)


class DigitsTest(TrigaTest):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        generator = random.Random(5)
        cls.labels = torch.tensor([i % 10 for i in range(3000)])
        cls.drawn = b"".join(draw(int(digit), generator).tobytes() for digit in cls.labels)
        cls.images = torch.frombuffer(bytearray(cls.drawn), dtype=torch.uint8).view(-1, SIZE, SIZE)
        cls.judge, cls.found = judge_digits.trained_judge(cls.images, cls.labels, SIZE, epochs=20)

    def setUp(self):
        super().setUp()
        header = bytes([0, 0, 8, 3]) + struct.pack(">III", len(self.images), SIZE, SIZE)
        (self.folder / "digits.idx").write_bytes(header + self.drawn)
        self.assertTrue(judge_digits.is_good_judge(self.found), self.found)

    def test_the_judge_knows_digits_from_what_is_none(self):
        verdict = judge_digits.judge_images(self.judge, self.images[-300:])
        self.assertGreater(verdict["recognised"], 0.95, verdict)
        torn = judge_digits.torn(judge_digits.scaled(self.images[-300:], SIZE), torch.Generator().manual_seed(7))
        verdict = judge_digits.judge_images(self.judge, (torn[:, 0] * 255).to(torch.uint8))
        self.assertLess(verdict["recognised"], 0.05, verdict)

    def test_ddpm_makes_digits(self):
        self.experiment.write_text(EXPERIMENT)
        self.launch(2, "untrained", "--set", "train.max_steps=1", "--set", "learning_rate_schedule={kind: constant}")
        run = self.launch(2, "run")
        first, last = (judge_digits.judge_images(self.judge, judge_digits.read_folder(self.folder / name / "samples" / step))
                       for name, step in (("untrained", "step-00000001"), ("run", "step-00000900")))
        print(last)
        self.assertLess(first["recognised"], 0.05, first)
        self.assertGreater(last["recognised"], 0.6, f"{last} in {run.directory}")
        self.assertTrue(all(0.02 <= share <= 0.25 for share in last["shares"]), last)


if __name__ == "__main__":
    unittest.main(verbosity=2)
