"""Kind rnn_forecaster against torch.nn's layers: the same weights and windows give the same forecast, loss, gradients and ten
steps of AdamW, and the same rolling forecasts of a series; and the README of a checkpoint is PyTorch code that reads it."""

import copy
import csv
import re

import torch

import models
import recurrent
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS
from recurrent_gradients import Unrolled

ROWS, HORIZON, HIDDEN, FEATURES = 12, 5, 28, 3
TOTAL, FROM, NAMES = 83, 40, ("load", "heat", "oil")  # rows of a series, the first to forecast; 3 rows of 43 are left over
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


def write_series(folder):
    """A series of columns that have little in common but time, and what the sampler is to make of it: [rows, columns]."""
    generator = torch.Generator().manual_seed(7)
    steps = torch.randn(TOTAL, FEATURES, generator=generator, dtype=torch.float64)
    series = steps.cumsum(0) * torch.tensor([0.3, 5.0, 100.0]) + torch.tensor([-2.0, 40.0, 3000.0])
    lines = [",".join(["hour", *NAMES]), *(",".join([f"h{i}", *map(repr, row)]) for i, row in enumerate(series.tolist()))]
    (folder / "series.csv").write_text("\n".join(lines) + "\n")
    inputs = {"file": folder / "series.csv", "columns": ",".join(NAMES), "input_length": ROWS, "from": FROM, "standardise_from": 3, "standardise_to": FROM}
    (folder / "sampler.txt").write_text("".join(f"{key} {value}\n" for key, value in inputs.items()))
    return series


def assert_rolling(folder, name, model, series):
    """Each forecast from what happened before it, in the units of the file; its errors in those of training."""
    past = series[3:FROM]
    mean, deviation = past.mean(0), past.std(0, correction=0)
    standard = ((series - mean) / deviation).float()
    forecasts, places = [], range(FROM, TOTAL - HORIZON + 1, HORIZON)
    with torch.no_grad():
        for place in places:
            forecasts.append(model(standard[place - ROWS : place].unsqueeze(0))[0].double())
    forecast = torch.cat(forecasts)
    actual = series[FROM : FROM + len(forecast)]
    with open(folder / f"{name}-forecast.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(line["row"], line["column"]) for line in table] == [
        (str(FROM + row), column) for row in range(len(forecast)) for column in NAMES]
    ours = {key: torch.tensor([float(line[key]) for line in table], dtype=torch.float64).view(-1, FEATURES) for key in ("actual", "forecast")}
    models.assert_close("what happened", (ours["actual"] - actual) / deviation, torch.zeros_like(actual), 1e-6)  # nine digits
    error = models.assert_close("rolling forecasts", (ours["forecast"] - mean) / deviation, forecast, 1e-5)
    errors = forecast - (actual - mean) / deviation
    said = re.fullmatch(rf"{len(places)} forecasts of {HORIZON} rows: mse (\S+), mae (\S+)\n", (folder / f"{name}-printed.txt").read_text())
    for text, expected in zip(said.groups(), (errors.square().mean(), errors.abs().mean())):
        models.assert_close("error of the forecasts", torch.tensor(float(text)).double(), expected, 2e-5 * expected.item())  # six digits
    assert (folder / f"{name}-forecast.svg").read_text().count("<polyline") == 2 * FEATURES
    print(f"{name}: {len(places)} rolling forecasts {error:.2g}")


def compare(program, folder, name):
    cell, layers, subtract_last = CASES[name]
    torch.manual_seed(3)
    model = Model(*CASES[name])
    generator = torch.Generator().manual_seed(5)
    samples = [{"input": torch.randn(ROWS, FEATURES, generator=generator), "target": torch.randn(HORIZON, FEATURES, generator=generator)}
               for _ in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS)]
    options = {"num_features": FEATURES, "horizon": HORIZON, "cell": cell, "num_layers": layers, "hidden_size": HIDDEN, "dropout": 0,
               "subtract_last": subtract_last}
    series = write_series(folder)
    models.write_inputs(folder, {**options, "subtract_last": str(subtract_last).lower()}, samples)
    run = recurrent.Run(program, folder, name, "rnn_forecaster", model, options)
    first = run.batches[0][0]
    assert torch.equal(first["target"], torch.stack([sample["target"] for sample in samples[:MICROBATCH]]))
    run.compare("forecast", lambda trained: trained(first["input"]), {"rows": first["input"]}, mean_loss,
                recurrent.error_metrics(lambda trained, batch: trained(batch["input"]), "target"), norms_of(model, first))
    assert_rolling(folder, name, model, series)
    run.assert_refused([f"horizon: {HORIZON} here, 7 there"], horizon=7)


if __name__ == "__main__":
    recurrent.main(CASES, compare)
