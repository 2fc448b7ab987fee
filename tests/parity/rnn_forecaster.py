"""Kind rnn_forecaster against torch.nn's layers: the same weights and windows give the same forecast, loss, gradients and ten
steps of AdamW; and the README of a checkpoint is PyTorch code that reads it."""

import copy

import torch

import models
import recurrent
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS
from recurrent_gradients import Unrolled

ROWS, HORIZON, HIDDEN, FEATURES = 12, 5, 28, 3
CASES = {"lstm": ("lstm", 2, True), "gru": ("gru", 1, False), "rnn": ("rnn_relu", 2, False)}  # cell, layers, subtract_last


class Model(torch.nn.Module):
    def __init__(self, cell, layers, subtract_last):
        super().__init__()
        kinds = {"lstm": (torch.nn.LSTM, {}), "gru": (torch.nn.GRU, {}), "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"})}
        module, options = kinds[cell]
        self.rnn = module(FEATURES, HIDDEN, layers, batch_first=True, **options)
        self.head = torch.nn.Linear(HIDDEN, HORIZON * FEATURES)
        self.subtract_last = subtract_last

    def forward(self, rows):
        last = rows[:, -1:] if self.subtract_last else 0
        _, state = self.rnn(rows - last)
        hidden = state[0] if isinstance(state, tuple) else state
        return self.head(hidden[-1]).unflatten(1, (HORIZON, FEATURES)) + last


def mean_loss(model, batches):
    return sum(torch.nn.functional.mse_loss(model(batch["input"]), batch["target"]) for batch in batches) / len(batches)


def norms_of(model, batch):
    model = copy.deepcopy(model).double()
    unrolled = Unrolled(model.rnn)
    for rows, target in zip(batch["input"].double(), batch["target"].double()):
        last = rows[-1:] if model.subtract_last else 0
        forecast = model.head(unrolled(rows - last)[1]).unflatten(0, (HORIZON, FEATURES)) + last
        (torch.nn.functional.mse_loss(forecast, target, reduction="sum") / batch["target"].numel()).backward()
    return unrolled


def compare(program, folder, name):
    cell, layers, subtract_last = CASES[name]
    torch.manual_seed(3)
    model = Model(*CASES[name])
    generator = torch.Generator().manual_seed(5)
    samples = [{"input": torch.randn(ROWS, FEATURES, generator=generator), "target": torch.randn(HORIZON, FEATURES, generator=generator)}
               for _ in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS)]
    options = {"num_features": FEATURES, "horizon": HORIZON, "cell": cell, "num_layers": layers, "hidden_size": HIDDEN, "dropout": 0,
               "subtract_last": subtract_last}
    models.write_inputs(folder, {**options, "subtract_last": str(subtract_last).lower()}, samples)
    run = recurrent.Run(program, folder, name, "rnn_forecaster", model, options)
    first = run.batches[0][0]
    assert torch.equal(first["target"], torch.stack([sample["target"] for sample in samples[:MICROBATCH]]))
    run.compare("forecast", lambda trained: trained(first["input"]), {"rows": first["input"]}, mean_loss, norms_of(model, first))
    run.assert_refused([f"horizon: {HORIZON} here, 7 there"], horizon=7)


if __name__ == "__main__":
    recurrent.main(CASES, compare)
