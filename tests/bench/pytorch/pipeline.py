"""The GPT of gpt.py in two stages under torch.distributed.pipelining's Schedule1F1B over gloo; prints seconds a step as JSON.

Run by torchrun on two ranks. The head is a matrix of its own: that package cannot share weights between stages.
"""

import argparse
import json
import pathlib
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch.nn import functional as F

from gpt import GPT, decay_groups

parser = argparse.ArgumentParser()
for name, value in (("vocab", 257), ("layers", 12), ("heads", 6), ("width", 384), ("context", 256), ("batch", 1),
                    ("microbatches", 8), ("steps", 6), ("warmup", 2), ("threads", 1), ("log-every", 10)):
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--text", required=True)
arguments = parser.parse_args()


class Stage(nn.Module):
    def __init__(self, rank):
        super().__init__()
        whole = GPT(arguments.vocab, arguments.layers, arguments.heads, arguments.width, arguments.context, arguments.dropout)
        self.is_first, half = rank == 0, arguments.layers // 2
        self.blocks = whole.blocks[:half] if self.is_first else whole.blocks[half:]
        if self.is_first:
            self.wte, self.wpe, self.dropout = whole.wte, whole.wpe, whole.dropout
        else:
            self.ln_f, self.head = whole.ln_f, nn.Linear(arguments.width, arguments.vocab, bias=False)

    def forward(self, x):
        if self.is_first:
            x = self.dropout(self.wte(x) + self.wpe.weight[: x.size(1)])
        for block in self.blocks:
            x = block(x)
        return x if self.is_first else self.head(self.ln_f(x))


def loss_of(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


torch.manual_seed(1)
torch.set_num_threads(arguments.threads)
dist.init_process_group("gloo")
rank = dist.get_rank()
model = Stage(rank)
schedule = Schedule1F1B(PipelineStage(model, rank, 2, torch.device("cpu")), arguments.microbatches, loss_fn=loss_of)
optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-3, fused=True)
text = torch.frombuffer(bytearray(pathlib.Path(arguments.text).read_bytes()), dtype=torch.uint8)
generator = torch.Generator().manual_seed(1)


def next_batch():
    count = arguments.batch * arguments.microbatches
    starts = torch.randint(len(text) - arguments.context - 1, (count,), generator=generator)
    windows = torch.stack([text[s : s + arguments.context + 1] for s in starts.tolist()]).long()
    return windows[:, :-1], windows[:, 1:]


losses = []
for step in range(arguments.warmup + arguments.steps):
    if step == arguments.warmup:
        dist.barrier()
        start = time.perf_counter()
    tokens, labels = next_batch()
    if rank == 0:
        schedule.step(tokens)
    else:
        losses = []
        schedule.step(target=labels, losses=losses)
    # The norm of both stages together, as clipping of the whole model takes it.
    square = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]) ** 2
    dist.all_reduce(square)
    torch.nn.utils.clip_grads_with_norm_(model.parameters(), 1.0, square.sqrt())
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
dist.barrier()
seconds = (time.perf_counter() - start) / arguments.steps
if rank == 1:
    print(json.dumps({"seconds": seconds, "loss": sum(loss.item() for loss in losses) / len(losses)}), flush=True)
dist.destroy_process_group()
