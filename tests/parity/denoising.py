"""Steps of denoising against diffusers' DDPMScheduler and DDIMScheduler, on the same noise."""

import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-5  # of values up to 1; beyond, of their size: the first steps of DDIM divide by a small number
CASES = [
    (method, prediction, betas, timesteps, steps, eta)
    for prediction in ("epsilon", "sample", "v_prediction")
    for betas in ("linear", "scaled_linear", "squaredcos_cap_v2")
    for method, timesteps, steps, eta in (
        ("ddpm", 100, 100, 0), ("ddpm", 1000, 37, 0),
        ("ddim", 1000, 50, 0), ("ddim", 1000, 50, 0.5), ("ddim", 100, 100, 1), ("ddim", 1000, 7, 1), ("ddim", 10, 1, 0),
    )
]  # fmt: skip


def steps_of_diffusers(case, inputs):
    method, prediction, betas, timesteps, steps, eta = case
    kind = DDPMScheduler if method == "ddpm" else DDIMScheduler
    scheduler = kind(num_train_timesteps=timesteps, beta_schedule=betas, prediction_type=prediction, steps_offset=0)
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        if method == "ddpm":
            with mock.patch("diffusers.schedulers.scheduling_ddpm.randn_tensor", return_value=inputs["noise"]):
                result = scheduler.step(inputs["output"], timestep, inputs["noisy"])
        else:
            noise = inputs["noise"] if eta > 0 else None
            result = scheduler.step(inputs["output"], timestep, inputs["noisy"], eta=eta, variance_noise=noise)
        yield int(timestep), result.prev_sample


def main(program):
    generator = torch.Generator().manual_seed(3)
    inputs = {name: torch.randn(2, 3, 4, 4, generator=generator) for name in ("noisy", "output", "noise")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_file(inputs, folder / "inputs.safetensors")
        lines = [f"case{i} " + " ".join(map(str, case)) for i, case in enumerate(CASES)]
        (folder / "cases.txt").write_text("\n".join(lines) + "\n")
        subprocess.run([program, folder], check=True)
        ours = load_file(folder / "results.safetensors")
        compared, worst = set(), 0.0
        for i, case in enumerate(CASES):
            for timestep, theirs in steps_of_diffusers(case, inputs):
                name = f"case{i}.{timestep}"
                compared.add(name)
                error = ((ours[name] - theirs).abs() / theirs.abs().clamp(min=1)).max().item()
                assert error <= TOLERANCE, f"{case}, timestep {timestep}: differs by {error:.3g}"
                worst = max(worst, error)
        assert compared == set(ours), compared ^ set(ours)
        print(f"{len(compared)} steps, worst difference {worst:.2g}")


if __name__ == "__main__":
    main(sys.argv[1])
