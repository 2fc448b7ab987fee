"""Kind rnn_classifier against torch.nn's layers on packed sequences: the same weights and samples give the same logits, loss,
gradients and ten steps of AdamW; and the README of a checkpoint is PyTorch code that reads it."""

import copy

import torch

import models
import recurrent
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS
from recurrent_gradients import Unrolled

VOCABULARY, LENGTH, WIDTH, HIDDEN, CLASSES, FEATURES = 61, 24, 20, 28, 5, 3
CASES = {  # name: cell, layers, in both directions, of tokens
    "lstm": ("lstm", 2, True, True),
    "gru": ("gru", 1, False, True),
    "gru-features": ("gru", 2, True, False),
    "rnn": ("rnn_tanh", 1, False, False),
    "relu": ("rnn_relu", 2, True, True),
}


class Model(torch.nn.Module):
    def __init__(self, cell, layers, both_ways, of_tokens):
        super().__init__()
        kinds = {"lstm": (torch.nn.LSTM, {}), "gru": (torch.nn.GRU, {}), "rnn_tanh": (torch.nn.RNN, {}),
                 "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"})}
        module, options = kinds[cell]
        if of_tokens:
            self.embedding = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.rnn = module(WIDTH if of_tokens else FEATURES, HIDDEN, layers, batch_first=True, bidirectional=both_ways, **options)
        self.classifier = torch.nn.Linear(HIDDEN * (2 if both_ways else 1), CLASSES)
        self.both_ways, self.of_tokens = both_ways, of_tokens
        with torch.no_grad():  # biases matter, and logits are not all alike
            for parameter in self.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)

    def forward(self, batch):
        x = self.embedding(batch["input_ids"]) if self.of_tokens else batch["features"]
        _, state = self.rnn(torch.nn.utils.rnn.pack_padded_sequence(x, batch["lengths"], batch_first=True))
        hidden = state[0] if isinstance(state, tuple) else state
        return self.classifier(torch.cat([hidden[-2], hidden[-1]], dim=1) if self.both_ways else hidden[-1])


def make_samples(of_tokens):
    generator = torch.Generator().manual_seed(5)
    samples = []
    for i in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS):
        length = LENGTH if i == 1 else 1 if i == 2 else int(torch.randint(1, LENGTH + 1, (1,), generator=generator))
        sequence = (torch.randint(0, VOCABULARY, (length,), generator=generator) if of_tokens
                    else torch.randn(length, FEATURES, generator=generator))
        label = torch.randint(0, CLASSES, (), generator=generator)
        samples.append({"tokens" if of_tokens else "features": sequence, "label": label})
    return samples


def assert_batch(batch, samples):
    """The samples of the microbatch, the longest first, with their labels."""
    order = sorted(range(len(samples)), key=lambda i: -len(next(iter(samples[i].values()))))
    field = "input_ids" if "input_ids" in batch else "features"
    assert sorted(batch) == sorted([field, "lengths", "labels"]), sorted(batch)
    for row, i in enumerate(order):
        sequence, label = samples[i].values()
        assert batch["lengths"][row] == len(sequence) and batch["labels"][row] == label
        assert torch.equal(batch[field][row, : len(sequence)], sequence) and not batch[field][row, len(sequence) :].any()


def mean_loss(model, batches):
    losses = [torch.nn.functional.cross_entropy(model(batch), batch["labels"], reduction="sum") for batch in batches]
    return sum(losses) / sum(len(batch["labels"]) for batch in batches)


def accuracy(model, batches):
    is_right = torch.cat([model(batch).max(dim=1).indices == batch["labels"] for batch in batches])
    return {"accuracy": is_right.double().mean()}


def norms_of(model, batch):
    model = copy.deepcopy(model).double()
    unrolled = Unrolled(model.rnn)
    x = model.embedding(batch["input_ids"]) if model.of_tokens else batch["features"].double()
    for row, length in enumerate(batch["lengths"].tolist()):
        logits = model.classifier(unrolled(x[row, :length])[1])
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"][row]) / len(batch["labels"])
        loss.backward(retain_graph=True)
    return unrolled


def compare(program, folder, name):
    cell, layers, both_ways, of_tokens = CASES[name]
    torch.manual_seed(3)
    model = Model(*CASES[name])
    samples = make_samples(of_tokens)
    options = {"input": "tokens" if of_tokens else "features", "num_labels": CLASSES, "cell": cell, "num_layers": layers,
               "hidden_size": HIDDEN, "bidirectional": both_ways, "dropout": 0}
    options |= {"embedding_size": WIDTH, "vocab_size": VOCABULARY} if of_tokens else {"num_features": FEATURES}
    words = {**options, "bidirectional": str(both_ways).lower(), "max_length": LENGTH}
    models.write_inputs(folder, words, samples)
    run = recurrent.Run(program, folder, name, "rnn_classifier", model, options)
    for i, batch in enumerate(batch for pair in run.batches for batch in pair):
        assert_batch(batch, samples[i * MICROBATCH : (i + 1) * MICROBATCH])
    first = run.batches[0][0]
    run.compare("logits", lambda trained: trained(first), {key: first.get(key) for key in ("input_ids", "features", "lengths")},
                mean_loss, accuracy, norms_of(model, first))
    run.assert_refused([f"hidden_size: {HIDDEN} here, 7 there", "bidirectional:"], hidden_size=7, bidirectional=not both_ways)


if __name__ == "__main__":
    recurrent.main(CASES, compare)
