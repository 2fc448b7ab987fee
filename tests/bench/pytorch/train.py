"""Trains a GPT or an LSTM for some steps, alone or under torchrun with DDP or FSDP2, and prints seconds a step as JSON.

The settings that PyTorch's documentation recommends on a CPU: fused AdamW, foreach clipping, gradients set to None,
gradient_as_bucket_view, static graph; on a GPU autocast to bf16 and, if asked, torch.compile. Data comes from memory; the loss is read every `--log-every` steps.
"""

import argparse
import json
import os
import pathlib
import time

import torch
import torch.distributed as dist

from gpt import GPT, decay_groups
from lstm import LSTM

parser = argparse.ArgumentParser()
for name, value in (("vocab", 257), ("layers", 4), ("heads", 4), ("width", 128), ("context", 64), ("batch", 12), ("steps", 100),
                    ("warmup", 20), ("threads", 1), ("log-every", 10), ("accumulate", 1)):
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--model", choices=["gpt", "lstm"], default="gpt")
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--text", required=True)
parser.add_argument("--parallel", choices=["none", "ddp", "fsdp2"], default="none")
parser.add_argument("--device", default="cpu", help="cuda: parameters in fp32, computing in bf16 by autocast")
parser.add_argument("--compile", type=int, default=0)
parser.add_argument("--first-step", action="store_true", help="print the time of the first step's end, and stop")
arguments = parser.parse_args()

torch.manual_seed(1)
torch.set_num_threads(arguments.threads)
rank, world = 0, 1
if arguments.parallel != "none":
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()

text = torch.frombuffer(bytearray(pathlib.Path(arguments.text).read_bytes()), dtype=torch.uint8)
if arguments.model == "lstm":
    model = LSTM(arguments.vocab, arguments.layers, arguments.width, arguments.dropout)
else:
    model = GPT(arguments.vocab, arguments.layers, arguments.heads, arguments.width, arguments.context, arguments.dropout)
on_gpu = arguments.device == "cuda"
if on_gpu:
    torch.set_float32_matmul_precision("high")
    model = model.to("cuda")
    text = text.to("cuda")
if arguments.compile:
    model.compile()
if arguments.parallel == "ddp":
    trained = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True)
else:
    trained = model
    if arguments.parallel == "fsdp2":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
        mesh = init_device_mesh("cpu", (world,))
        for block in model.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-3, fused=arguments.parallel != "fsdp2")
generator = torch.Generator().manual_seed(1 + rank)


def next_batch():
    starts = torch.randint(len(text) - arguments.context - 1, (arguments.batch,), generator=generator)
    windows = torch.stack([text[s : s + arguments.context + 1] for s in starts.tolist()]).long()
    return windows[:, :-1], windows[:, 1:]


def wait_for_device():
    if on_gpu:
        torch.cuda.synchronize()


losses = []
for step in range(arguments.warmup + arguments.steps):
    if step == arguments.warmup:
        wait_for_device()
        start = time.perf_counter()
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=on_gpu):
        loss = trained(*next_batch())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if arguments.first_step:
        if rank == 0:
            print(json.dumps({"first_step": time.time()}), flush=True)
        os._exit(0)
    if (step + 1) % arguments.log_every == 0:
        losses.append(loss.item())
wait_for_device()
seconds = (time.perf_counter() - start) / arguments.steps
if rank == 0:
    print(json.dumps({"seconds": seconds, "loss": sum(losses[-5:]) / len(losses[-5:]), "parameters": sum(p.numel() for p in model.parameters())}))
if world > 1:
    dist.destroy_process_group()
