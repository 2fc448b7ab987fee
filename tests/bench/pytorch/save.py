"""torch.save of a GPT and its AdamW after a step: save.py FILE REPETITIONS [options of the model]; seconds of each as JSON."""

import argparse
import json
import time

import torch

from gpt import GPT, decay_groups

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("repetitions", type=int)
for name in ("layers", "heads", "width", "context", "vocab"):
    parser.add_argument(f"--{name}", type=int)
parser.add_argument("--dropout", type=float)
options = vars(parser.parse_args())
file, repetitions = options.pop("file"), options.pop("repetitions")

model = GPT(**options)
optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-3, fused=True)
for parameter in model.parameters():
    parameter.grad = torch.full_like(parameter, 1e-3)
optimizer.step()
optimizer.zero_grad(set_to_none=True)
seconds = []
for _ in range(repetitions):
    start = time.perf_counter()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds}))
