"""vit_classifier on folders of PNG and JPEG files of all shapes, one folder a class, with augmentation: it learns them, in every layout,
and is evaluated; what Pillow reads from the same files, transformers classifies the same."""

import json
import random
import unittest

import torch
from PIL import Image
from transformers import AutoModelForImageClassification
from triga_runner import TrigaTest, state_hash

CLASSES = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (210, 50, 40)}  # in the order of their labels
SIZE = 16
EXPERIMENT = f"""\
name: colours
model:
  plugin: transformer
  kind: vit_classifier
  config: {{image_size: {SIZE}, patch_size: 8, num_channels: 3, num_labels: 3, num_layers: 2, num_heads: 2, hidden_size: 16,
           intermediate_size: 32, shift: 2, flip: true}}
data:
  train: {{kind: image_folder, folder: train, size: {SIZE}}}
  validation: {{kind: image_folder, folder: held_out, size: {SIZE}}}
train: {{max_steps: 30, global_batch: {{samples: 10}}, microbatch_size: 2, seed: 3, device: cpu}}
optimizer: {{kind: adamw, learning_rate: 1.0e-2}}
learning_rate_schedule: {{kind: cosine, warmup_steps: 5}}
eval: {{every_steps: 15}}
checkpoint: {{every_steps: 15}}
log: {{every_steps: 1}}
"""


def draw(path, colour, generator):
    """Speckles around a colour, wide, tall or square, in the format that the file's name says."""
    width, height = generator.choice([(SIZE, SIZE), (33, 20), (18, 40), (9, 12)])
    image = Image.new("RGB", (width, height))
    image.putdata([tuple(min(255, max(0, value + generator.randint(-40, 40))) for value in colour) for _ in range(width * height)])
    image.save(path)


class ImageFolderTest(TrigaTest):
    def setUp(self):
        super().setUp()
        generator = random.Random(6)
        for split, count in (("train", 12), ("held_out", 4)):
            for name, colour in CLASSES.items():
                folder = self.folder / split / name
                folder.mkdir(parents=True)
                for i in range(count):
                    draw(folder / f"{i:02}{('.png', '.jpg', '.PNG', '.jpeg')[i % 4]}", colour, generator)
        self.experiment.write_text(EXPERIMENT)

    def test_it_learns_in_every_layout(self):
        alone = self.launch(1, "alone")
        self.assertEqual(alone.column("accuracy", "validation")[30], 1.0, "colours that cannot be mistaken")
        for ranks, settings in ((2, ()), (3, ("parallel.zero=2",)), (2, ("parallel.pp=2",))):
            run = self.launch(ranks, f"{ranks}{''.join(settings)}", *[word for s in settings for word in ("--set", s)])
            for split in ("train", "validation"):
                expected, got = alone.column("loss", split), run.column("loss", split)
                self.assertEqual(expected.keys(), got.keys())
                for step in expected:  # fp32 sums in another order, over thirty steps
                    self.assertAlmostEqual(got[step], expected[step], delta=1e-4, msg=f"{ranks} ranks {settings} {split} {step}")
        self.launch(2, "parts", "--set", "train.max_steps=15", "--set", "learning_rate_schedule.decay_steps=30")
        parts = self.launch(2, "parts", "--set", "learning_rate_schedule.decay_steps=30")
        self.assertEqual(state_hash(parts.directory), state_hash(self.folder / "2"), "augmentation of epochs after the first")
        plain = self.launch(1, "plain", "--set", "model.config.shift=0", "--set", "model.config.flip=false", "--set", "train.max_steps=3")
        self.assertNotEqual(plain.column("loss")[3], alone.column("loss")[3], "augmentation does nothing")

        completed = self.command("evaluate", alone.directory, "--json")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        loss = json.loads(completed.stdout)["loss"]
        self.assertAlmostEqual(loss, alone.column("loss", "validation")[30], delta=1e-6)
        self.assertAlmostEqual(loss, self.loss_in_transformers(alone.directory / "checkpoints" / "latest"), delta=0.02)

    def loss_in_transformers(self, folder):
        """Of Pillow's pixels, which are up to one level off where it scales."""
        model = AutoModelForImageClassification.from_pretrained(folder).eval()
        pixels, labels = [], []
        for label, name in enumerate(CLASSES):
            for path in sorted((self.folder / "held_out" / name).iterdir()):
                image = Image.open(path).convert("RGB")
                scale = SIZE / min(image.size)
                image = image.resize([max(SIZE, int(side * scale)) for side in image.size], Image.Resampling.BILINEAR)
                left, top = ((side - SIZE) // 2 for side in image.size)
                square = image.crop((left, top, left + SIZE, top + SIZE))
                pixels.append(torch.tensor(list(square.tobytes())).view(SIZE, SIZE, 3).permute(2, 0, 1) / 127.5 - 1)
                labels.append(label)
        with torch.no_grad():
            return model(torch.stack(pixels), labels=torch.tensor(labels)).loss.item()

    def test_a_file_that_is_no_image_is_named(self):
        (self.folder / "train" / "red" / "00.png").write_text("words")
        run = self.launch(1, "run", check=False)
        self.assertEqual(run.status, 4, str(run))
        self.assertRegex(run.err, r"data\.train: sample 24: .*/train/red/00\.png: neither PNG nor JPEG")


if __name__ == "__main__":
    unittest.main(verbosity=2)
