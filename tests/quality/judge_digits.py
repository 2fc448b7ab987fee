"""Judges images of digits: a small classifier, trained on real digits and on what is none, says which it recognises.

    python judge_digits.py --images t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz samples/

The classifier has an eleventh class for what is no digit. It is trained on nine tenths of the digits and must be right on 97 % of the rest,
and confident (over 0.9 for one digit) on under 5 % of noise. Of each folder of PNG files it prints how many it is confident on, and how
these spread over the digits. Exit status 1: the classifier is not good enough, or a folder is not (--at-least, --shares)."""

import argparse
import gzip
import json
import struct
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

CONFIDENT = 0.9
ACCURACY, NOISE = 0.97, 0.05  # what the classifier must reach on held-out digits, and stay under on noise
NO_DIGIT = 10


def read_idx(path):
    content = Path(path).read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    num_dims = content[3]
    shape = struct.unpack(f">{num_dims}I", content[4 : 4 + 4 * num_dims])
    return torch.from_numpy(numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * num_dims).reshape(shape).copy())


def read_folder(folder):
    """uint8 [N, H, W]: its files image-*.png."""
    paths = sorted(Path(folder).glob("image-*.png"))
    if not paths:
        raise SystemExit(f"{folder}: no image-*.png in it")
    return torch.stack([torch.from_numpy(numpy.array(Image.open(path).convert("L"))) for path in paths])


def scaled(images, size):
    """uint8 [N, H, W] as fp32 [N, 1, size, size], 0 to 1; as `idx_images` scales them."""
    images = images[:, None].float()
    if images.shape[-2:] != (size, size):
        images = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True).clamp(0, 255).round()
    return images / 255


class Judge(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3),
            nn.Linear(64 * (size // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 11),
        )  # fmt: skip

    def forward(self, images):
        return self.layers(images)

    @torch.no_grad()
    def look_at(self, images):
        """Of uint8 [N, H, W]: the digit, and how sure it is of it."""
        self.eval()
        probabilities = torch.cat([self(scaled(part, self.size)).softmax(1) for part in images.split(500)])
        sureness, digits = probabilities[:, :NO_DIGIT].max(1)
        return digits, sureness


def moved(images, generator):
    """Turned, stretched and shifted a little, so that the judge learns shapes and not the digits that it saw."""

    def uniform(limit):
        return (2 * torch.rand(len(images), generator=generator) - 1) * limit

    turn, wide, high, slant = uniform(0.2), 1 + uniform(0.12), 1 + uniform(0.12), uniform(0.2)
    shift = 2 / images.shape[-1]  # one pixel
    rows = [turn.cos() * wide, -turn.sin() + slant, uniform(shift), turn.sin(), turn.cos() * high, uniform(shift)]
    grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def noise_like(images, generator):
    """As many images of four sorts of noise: single pixels, grey ones, blots of some width, blots with edges."""

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    count, size = len(images), images.shape[-1]
    uniform = torch.rand(count, 1, size, size, generator=generator)
    grey = (0.5 + 0.3 * normal(count, 1, size, size)).clamp(0, 1)
    grid = int(torch.randint(3, 8, (1,), generator=generator))
    blots = F.interpolate(normal(count, 1, grid, grid), size=(size, size), mode="bicubic")
    blots = (blots - blots.mean((2, 3), keepdim=True)) / blots.std((2, 3), keepdim=True)
    edged = (4 * blots - 2).clamp(0, 1)  # about as much ink as digits have
    sort = torch.randint(4, (count, 1, 1, 1), generator=generator)
    return torch.stack([uniform, grey, (0.3 + 0.3 * blots).clamp(0, 1), edged]).gather(0, sort[None].expand(1, -1, 1, size, size))[0]


def torn(images, generator):
    """Digits whose sixteen parts lie in another order: strokes that make no digit."""
    count, size = len(images), images.shape[-1]
    part = size // 4
    parts = F.unfold(images[..., : 4 * part, : 4 * part], part, stride=part)  # [N, pixels, 16]
    order = torch.rand(count, 16, generator=generator).argsort(1)
    shuffled = parts.gather(2, order[:, None].expand_as(parts))
    return F.pad(F.fold(shuffled, (4 * part, 4 * part), part, stride=part), (0, size - 4 * part) * 2)


def train_judge(images, labels, size, epochs=12, seed=1):
    """`images` uint8 [N, H, W], `labels` [N]: digits."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    digits, labels = scaled(images, size), labels.long()
    judge = Judge(size).train()
    batch = 96
    num_steps = epochs * (len(digits) // batch)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=num_steps)
    for _ in range(num_steps):
        chosen = torch.randint(len(digits), (batch,), generator=generator)
        others = torch.randint(len(digits), (batch // 3,), generator=generator)
        none = torch.cat([noise_like(digits[others], generator), torn(digits[others], generator)])
        inputs = torch.cat([moved(digits[chosen], generator), none])
        targets = torch.cat([labels[chosen], torch.full((len(none),), NO_DIGIT)])
        loss = F.cross_entropy(judge(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge


def check_judge(judge, images, labels):
    """On digits that it has not seen, and on new noise."""
    digits, sureness = judge.look_at(images)
    noise = noise_like(scaled(images, judge.size), torch.Generator().manual_seed(99))
    _, sure_of_noise = judge.look_at((noise[:, 0] * 255).round().to(torch.uint8))
    return {
        "accuracy": (digits == labels).float().mean().item(),
        "confident on digits": (sureness > CONFIDENT).float().mean().item(),
        "confident on noise": (sure_of_noise > CONFIDENT).float().mean().item(),
    }


def judge_images(judge, images):
    """The share that is recognised, and of these the share of each digit."""
    digits, sureness = judge.look_at(images)
    recognised = digits[sureness > CONFIDENT]
    counts = torch.bincount(recognised, minlength=10).float()
    return {"images": len(images), "recognised": len(recognised) / len(images), "shares": (counts / max(1, len(recognised))).tolist()}


def is_good_judge(found):
    return found["accuracy"] >= ACCURACY and found["confident on noise"] < NOISE


def trained_judge(images, labels, size, **options):
    """Nine tenths to learn from, the rest to check it by. Returns the judge and what check_judge found."""
    cut = len(images) * 9 // 10
    judge = train_judge(images[:cut], labels[:cut], size, **options)
    return judge, check_judge(judge, images[cut:], labels[cut:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="IDX file of real digits")
    parser.add_argument("--labels", required=True, help="IDX file of their labels")
    parser.add_argument("--at-least", type=float, default=0.9, help="share of a folder that must be recognised")
    parser.add_argument("--shares", type=float, nargs=2, default=(0.03, 0.2), help="of each digit among the recognised")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("folders", nargs="+", help="folders with image-*.png, all of one size")
    arguments = parser.parse_args()
    folders = {name: read_folder(name) for name in arguments.folders}
    (size,) = {images.shape[-1] for images in folders.values()}
    judge, found = trained_judge(read_idx(arguments.images), read_idx(arguments.labels), size, epochs=arguments.epochs)
    is_good = is_good_judge(found)
    print(json.dumps({"judge": found, "good enough": is_good}))
    for name, images in folders.items():
        verdict = judge_images(judge, images)
        low, high = arguments.shares
        verdict["passes"] = verdict["recognised"] >= arguments.at_least and all(low <= share <= high for share in verdict["shares"])
        is_good = is_good and verdict["passes"]
        print(json.dumps({"folder": name, **verdict}))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
