"""PyTorch's three calls over a GPT of 24.5 million parameters: clip_and_update.py REPETITIONS THREADS; milliseconds as JSON."""

import json
import sys
import time

import torch

from gpt import GPT, decay_groups

torch.set_num_threads(int(sys.argv[2]))
model = GPT(vocab=8192, layers=12, heads=6, width=384, context=256, dropout=0.0)
optimizer = torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-3, fused=True)
milliseconds = []
for _ in range(int(sys.argv[1])):
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    start = time.perf_counter()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    milliseconds.append((time.perf_counter() - start) * 1e3)
print(json.dumps({"milliseconds": milliseconds, "parameters": sum(p.numel() for p in model.parameters())}))
