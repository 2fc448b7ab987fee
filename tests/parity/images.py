"""Pillow on the same PNG and JPEG files: the same pixels; and on the scaling of image folders, within one level."""

import pathlib
import subprocess
import sys
import tempfile

import numpy
from PIL import Image


def picture(mode, width, height):
    """Smooth, with some noise: what photographs are like, so that JPEG does not decide."""
    y, x = numpy.mgrid[0:height, 0:width]
    noise = numpy.random.default_rng(1).integers(0, 20, (height, width, 3))
    rgb = numpy.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1) // 2 + noise
    return Image.fromarray(rgb.astype(numpy.uint8)).convert(mode)


def run(program, *arguments):
    output = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, check=True).stdout
    shape, pixels = output.split(b"\n", 1)
    return numpy.frombuffer(pixels, numpy.uint8).reshape([int(size) for size in shape.split()])


def channels_first(image):
    pixels = numpy.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def check_files(program, folder):
    cases = {
        "rgb.png": (picture("RGB", 31, 17), {}),
        "grey.png": (picture("L", 31, 17), {}),
        "palette.png": (picture("RGB", 31, 17).quantize(64), {}),
        "bits.png": (picture("1", 31, 17), {}),
        "rgb.jpg": (picture("RGB", 65, 33), {"quality": 90}),
        "half-colours.jpg": (picture("RGB", 65, 33), {"quality": 75, "subsampling": 2}),
        "progressive.jpg": (picture("RGB", 65, 33), {"progressive": True}),
        "grey.jpeg": (picture("L", 65, 33), {}),
    }
    for name, (image, options) in cases.items():
        path = folder / name
        image.save(path, **options)
        stored = Image.open(path)
        expected = channels_first(stored.convert("L" if stored.mode in ("L", "1") else "RGB"))
        ours = run(program, "read", path)
        assert ours.shape == expected.shape, (name, ours.shape, expected.shape)
        assert numpy.array_equal(ours, expected), (name, numpy.abs(ours.astype(int) - expected).max())


def check_alpha(program, folder):
    image = picture("RGBA", 9, 5)
    image.putalpha(Image.linear_gradient("L").resize((9, 5)))
    image.save(folder / "alpha.png")
    alpha = numpy.asarray(image)[..., 3].transpose()
    ours = run(program, "read", folder / "alpha.png").transpose(2, 1, 0)
    assert (ours[alpha == 0] == 0).all() and (ours[alpha == 255] == numpy.asarray(image).transpose(1, 0, 2)[alpha == 255][:, :3]).all()


def check_scaling(program, folder):
    """Triga computes in fp32 and rounds once, Pillow rounds to bytes after each direction: up to one level apart."""
    for width, height, size in ((200, 100, 32), (100, 201, 50), (20, 30, 64), (40, 40, 40)):
        path = folder / f"{width}x{height}" / "class" / "image.png"
        path.parent.mkdir(parents=True)
        image = picture("RGB", width, height)
        image.save(path)
        scale = size / min(width, height)
        scaled = image.resize((max(size, int(width * scale)), max(size, int(height * scale))), Image.Resampling.BILINEAR)
        left, top = (scaled.width - size) // 2, (scaled.height - size) // 2
        square = scaled.crop((left, top, left + size, top + size))
        for channels, expected in ((3, square), (1, square.convert("L"))):
            ours = run(program, "folder", path.parents[1], size, channels, 0)
            difference = numpy.abs(ours.astype(int) - channels_first(expected)).max()
            assert ours.shape == (channels, size, size) and difference <= (1 if channels == 3 else 2), (path, channels, difference)


def main(program):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        check_files(program, folder)
        check_alpha(program, folder)
        check_scaling(program, folder)


if __name__ == "__main__":
    main(sys.argv[1])
