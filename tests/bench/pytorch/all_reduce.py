"""all_reduce over gloo, under torchrun: all_reduce.py REPETITIONS BYTES...; microseconds as JSON, a line a size."""

import json
import sys
import time

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
torch.set_num_threads(1)
repetitions = int(sys.argv[1])
for size in map(int, sys.argv[2:]):
    tensor = torch.zeros(size // 4)
    times = max(1, (4 << 20) // size)
    microseconds = []
    for i in range(-2, repetitions):
        dist.barrier()
        start = time.perf_counter()
        for _ in range(times):
            dist.all_reduce(tensor)
        slowest = torch.tensor([(time.perf_counter() - start) / times], dtype=torch.double)
        dist.all_reduce(slowest, dist.ReduceOp.MAX)
        if i >= 0:
            microseconds.append(slowest.item() * 1e6)
    if dist.get_rank() == 0:
        print(json.dumps({"bytes": size, "microseconds": microseconds}), flush=True)
dist.destroy_process_group()
