"""Kind rnn_regressor against torch.nn's layers on packed sequences: the same weights and samples give the same values, loss,
gradients and ten steps of AdamW; and the README of a checkpoint is PyTorch code that reads it."""

import copy

import torch

import models
import recurrent
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS
from recurrent_gradients import Unrolled

LENGTH, HIDDEN, FEATURES, TARGETS = 60, 28, 3, 2
CASES = {  # name: cell, layers, in both directions
    "lstm": (torch.nn.LSTM, "lstm", 2, True),
    "gru": (torch.nn.GRU, "gru", 1, False),
    "rnn": (torch.nn.RNN, "rnn_tanh", 2, False),
}


class Model(torch.nn.Module):
    def __init__(self, module, layers, both_ways):
        super().__init__()
        self.rnn = module(FEATURES, HIDDEN, layers, batch_first=True, bidirectional=both_ways)
        self.regressor = torch.nn.Linear(HIDDEN * (2 if both_ways else 1), TARGETS)
        self.both_ways = both_ways

    def forward(self, batch):
        _, state = self.rnn(torch.nn.utils.rnn.pack_padded_sequence(batch["features"], batch["lengths"], batch_first=True))
        hidden = state[0] if isinstance(state, tuple) else state
        return self.regressor(torch.cat([hidden[-2], hidden[-1]], dim=1) if self.both_ways else hidden[-1])


def mean_loss(model, batches):
    losses = [torch.nn.functional.mse_loss(model(batch), batch["targets"], reduction="sum") for batch in batches]
    return sum(losses) / sum(batch["targets"].numel() for batch in batches)


def norms_of(model, batch):
    model = copy.deepcopy(model).double()
    unrolled = Unrolled(model.rnn)
    for features, length, target in zip(batch["features"].double(), batch["lengths"].tolist(), batch["targets"].double()):
        values = model.regressor(unrolled(features[:length])[1])
        (torch.nn.functional.mse_loss(values, target, reduction="sum") / batch["targets"].numel()).backward()
    return unrolled


def compare(program, folder, name):
    module, cell, layers, both_ways = CASES[name]
    torch.manual_seed(3)
    model = Model(module, layers, both_ways)
    generator = torch.Generator().manual_seed(5)
    samples = []
    for i in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS):
        length = LENGTH if i == 1 else int(torch.randint(1, LENGTH + 1, (1,), generator=generator))
        samples.append({"features": torch.randn(length, FEATURES, generator=generator), "target": torch.randn(TARGETS, generator=generator)})
    options = {"input": "features", "num_features": FEATURES, "num_targets": TARGETS, "cell": cell, "num_layers": layers,
               "hidden_size": HIDDEN, "bidirectional": both_ways, "dropout": 0}
    models.write_inputs(folder, {**options, "bidirectional": str(both_ways).lower(), "max_length": LENGTH}, samples)
    run = recurrent.Run(program, folder, name, "rnn_regressor", model, options)
    first = run.batches[0][0]
    order = sorted(range(MICROBATCH), key=lambda i: -len(samples[i]["features"]))
    assert torch.equal(first["targets"], torch.stack([samples[i]["target"] for i in order]))
    run.compare("values", lambda trained: trained(first), {"features": first["features"], "lengths": first["lengths"]}, mean_loss,
                recurrent.error_metrics(lambda trained, batch: trained(batch), "targets"), norms_of(model, first))
    run.assert_refused([f"num_targets: {TARGETS} here, 7 there"], num_targets=7)


if __name__ == "__main__":
    recurrent.main(CASES, compare)
