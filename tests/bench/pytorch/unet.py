"""A small UNet2DModel of diffusers that learns to predict noise, as one writes it in PyTorch: the counterpart of the diffusion
plugin's ddpm. Images come from memory; prints seconds a step as JSON."""

import argparse
import json
import time

import torch
from diffusers import DDPMScheduler, UNet2DModel
from torch.nn import functional as F

parser = argparse.ArgumentParser()
for name, value in (("size", 28), ("batch", 16), ("steps", 20), ("warmup", 5), ("threads", 1), ("layers", 1), ("groups", 8)):
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--channels", default="32,64,64")
parser.add_argument("--down", default="DownBlock2D,DownBlock2D,AttnDownBlock2D")
parser.add_argument("--up", default="AttnUpBlock2D,UpBlock2D,UpBlock2D")
parser.add_argument("--channels-last", type=int, default=0)
parser.add_argument("--text", help="not read: every script of this folder is given it")
arguments = parser.parse_args()

torch.manual_seed(1)
torch.set_num_threads(arguments.threads)
layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
model = UNet2DModel(sample_size=arguments.size, in_channels=1, out_channels=1, layers_per_block=arguments.layers,
                    block_out_channels=[int(c) for c in arguments.channels.split(",")], norm_num_groups=arguments.groups,
                    down_block_types=arguments.down.split(","), up_block_types=arguments.up.split(",")).to(memory_format=layout)
scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
images = torch.rand(512, 1, arguments.size, arguments.size) * 2 - 1

losses = []
for step in range(arguments.warmup + arguments.steps):
    if step == arguments.warmup:
        start = time.perf_counter()
    clean = images[torch.randint(len(images), (arguments.batch,))].to(memory_format=layout)
    noise = torch.randn_like(clean)
    steps = torch.randint(1000, (arguments.batch,))
    loss = F.mse_loss(model(scheduler.add_noise(clean, noise, steps), steps).sample, noise)
    losses.append(loss.detach())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
seconds = (time.perf_counter() - start) / arguments.steps
print(json.dumps({"seconds": seconds, "loss": torch.stack(losses[-20:]).mean().item(), "parameters": sum(p.numel() for p in model.parameters())}))
