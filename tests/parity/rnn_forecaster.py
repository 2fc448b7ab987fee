"""Kind rnn_forecaster against torch.nn's layers: the same weights and windows give the same forecast, loss, gradients and ten
steps of AdamW; and the README of a checkpoint is PyTorch code that reads it."""

import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import models
from recurrent_gradients import Unrolled, assert_same_norms
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS, assert_close, assert_same_gradients, batch_of

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
    (folder / name).mkdir()
    config = {"model_type": "triga_rnn_forecaster", **options}
    (folder / name / "config.json").write_text(json.dumps(config))
    save_file({n: p.detach().clone() for n, p in model.named_parameters()}, folder / name / "model.safetensors")
    results = models.run(program, "rnn", "rnn_forecaster", folder, name)

    batches = [[batch_of(results, step, i) for i in range(MICROBATCHES_PER_STEP)] for step in range(STEPS)]
    first = batches[0][0]
    assert torch.equal(first["target"], torch.stack([sample["target"] for sample in samples[:MICROBATCH]]))
    trained = copy.deepcopy(model)
    theirs = trained(first["input"])
    written = models.read_by_readme(folder / f"{name}-written" / "step-00000000", rows=first["input"])
    assert torch.equal(written["forecast"], theirs), "the README reads other weights"
    forecast_error = assert_close("forecast", results["forecast"], theirs, 1e-5)
    loss = mean_loss(trained, [first])
    loss.backward()
    assert_close("loss", results["loss"].reshape([]), loss.double(), 1e-5 * loss.item())
    gradient_error = assert_same_gradients(results, trained.named_parameters())
    norms_error = assert_same_norms(results, norms_of(model, first))
    losses = models.optimize(trained.parameters(), lambda step: mean_loss(trained, batches[step]))
    losses_error = assert_close("losses of ten steps", results["losses"], losses, 1e-5)
    print(f"{name}: forecast {forecast_error:.2g}, gradients {gradient_error:.2g} of the limit, losses {losses_error:.2g}, "
          f"gradients by time {norms_error:.2g}")

    (folder / name / "config.json").write_text(json.dumps({**config, "horizon": 7}))
    models.assert_refused(program, "rnn", "rnn_forecaster", folder, name, [f"horizon: {HORIZON} here, 7 there"])


def main(program):
    torch.set_num_threads(1)
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            compare(program, Path(folder), name)


if __name__ == "__main__":
    main(sys.argv[1])
