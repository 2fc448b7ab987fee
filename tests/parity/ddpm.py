"""Kind ddpm against diffusers: the same weights and images give the same prediction, loss, gradients and ten steps of AdamW as
UNet2DModel; noise is added as DDPMScheduler adds it; the variational bound, trained and measured, is the paper's; and
DDPMPipeline.from_pretrained() reads the checkpoint that Triga writes."""

import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
import diffusers
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

import models
import variational_bound
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS, assert_close, assert_same_gradients, batch_of

SIZE = 8
# What differs from case to case: (options of the U-Net, of the noise, of the loss).
CASES = {
    "plain": (
        {"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
         "layers_per_block": 1, "attention_head_dim": 8, "freq_shift": 0, "flip_sin_to_cos": True, "downsample_padding": 1},
        {"beta_schedule": "linear", "prediction_type": "epsilon"},
        {},
    ),
    "as-ho-et-al": (
        {"down_block_types": ["AttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "AttnUpBlock2D"],
         "layers_per_block": 2, "attention_head_dim": None, "freq_shift": 1, "flip_sin_to_cos": False, "downsample_padding": 0},
        {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"},
        {"evaluation_timesteps": 3},
    ),
    "no-middle-attention": (
        {"down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
         "layers_per_block": 1, "attention_head_dim": 4, "freq_shift": 0, "flip_sin_to_cos": True, "downsample_padding": 1,
         "add_attention": False},
        {"beta_schedule": "scaled_linear", "prediction_type": "sample"},
        {"evaluation_timesteps": 100},
    ),
}  # fmt: skip
# The bound as the loss. Few timesteps, so that many images are at the one of the decoder.
PLAIN = CASES["plain"][0]
for betas, prediction in (("linear", "epsilon"), ("scaled_linear", "sample"), ("squaredcos_cap_v2", "v_prediction")):
    noise = {"beta_schedule": betas, "prediction_type": prediction, "num_train_timesteps": 10}
    CASES[f"variational-{prediction}"] = (PLAIN, noise, {"loss": "variational", "evaluation_timesteps": 10})


def make_model(unet):
    torch.manual_seed(3)
    model = UNet2DModel(sample_size=SIZE, in_channels=2, out_channels=2, block_out_channels=(8, 16), norm_num_groups=4, **unet)
    with torch.no_grad():  # norms and biases matter
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def options_of(unet, noise, loss):
    options = {"sample_size": SIZE, "in_channels": 2, "block_out_channels": [8, 16], "norm_num_groups": 4, "dropout": 0}
    words = {**options, **unet, "num_train_timesteps": 100, **noise, **loss}
    if words["attention_head_dim"] is None:
        words["attention_head_dim"] = "all"
    return {k: str(v).lower() if isinstance(v, bool) else str(v).replace("'", "") for k, v in words.items()}


def loss_of(model, batch, paper=None):
    """`paper`: of the variational loss."""
    output = model(batch["noisy"], batch["timesteps"]).sample
    return variational_bound.loss(paper, batch, output) if paper else torch.nn.functional.mse_loss(output, batch["target"])


def assert_noise(scheduler, batch, images):
    """The batch is what the scheduler makes of the images and some normal noise, which is found by what it was added to."""
    signal = scheduler.alphas_cumprod[batch["timesteps"]].double().view(-1, 1, 1, 1)
    noise = ((batch["noisy"].double() - signal.sqrt() * images.double()) / (1 - signal).sqrt()).float()
    # The first steps add hardly any noise: finding it again loses digits.
    tolerance = (2e-6 / (1 - signal).sqrt().min()).item()
    assert_close("noisy", batch["noisy"], scheduler.add_noise(images, noise, batch["timesteps"]), 1e-5)
    target = {"epsilon": noise, "sample": images, "v_prediction": scheduler.get_velocity(images, noise, batch["timesteps"])}
    assert_close("target", batch["target"], target[scheduler.config.prediction_type], tolerance)
    return noise


def assert_normal(noises, timesteps, num_timesteps):
    noise = torch.cat(noises).flatten()
    num = noise.numel()  # within five standard errors
    assert abs(noise.mean()) < 5 / num**0.5 and abs(noise.var() - 1) < 5 * (2 / num) ** 0.5, (noise.mean(), noise.var())
    timesteps = torch.cat(timesteps)
    assert len(timesteps.unique()) > min(len(timesteps), num_timesteps) // 2, timesteps
    assert 0 <= timesteps.min() and timesteps.max() < num_timesteps, timesteps


def assert_reads(written, model, batch):
    pipeline = DDPMPipeline.from_pretrained(written, low_cpu_mem_usage=False)
    theirs = model(batch["noisy"], batch["timesteps"]).sample
    assert torch.equal(pipeline.unet.eval()(batch["noisy"], batch["timesteps"]).sample, theirs), "other weights"
    for key, value in model.config.items():
        if not key.startswith("_"):
            stored = pipeline.unet.config[key]
            assert repr(stored) == repr(value) or list(stored) == list(value), f"unet/config.json: {key} is {stored}, was {value}"
    return pipeline.scheduler


def assert_evaluation(results, scheduler, model, loss):
    """Both microbatches are of one size."""
    prefix = "evaluation.batch."
    batches = [{n.removeprefix(f"{prefix}{i}."): t for n, t in results.items() if n.startswith(f"{prefix}{i}.")} for i in range(MICROBATCHES_PER_STEP)]
    for batch in batches:
        assert_noise(scheduler, batch, batch["image"])
    paper = variational_bound.Paper(scheduler)
    is_whole = loss.get("evaluation_timesteps") == len(paper)
    measure = variational_bound.bits_per_dim if is_whole else variational_bound.estimated_bits_per_dim
    bits = torch.tensor(measure(paper, batches, model), dtype=torch.float64)
    error = assert_close("bits_per_dim", results["evaluation.bits_per_dim"].reshape([]), bits, 1e-5 * bits.item())
    theirs = sum(loss_of(model, batch, paper if loss.get("loss") else None) for batch in batches).double() / len(batches)
    assert_close("loss of the evaluation", results["evaluation.loss"].reshape([]), theirs, 1e-5 * theirs.item())
    return error / bits.item()


def compare(program, folder, name):
    unet, noise, loss_options = CASES[name]
    model = make_model(unet)
    scheduler = DDPMScheduler(**{"num_train_timesteps": 100, **noise})
    DDPMPipeline(unet=model, scheduler=scheduler).save_pretrained(folder / name)
    generator = torch.Generator().manual_seed(5)
    per_step = MICROBATCH * MICROBATCHES_PER_STEP
    images = torch.randint(256, (per_step * STEPS, 2, SIZE, SIZE), generator=generator) / 127.5 - 1
    models.write_inputs(folder, options_of(unet, noise, loss_options), [image.clone() for image in images], field="image")
    results = models.run(program, "diffusion", "ddpm", folder, name)

    batches = [batch_of(results, step, i) for step in range(STEPS) for i in range(MICROBATCHES_PER_STEP)]
    noises = [assert_noise(scheduler, batch, images[i * MICROBATCH : (i + 1) * MICROBATCH]) for i, batch in enumerate(batches)]
    if noise["prediction_type"] == "epsilon":
        noises = [batch["target"] for batch in batches]
    assert_normal(noises, [batch["timesteps"] for batch in batches], scheduler.config.num_train_timesteps)
    with torch.no_grad():
        bits_error = assert_evaluation(results, scheduler, model, loss_options)

    paper = variational_bound.Paper(scheduler) if loss_options.get("loss") else None
    trained = copy.deepcopy(model)
    theirs = trained(batches[0]["noisy"], batches[0]["timesteps"]).sample
    prediction_error = assert_close("prediction", results["prediction"], theirs, 1e-5)
    loss = loss_of(trained, batches[0], paper)
    loss.backward()
    assert_close("loss", results["loss"].reshape([]), loss.double(), 1e-5 * loss.item())
    gradient_error = assert_same_gradients(results, trained.named_parameters())
    written = assert_reads(folder / f"{name}-written" / "step-00000000", model, batches[0])
    for key in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type"):
        assert written.config[key] == scheduler.config[key], key
    # Both microbatches are of one size, so the mean of their means is the mean.
    pairs = [batches[2 * step : 2 * step + 2] for step in range(STEPS)]
    losses = models.optimize(trained.parameters(), lambda step: sum(loss_of(trained, b, paper) for b in pairs[step]) / 2)
    losses_error = assert_close("losses of ten steps", results["losses"], losses, 1e-5 * float(losses.max()))
    print(f"{name}: prediction {prediction_error:.2g}, gradients {gradient_error:.2g} of the limit, losses {losses_error:.2g}, "
          f"bits per dimension {bits_error:.2g} of them")


def check_refusals(program, folder):
    config = folder / "plain" / "unet" / "config.json"
    stored = json.loads(config.read_text())
    models.write_inputs(folder, options_of(*CASES["plain"]), [torch.zeros(2, SIZE, SIZE) for _ in range(6)], field="image")
    refused = lambda words: models.assert_refused(program, "diffusion", "ddpm", folder, "plain", words)  # noqa: E731
    config.write_text(json.dumps({**stored, "block_out_channels": [8, 32], "act_fn": "gelu"}))
    refused(["block_out_channels: [8,16] here, [8,32] there (unet/config.json)", 'act_fn: "silu" here, "gelu" there'])
    config.write_text(json.dumps({**stored, "_class_name": "UNet2DConditionModel"}))
    refused(["unet/config.json is of class UNet2DConditionModel; kind ddpm reads UNet2DModel"])
    config.write_text("[")
    refused(["unet/config.json is not a JSON object"])
    config.unlink()
    refused(["no unet/config.json: a pipeline of diffusers has one"])


def main(program):
    torch.set_num_threads(1)
    diffusers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        for name in CASES:
            compare(program, Path(folder), name)
        check_refusals(program, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1])
