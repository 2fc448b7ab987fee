"""What bert_mlm.py and bert_classifier.py share: a small model, its options, files as they were saved years ago, comparisons."""

import copy
import json

import torch
from safetensors.torch import save_file
from transformers import BertConfig

import models
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS, assert_close, assert_same_gradients, batch_of

VOCABULARY, CONTEXT, CLS, SEP = 61, 24, 2, 3  # 0 to 4 are [PAD], [UNK], [CLS], [SEP], [MASK], as in model.cpp
OPTIONS = {"num_layers": 3, "num_heads": 4, "hidden_size": 32, "intermediate_size": 52, "context_length": CONTEXT,
           "num_token_types": 3, "vocab_size": VOCABULARY, "dropout": 0, "attention_dropout": 0}


def make_model(kind, **more):
    torch.manual_seed(3)
    config = BertConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=52,
                        max_position_embeddings=CONTEXT, type_vocab_size=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                        **more)
    model = kind(config).train()  # nothing is dropped
    with torch.no_grad():  # norms and biases matter, and logits are not all alike
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def make_tokens():
    """Of lengths from 1 to the longest that fits between [CLS] and [SEP]; some end in [SEP] themselves."""
    generator = torch.Generator().manual_seed(5)
    samples = []
    for i in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS):
        length = CONTEXT - 2 if i == 1 else int(torch.randint(1, CONTEXT - 1, (1,), generator=generator))
        tokens = torch.randint(5, VOCABULARY, (length,), generator=generator)
        if i % 7 == 3:
            tokens[-1] = SEP
        samples.append(tokens)
    return samples


def row_of(tokens):
    inner = tokens[:-1] if len(tokens) and tokens[-1] == SEP else tokens
    return torch.tensor([CLS, *inner.tolist(), SEP])


def mask_of(batch):
    """As the model takes it; a batch without padding has none."""
    return batch["attention_mask"].long() if "attention_mask" in batch else None


def assert_inputs(batch, tokens, changed=()):
    """Rows of [CLS] tokens [SEP], padded with [PAD], but for places that `changed` lists."""
    rows = [row_of(sample) for sample in tokens]
    for i, row in enumerate(rows):
        given = batch["input_ids"][i].clone()
        for sample, place, token in changed:
            if sample == i:
                given[place] = token
        assert torch.equal(given[: len(row)], row) and not given[len(row) :].any(), (given, row)
        if "attention_mask" in batch:
            assert batch["attention_mask"][i].tolist() == [k < len(row) for k in range(len(given))]
        else:
            assert len(given) == len(row)


def save_old_format(model, folder):
    """As the first files were: gamma and beta, a copy of the tied head, position ids, heads that this task does not use."""
    tensors = {}
    for name, parameter in model.named_parameters():
        tensors[name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")] = (
            parameter.detach().clone())
    tensors["bert.embeddings.position_ids"] = torch.arange(CONTEXT).unsqueeze(0)
    tensors["cls.seq_relationship.weight"], tensors["cls.seq_relationship.bias"] = torch.ones(2, 32), torch.ones(2)
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    tensors["cls.predictions.decoder.bias"] = torch.zeros(VOCABULARY)
    tensors.setdefault("bert.pooler.dense.weight", torch.ones(32, 32))
    tensors.setdefault("bert.pooler.dense.bias", torch.ones(32))
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    model.config.save_pretrained(folder)


def compare(name, results, model, logits_of, mean_loss):
    """Logits, loss and gradients of the first batch, losses of ten steps. Result: the first batch, and their logits of it."""
    batches = [[batch_of(results, step, i) for i in range(MICROBATCHES_PER_STEP)] for step in range(STEPS)]
    first, trained = batches[0][0], copy.deepcopy(model)
    theirs = logits_of(trained, first)
    logits_error = assert_close("logits", results["logits"], theirs, 1e-5)
    loss = mean_loss(trained, [first])
    loss.backward()
    assert_close("loss", results["loss"].reshape([]), loss.double(), 1e-5 * loss.item())
    gradient_error = assert_same_gradients(results, trained.named_parameters())
    losses = models.optimize(trained.parameters(), lambda step: mean_loss(trained, batches[step]))
    losses_error = assert_close("losses of ten steps", results["losses"], losses, 1e-5)
    print(f"{name}: logits {logits_error:.2g}, gradients {gradient_error:.2g} of the limit, losses {losses_error:.2g}")
    return first, theirs.detach()


def assert_loads(kind, folder, logits_of, first, expected):
    loaded, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    assert torch.equal(logits_of(loaded.train(), first), expected), "other weights"
    return loaded


def assert_refused(program, kind, folder, name):
    """Every difference of config.json is named."""
    stored = json.loads((folder / name / "config.json").read_text())
    (folder / name / "config.json").write_text(
        json.dumps({**stored, "num_attention_heads": 2, "hidden_act": "relu", "type_vocab_size": 2,
                    "position_embedding_type": "relative_key"}))
    models.assert_refused(program, "transformer", kind, folder, name,
                          ["num_heads: 4 here, 2 there", 'activation: "gelu" here, "relu" there', "num_token_types: 3 here, 2 there",
                           "relative_key"])
