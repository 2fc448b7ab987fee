"""torch.save of a GPT and its AdamW after a step: save.py FOLDER REPETITIONS [options of the model]; seconds of each as JSON.

Each goes to a file of its own, and the one before is removed afterwards, as a run that keeps the newest does it.
"""

import argparse
import json
import pathlib
import time

import torch

from gpt import GPT, decay_groups

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("repetitions", type=int)
for name in ("layers", "heads", "width", "context", "vocab"):
    parser.add_argument(f"--{name}", type=int)
parser.add_argument("--dropout", type=float)
options = vars(parser.parse_args())
folder, repetitions = options.pop("folder"), options.pop("repetitions")

model = GPT(**options)
optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-3, fused=True)
for parameter in model.parameters():
    parameter.grad = torch.full_like(parameter, 1e-3)
optimizer.step()
optimizer.zero_grad(set_to_none=True)
seconds = []
for number in range(repetitions):
    start = time.perf_counter()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, folder / f"state-{number}.pt")
    seconds.append(time.perf_counter() - start)
    (folder / f"state-{number - 1}.pt").unlink(missing_ok=True)
print(json.dumps({"seconds": seconds}))
