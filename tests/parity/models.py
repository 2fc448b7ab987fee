"""What models of every family are compared by: ten steps of AdamW, gradients; and language models by samples and a mean loss.

A language model here is a function input_ids [B, T] -> logits [B, T, vocabulary], with its parameters by Triga's names."""

import re
import subprocess

import torch

MICROBATCH, MICROBATCHES_PER_STEP, STEPS = 3, 2, 10  # as in model.cpp
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 3e-3, 0.1, 1.0


def make_samples(vocab_size, context_length):
    """Of lengths from 2 to context_length + 1, so that batches have padding and the longest input is the whole context."""
    generator = torch.Generator().manual_seed(5)
    samples = []
    for i in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS):
        length = context_length + 1 if i == 1 else int(torch.randint(2, context_length + 2, (1,), generator=generator))
        samples.append(torch.randint(0, vocab_size, (max(length, 6) if i == 0 else length,), generator=generator))
    return samples


def collate(samples):
    longest = max(len(sample) for sample in samples) - 1
    inputs = torch.zeros(len(samples), longest, dtype=torch.long)
    labels = torch.full((len(samples), longest), -100)
    for i, sample in enumerate(samples):
        inputs[i, : len(sample) - 1] = sample[:-1]
        labels[i, : len(sample) - 1] = sample[1:]
    return inputs, labels


def mean_loss(logits_of, samples):
    """Sum of cross entropies over the number of labels, of all microbatches together."""
    total, count = 0.0, 0
    for start in range(0, len(samples), MICROBATCH):
        inputs, labels = collate(samples[start : start + MICROBATCH])
        logits = logits_of(inputs)
        total = total + torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
        )
        count += int((labels != -100).sum())
    return total / count


def train(logits_of, parameters, samples):
    per_step = MICROBATCH * MICROBATCHES_PER_STEP
    return optimize(parameters, lambda step: mean_loss(logits_of, samples[step * per_step : (step + 1) * per_step]))


def optimize(parameters, loss_of_step):
    """The losses of some steps of AdamW, as fp64."""
    parameters = list(parameters)
    decayed = [p for p in parameters if p.dim() > 1]
    others = [p for p in parameters if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of_step(step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


def assert_close(name, ours, theirs, tolerance):
    assert ours.shape == theirs.shape, (name, ours.shape, theirs.shape)
    error = (ours - theirs).abs().max().item()
    assert error <= tolerance, f"{name} differs by {error:.3g}, more than {tolerance:.3g}"
    return error


def assert_same_gradients(results, named_parameters):
    gradients = {name: p.grad for name, p in named_parameters}
    ours = {n.removeprefix("gradient."): t for n, t in results.items() if n.startswith("gradient.")}
    assert ours.keys() == gradients.keys(), ours.keys() ^ gradients.keys()
    whole = torch.sqrt(sum(g.double().square().sum() for g in gradients.values())).item()
    worst = 0.0
    for name, gradient in gradients.items():
        error = (ours[name] - gradient).double().norm().item()
        # The bias of the keys has gradient zero in exact arithmetic: only rounding is left of it, hence the floor.
        limit = max(1e-4 * gradient.double().norm().item(), 1e-7 * whole)
        assert error <= limit, f"gradient of {name} differs by {error:.3g}, more than {limit:.3g}"
        worst = max(worst, error / limit)
    return worst


def write_inputs(folder, options, samples, field="tokens"):
    from safetensors.torch import save_file

    (folder / "options.txt").write_text("".join(f"{k} {v}\n" for k, v in options.items()))
    fields = [sample if isinstance(sample, dict) else {field: sample} for sample in samples]
    save_file({f"{i:03d}.{name}": tensor for i, sample in enumerate(fields) for name, tensor in sample.items()},
              folder / "samples.safetensors")


def batch_of(results, step, microbatch):
    """The fields of a batch that Triga made."""
    prefix = f"batch.{step}.{microbatch}."
    return {name.removeprefix(prefix): tensor for name, tensor in results.items() if name.startswith(prefix)}


def read_by_readme(folder, **names):
    """Runs the code of the checkpoint's README in the checkpoint; its variables."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S).group(1)
    exec(code.replace("model.safetensors", str(folder / "model.safetensors")), names)
    return names


def run(program, plugin, kind, folder, name):
    """What Triga makes of a model directory, by name."""
    from safetensors.torch import load_file

    subprocess.run([program, plugin, kind, folder, name], check=True)
    return load_file(folder / f"{name}.safetensors")


def assert_refused(program, plugin, kind, folder, name, words):
    done = subprocess.run([program, plugin, kind, folder, name], stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0, f"{name} was accepted"
    for word in words:
        assert word in done.stderr, f"not said: {word}\n{done.stderr}"
