"""Kind rnn_language_model against torch.nn.LSTM, GRU and RNN: the same weights and samples give the same logits, loss, gradients,
ten steps of AdamW and greedy text; and the README of a checkpoint is PyTorch code that reads it."""

import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import models
from recurrent_gradients import Unrolled, assert_same_norms
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS, assert_close, assert_same_gradients, collate, mean_loss

VOCABULARY, CONTEXT, LAYERS, WIDTH, HIDDEN = 61, 24, 2, 20, 28


class Model(torch.nn.Module):
    def __init__(self, cell, tied):
        super().__init__()
        hidden = WIDTH if tied else HIDDEN
        kinds = {"lstm": (torch.nn.LSTM, {}), "gru": (torch.nn.GRU, {}), "rnn_tanh": (torch.nn.RNN, {}),
                 "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"})}
        module, options = kinds[cell]
        self.encoder = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.rnn = module(WIDTH, hidden, LAYERS, batch_first=True, **options)
        self.decoder = torch.nn.Linear(hidden, VOCABULARY)
        if tied:
            self.decoder.weight = self.encoder.weight
        with torch.no_grad():  # biases matter, and logits are not all alike
            for parameter in self.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)

    def forward(self, inputs):
        return self.decoder(self.rnn(self.encoder(inputs))[0])


def greedy(model, prompt, num_tokens):
    tokens = prompt.tolist()
    for _ in range(num_tokens):
        tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens


def norms_of(model, samples):
    model = copy.deepcopy(model).double()
    unrolled = Unrolled(model.rnn)
    for sample in samples:
        logits = model.decoder(unrolled(model.encoder(sample[:-1]))[0])
        loss = torch.nn.functional.cross_entropy(logits, sample[1:], reduction="sum")
        (loss / sum(len(one) - 1 for one in samples)).backward()
    return unrolled


def compare_carried(program, folder, cell):
    """Ten steps of truncated backpropagation through time, six texts side by side: each goes on from what was remembered of it."""
    torch.manual_seed(3)
    model = Model(cell, False)
    generator = torch.Generator().manual_seed(5)
    samples = [torch.randint(0, VOCABULARY, (CONTEXT + 1,), generator=generator)
               for _ in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS)]
    options = {"cell": cell, "num_layers": LAYERS, "embedding_size": WIDTH, "hidden_size": HIDDEN, "context_length": CONTEXT,
               "vocab_size": VOCABULARY, "dropout": 0, "tie_weights": False}
    models.write_inputs(folder, {**options, "tie_weights": "false", "carry_state": "true"}, samples)
    (folder / cell).mkdir()
    (folder / cell / "config.json").write_text(json.dumps({"model_type": "triga_rnn_language_model", **options}))
    save_file({n: p.detach().clone() for n, p in model.named_parameters()}, folder / cell / "model.safetensors")
    results = models.run(program, "rnn", "rnn_language_model", folder, cell)

    states = {}

    def loss_of_step(step):
        loss = 0
        for microbatch in range(MICROBATCHES_PER_STEP):
            first = (step * MICROBATCHES_PER_STEP + microbatch) * MICROBATCH
            inputs, labels = collate(samples[first : first + MICROBATCH])
            hidden, state = model.rnn(model.encoder(inputs), states.get(microbatch))
            states[microbatch] = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
            loss = loss + torch.nn.functional.cross_entropy(model.decoder(hidden).flatten(0, 1), labels.flatten(), reduction="sum")
        return loss / (MICROBATCH * MICROBATCHES_PER_STEP * CONTEXT)

    carried = models.optimize(model.parameters(), loss_of_step)
    error = assert_close("losses of ten steps with carried state", results["losses"], carried, 1e-5)
    states.clear()
    model = Model(cell, False)  # other weights do: what is compared is whether the state matters
    assert (loss_of_step(0) - loss_of_step(0)).abs() > 1e-4, "the state changes nothing"
    print(f"{cell}, carried: losses {error:.2g}")


def compare(program, folder, cell, tied):
    torch.manual_seed(3)
    model = Model(cell, tied)
    samples = models.make_samples(VOCABULARY, CONTEXT)
    hidden = WIDTH if tied else HIDDEN
    options = {"cell": cell, "num_layers": LAYERS, "embedding_size": WIDTH, "hidden_size": hidden, "context_length": CONTEXT,
               "vocab_size": VOCABULARY, "dropout": 0, "tie_weights": str(tied).lower()}
    models.write_inputs(folder, options, samples)
    name = f"{cell}-tied" if tied else cell
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(json.dumps(
        {"model_type": "triga_rnn_language_model", **{k: options[k] for k in options if k != "tie_weights"}, "tie_weights": tied}))
    save_file({n: p.detach().clone() for n, p in model.named_parameters()}, folder / name / "model.safetensors")
    results = models.run(program, "rnn", "rnn_language_model", folder, name)

    model = copy.deepcopy(model)
    inputs, _ = collate(samples[:MICROBATCH])
    theirs = model(inputs)
    # What is behind a sample's end is padding, which differs from batch to batch and counts for nothing.
    logits_error = assert_close("logits", results["logits"], theirs, 1e-5)
    loss = mean_loss(model, samples[:MICROBATCH])
    loss.backward()
    assert_close("loss", results["loss"].reshape([]), loss.double(), 1e-5 * loss.item())
    gradient_error = assert_same_gradients(results, model.named_parameters())
    norms_error = assert_same_norms(results, norms_of(model, samples[:MICROBATCH]))
    written = folder / f"{name}-written" / "step-00000000"
    assert torch.equal(models.read_by_readme(written, input_ids=inputs)["logits"], theirs), "the README reads other weights"
    with torch.no_grad():
        assert results["greedy"].tolist() == greedy(model, samples[0][:3], 20)
    trained = models.train(model, model.parameters(), samples)
    losses_error = assert_close("losses of ten steps", results["losses"], trained, 1e-5)
    print(f"{name}: logits {logits_error:.2g}, gradients {gradient_error:.2g} of the limit, losses {losses_error:.2g}, "
          f"gradients by time {norms_error:.2g}")

    stored = json.loads((folder / name / "config.json").read_text())
    (folder / name / "config.json").write_text(json.dumps({**stored, "hidden_size": 7, "cell": "other"}))
    models.assert_refused(program, "rnn", "rnn_language_model", folder, name,
                                   [f"hidden_size: {hidden} here, 7 there", f'cell: "{cell}" here, "other" there'])


def main(program):
    torch.set_num_threads(1)
    for cell, tied in (("lstm", False), ("gru", False), ("rnn_tanh", False), ("rnn_relu", False), ("lstm", True)):
        with tempfile.TemporaryDirectory() as folder:
            compare(program, Path(folder), cell, tied)
    for cell in ("lstm", "gru", "rnn_tanh"):
        with tempfile.TemporaryDirectory() as folder:
            compare_carried(program, Path(folder), cell)


if __name__ == "__main__":
    main(sys.argv[1])
