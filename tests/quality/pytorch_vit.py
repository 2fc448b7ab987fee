#!/usr/bin/env python3
"""The figure beside that of vit_mnist: the same set-up in PyTorch, with transformers' ViTForImageClassification.

    .deps/venv/bin/python tests/quality/pytorch_vit.py runs/vit-mnist [--seeds 3]

Model, data, augmentation and training are read from the run's resolved.yaml; weights and the order of samples are PyTorch's own. As there,
the best of its evaluations counts.
"""

import argparse
import gzip
import math
import pathlib
import statistics

import numpy
import torch
import yaml
from transformers import ViTConfig, ViTForImageClassification


def read_idx(path):
    content = gzip.decompress(pathlib.Path(path).read_bytes())
    num_dims = content[3]
    shape = numpy.frombuffer(content, ">u4", num_dims, 4).tolist()
    return torch.from_numpy(numpy.frombuffer(content, numpy.uint8, -1, 4 + 4 * num_dims).reshape(shape).copy())


def read(split):
    """Images [N, 1, H, W] from -1 to 1, labels [N]."""
    images, labels = read_idx(split["images"]), read_idx(split["labels"]).long()
    assert split["size"] == "none", split
    begin, end = (int(split["take"].get(key, whole) * len(images)) for key, whole in (("from", 0.0), ("to", 1.0)))
    return images[begin:end].unsqueeze(1).float() / 127.5 - 1, labels[begin:end]


def shifted(images, most):
    """Each moved by up to so many pixels in both directions, black behind it."""
    padded = torch.nn.functional.pad(images, [most] * 4, value=-1.0)
    height, width = images.shape[2:]
    places = torch.randint(0, 2 * most + 1, (len(images), 2)).tolist()
    return torch.stack([image[:, top:top + height, left:left + width] for image, (top, left) in zip(padded, places)])


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    right = sum(int((model(x).logits.argmax(1) == y).sum()) for x, y in zip(images.split(250), labels.split(250)))
    model.train()
    return right / len(labels)


def make_model(config):
    return ViTForImageClassification(ViTConfig(
        image_size=config["image_size"], patch_size=config["patch_size"], num_channels=config["num_channels"],
        num_labels=config["num_labels"], num_hidden_layers=config["num_layers"], num_attention_heads=config["num_heads"],
        hidden_size=config["hidden_size"], intermediate_size=config["intermediate_size"], hidden_dropout_prob=config["dropout"],
        attention_probs_dropout_prob=config["attention_dropout"], layer_norm_eps=float(config["layer_norm_epsilon"]),
        initializer_range=config["initializer_range"]))


def factor(schedule, step, total):
    """Warm-up, then half a cosine to zero."""
    warmup = schedule["warmup_steps"]
    return (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def train(experiment, parts, seed):
    """The best accuracy of all evaluations."""
    torch.manual_seed(seed)
    config, settings, options, schedule = (experiment["model"]["config"], experiment["train"], experiment["optimizer"],
                                           experiment["learning_rate_schedule"])
    assert schedule["kind"] == "cosine" and schedule["final_factor"] == 0 and not config["flip"], experiment
    model = make_model(config)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": options["weight_decay"]},
         {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0}],
        lr=options["learning_rate"], betas=options["betas"], eps=float(options["eps"]))
    (images, labels), batch = parts["train"], settings["global_batch"]["samples"]
    total, step, best = settings["max_epochs"] * -(-len(images) // batch), 0, 0.0
    for _ in range(settings["max_epochs"]):
        for chosen in torch.randperm(len(images)).split(batch):
            for group in optimizer.param_groups:
                group["lr"] = options["learning_rate"] * factor(schedule, step, total)
            optimizer.zero_grad()
            logits = model(shifted(images[chosen], config["shift"])).logits
            torch.nn.functional.cross_entropy(logits, labels[chosen]).backward()
            torch.nn.utils.clip_grad_norm_(parameters, settings["clip_norm"])
            optimizer.step()
            step += 1
            if step % experiment["eval"]["every_steps"] == 0 or step == total:
                best = max(best, accuracy(model, *parts["validation"]))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="a run of vit_mnist")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on (default 3)")
    arguments = parser.parse_args()
    experiment = yaml.safe_load((arguments.run / "resolved.yaml").read_text())
    if experiment["model"]["kind"] != "vit_classifier":
        parser.error(f"{arguments.run} is a run of {experiment['model']['kind']}, not of vit_classifier")
    parts = {name: read(experiment["data"][name]) for name in ("train", "validation")}
    found = []
    for seed in range(1, arguments.seeds + 1):
        found.append(train(experiment, parts, seed))
        print(f"seed {seed}: {found[-1]:.4f}", flush=True)
    print(f"median {statistics.median(found):.4f}, {min(found):.4f} .. {max(found):.4f}")


if __name__ == "__main__":
    main()
