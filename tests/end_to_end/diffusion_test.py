"""A small ddpm learns pictures of bars: layouts, resume, and images made by both samplers."""

import struct
import unittest
import zlib

from triga_runner import TrigaTest, read_tensors

EXPERIMENT = """\
name: bars
model:
  plugin: diffusion
  kind: ddpm
  config:
    sample_size: 8
    in_channels: 1
    block_out_channels: [8, 16]
    down_block_types: [DownBlock2D, AttnDownBlock2D]
    up_block_types: [AttnUpBlock2D, UpBlock2D]
    layers_per_block: 1
    norm_num_groups: 4
    num_train_timesteps: 100
data:
  train: {kind: idx_images, images: bars.idx, take: {to: 0.9}}
  validation: {kind: idx_images, images: bars.idx, take: {from: 0.9}}
train: {max_steps: 12, global_batch: {samples: 8}, microbatch_size: 2, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 2.0e-3}
eval: {every_steps: 6}
checkpoint: {every_steps: 6}
log: {every_steps: 1}
"""


def png_size_and_pixels(path):
    """Height, width and the bytes of rows of an 8-bit grey PNG, by its definition."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n"), path
    place, packed = 8, b""
    while place < len(content):
        size, kind = struct.unpack(">I4s", content[place:place + 8])
        chunk = content[place + 8:place + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", chunk[:10])
            assert (depth, colour) == (8, 0), "not 8-bit grey"
        packed += chunk if kind == b"IDAT" else b""
        place += 12 + size
    return height, width, zlib.decompress(packed)


class DiffusionTest(TrigaTest):
    def setUp(self):
        super().setUp()
        self.experiment.write_text(EXPERIMENT)
        images = [bytes(255 if column == i % 8 else 10 * i % 60 for _ in range(8) for column in range(8)) for i in range(60)]
        header = bytes([0, 0, 8, 3]) + struct.pack(">III", len(images), 8, 8)
        (self.folder / "bars.idx").write_bytes(header + b"".join(images))

    def generate(self, run, folder, *inputs, status=0):
        words = [word for value in inputs for word in ("--input", value)]
        completed = self.command("generate", run.directory, "--output-dir", folder, *words)
        self.assertEqual(completed.returncode, status, completed.stderr)
        return completed.stdout if status == 0 else completed.stderr

    def test_the_layout_changes_nothing(self):
        alone = self.launch(1, "alone")
        for ranks, settings in ((2, ()), (2, ("parallel.pp=2",)), (4, ("parallel.dp=2", "parallel.pp=2"))):
            run = self.launch(ranks, f"{ranks}{''.join(settings)}", *[w for s in settings for w in ("--set", s)])
            for split, names in (("train", ("loss", "grad_norm")), ("validation", ("loss", "bits_per_dim"))):
                for name in names:
                    expected, got = alone.column(name, split), run.column(name, split)
                    self.assertEqual(expected.keys(), got.keys())
                    for step in expected:  # fp32 sums in another order
                        self.assertAlmostEqual(got[step] / expected[step], 1, delta=1e-5, msg=f"{settings} {name} {step}")

    def test_a_resumed_run_is_the_same_to_the_bit(self):
        straight = self.launch(2, "straight")
        self.launch(2, "parts", "--set", "train.max_steps=6")
        parts = self.launch(2, "parts")

        def tensors(directory):
            folder = directory / "checkpoints" / "latest"
            return {**read_tensors(folder / "unet", "diffusion_pytorch_model"), **read_tensors(folder / "training", "optimizer")}

        self.assertEqual(tensors(parts.directory), tensors(straight.directory))
        self.check_bf16(straight, tensors)

    def test_images_depend_on_seed_and_number_alone(self):
        run = self.launch(1, "run")
        out = self.generate(run, "a", "num_images=3", "batch_size=2", "num_steps=5", "eta=0.5", "seed=7")
        self.assertEqual(out, f"4 files in {self.folder / 'a'}: image-00000.png, image-00001.png, image-00002.png, grid.png\n")
        out = self.generate(run, "b", "num_images=5", "batch_size=5", "num_steps=5", "eta=0.5", "seed=7")
        self.assertIn(": ..., image-00002.png, image-00003.png, image-00004.png, grid.png\n", out)
        self.generate(run, "c", "num_images=3", "num_steps=5", "eta=0.5", "seed=8")
        images = {name: [png_size_and_pixels(path) for path in sorted((self.folder / name).glob("image-*.png"))] for name in "abc"}
        self.assertEqual([len(images[name]) for name in "abc"], [3, 5, 3])
        self.assertEqual(images["a"][0][:2], (8, 8))
        self.assertEqual(len({pixels for _, _, pixels in images["b"]}), 5)
        # A batch of another size may take other kernels, whose sums have another order: the last bit of a byte.
        for (_, _, ours), (_, _, theirs) in zip(images["a"], images["b"]):
            self.assertLessEqual(max(abs(x - y) for x, y in zip(ours, theirs)), 1)
        self.assertNotEqual(images["a"], images["c"])
        self.assertEqual(png_size_and_pixels(self.folder / "b" / "grid.png")[:2], (18, 28))

    def test_ddpm_takes_all_steps(self):
        run = self.launch(1, "run", "--set", "train.max_steps=2")
        self.generate(run, "a", "method=ddpm", "num_images=1")
        self.generate(run, "b", "method=ddpm", "num_images=1", "num_steps=100")
        self.assertEqual((self.folder / "a" / "image-00000.png").read_bytes(), (self.folder / "b" / "image-00000.png").read_bytes())
        error = self.generate(run, "c", "num_steps=101", status=2)
        self.assertIn("the model was trained with 100 timesteps, so at most that many", error)
        self.assertFalse((self.folder / "c").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
