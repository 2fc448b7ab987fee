"""Kind gpt2 against transformers' GPT2LMHeadModel: the same weights and samples give the same logits, loss, gradients, ten
steps of AdamW and greedy text; and from_pretrained() reads the checkpoint that Triga writes."""

import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

MICROBATCH, MICROBATCHES_PER_STEP, STEPS = 3, 2, 10  # as in gpt2.cpp
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 3e-3, 0.1, 1.0
OPTIONS = {
    "num_layers": 3,
    "num_heads": 4,
    "hidden_size": 32,
    "context_length": 24,
    "vocab_size": 61,
    "dropout": 0,
    "layer_norm_epsilon": 1e-5,
}


def make_model():
    torch.manual_seed(3)
    config = GPT2Config(
        n_layer=OPTIONS["num_layers"],
        n_head=OPTIONS["num_heads"],
        n_embd=OPTIONS["hidden_size"],
        n_positions=OPTIONS["context_length"],
        vocab_size=OPTIONS["vocab_size"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():  # far from the first values: biases and norms matter, and the logits are not all alike
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.3 if parameter.dim() == 1 else 0.15))
    return model


def make_samples():
    """Of lengths from 2 to context_length + 1, so that batches have padding and the longest input is the whole context."""
    generator = torch.Generator().manual_seed(5)
    samples = []
    for i in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS):
        length = OPTIONS["context_length"] + 1 if i == 1 else int(torch.randint(2, 26, (1,), generator=generator))
        samples.append(torch.randint(0, OPTIONS["vocab_size"], (max(length, 6) if i == 0 else length,), generator=generator))
    return samples


def collate(samples):
    longest = max(len(sample) for sample in samples) - 1
    inputs = torch.zeros(len(samples), longest, dtype=torch.long)
    labels = torch.full((len(samples), longest), -100)
    for i, sample in enumerate(samples):
        inputs[i, : len(sample) - 1] = sample[:-1]
        labels[i, : len(sample) - 1] = sample[1:]
    return inputs, labels


def mean_loss(model, samples):
    """Sum of cross entropies over the number of labels, of all microbatches together."""
    total, count = 0.0, 0
    for start in range(0, len(samples), MICROBATCH):
        inputs, labels = collate(samples[start : start + MICROBATCH])
        logits = model(inputs).logits
        total = total + torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
        )
        count += int((labels != -100).sum())
    return total / count


def train(model, samples):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    losses, per_step = [], MICROBATCH * MICROBATCHES_PER_STEP
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = mean_loss(model, samples[step * per_step : (step + 1) * per_step])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64)


def assert_close(name, ours, theirs, tolerance):
    assert ours.shape == theirs.shape, (name, ours.shape, theirs.shape)
    error = (ours - theirs).abs().max().item()
    assert error <= tolerance, f"{name} differs by {error:.3g}, more than {tolerance:.3g}"
    return error


def assert_same_gradients(results, model):
    gradients = {name: p.grad for name, p in model.named_parameters()}
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


def compare(program, folder, name, model, samples):
    subprocess.run([program, folder, name], check=True)
    results = load_file(folder / f"{name}.safetensors")
    model = copy.deepcopy(model)
    inputs, _ = collate(samples[:MICROBATCH])
    theirs = model(inputs).logits
    logits_error = assert_close("logits", results["logits"], theirs, 1e-5)

    loss = mean_loss(model, samples[:MICROBATCH])
    loss.backward()
    assert_close("loss", results["loss"].reshape([]), loss.double(), 1e-4 * loss.item())
    gradient_error = assert_same_gradients(results, model)

    written = folder / f"{name}-written" / "step-00000000"
    reread, report = AutoModelForCausalLM.from_pretrained(written, output_loading_info=True)
    assert type(reread) is GPT2LMHeadModel, type(reread)
    assert not any(report.values()), report
    reread.eval()
    assert torch.equal(reread(inputs).logits, theirs), "a checkpoint that Triga wrote gives other logits"
    for key, value in model.config.to_dict().items():
        if key not in ("transformers_version", "_name_or_path", "use_cache", "return_dict") and not key.startswith("summary"):
            stored = json.loads((written / "config.json").read_text()).get(key, value)
            assert stored == value, f"config.json: {key} is {stored}, was {value}"

    greedy = model.generate(samples[0][None, :3], max_new_tokens=20, do_sample=False, pad_token_id=0)[0]
    assert results["greedy"].tolist() == greedy.tolist(), (results["greedy"].tolist(), greedy.tolist())
    losses_error = assert_close("losses of ten steps", results["losses"], train(model, samples), 1e-5)
    print(f"{name}: logits {logits_error:.2g}, gradients {gradient_error:.2g} of the limit, losses {losses_error:.2g}")


def save_old_format(model, folder):
    """As files of the first years are: of a GPT2Model (no prefix), with causal masks and a copy of the tied head."""
    tensors = {n.removeprefix("transformer."): p.detach().clone() for n, p in model.named_parameters()}
    size = OPTIONS["context_length"]
    for i in range(OPTIONS["num_layers"]):
        tensors[f"h.{i}.attn.bias"] = torch.tril(torch.ones(size, size, dtype=torch.uint8)).view(1, 1, size, size)
        tensors[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    tensors["lm_head.weight"] = tensors["wte.weight"].clone()
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    model.config.save_pretrained(folder)


def assert_refused(program, folder, name, words):
    run = subprocess.run([program, folder, name], stderr=subprocess.PIPE, text=True)
    assert run.returncode != 0, f"{name} was accepted"
    for word in words:
        assert word in run.stderr, f"not said: {word}\n{run.stderr}"


def main(program):
    torch.set_num_threads(1)
    model, samples = make_model().eval(), make_samples()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "options.txt").write_text("".join(f"{k} {v}\n" for k, v in OPTIONS.items()))
        save_file({f"{i:03d}": sample for i, sample in enumerate(samples)}, folder / "samples.safetensors")
        model.save_pretrained(folder / "saved")
        compare(program, folder, "saved", model, samples)
        model.save_pretrained(folder / "sharded", max_shard_size="40KB")
        assert (folder / "sharded" / "model.safetensors.index.json").exists()
        compare(program, folder, "sharded", model, samples)
        save_old_format(model, folder / "old")
        compare(program, folder, "old", model, samples)

        other = copy.deepcopy(model.config)
        other.n_head, other.layer_norm_epsilon, other.activation_function = 2, 1e-6, "relu"
        model.save_pretrained(folder / "other")
        other.save_pretrained(folder / "other")
        assert_refused(program, folder, "other", ["num_heads: 4 here, 2 there", "layer_norm_epsilon", '"relu"'])
        (folder / "saved" / "config.json").unlink()
        assert_refused(program, folder, "saved", ["no config.json"])


if __name__ == "__main__":
    main(sys.argv[1])
