"""Kind gpt2 against transformers' GPT2LMHeadModel: the same weights and samples give the same logits, loss, gradients, ten
steps of AdamW and greedy text; and from_pretrained() reads the checkpoint that Triga writes."""

import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

import models
from models import MICROBATCH, assert_close, assert_same_gradients, collate, mean_loss

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


def compare(program, folder, name, model, samples):
    results = models.run(program, "transformer", "gpt2", folder, name)
    model = copy.deepcopy(model)

    def logits_of(inputs):
        return model(inputs).logits

    inputs, _ = collate(samples[:MICROBATCH])
    theirs = model(inputs).logits
    logits_error = assert_close("logits", results["logits"], theirs, 1e-5)

    loss = mean_loss(logits_of, samples[:MICROBATCH])
    loss.backward()
    assert_close("loss", results["loss"].reshape([]), loss.double(), 1e-4 * loss.item())
    gradient_error = assert_same_gradients(results, model.named_parameters())

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
    losses_error = assert_close("losses of ten steps", results["losses"], models.train(logits_of, model.parameters(), samples), 1e-5)
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


def main(program):
    torch.set_num_threads(1)
    model = make_model().eval()
    samples = models.make_samples(OPTIONS["vocab_size"], OPTIONS["context_length"])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models.write_inputs(folder, OPTIONS, samples)
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
        refused = (program, "transformer", "gpt2", folder)
        models.assert_refused(*refused, "other", ["num_heads: 4 here, 2 there", "layer_norm_epsilon", '"relu"'])
        (folder / "saved" / "config.json").unlink()
        models.assert_refused(*refused, "saved", ["no config.json"])


if __name__ == "__main__":
    main(sys.argv[1])
