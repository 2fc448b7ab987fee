"""What the parity tests of recurrent models with one result a sequence share: the model directory that Triga starts from, and the
comparison of its training with PyTorch's."""

import copy
import json
import re
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import models
from models import MICROBATCHES_PER_STEP, STEPS, assert_close, assert_same_gradients, batch_of
from recurrent_gradients import assert_same_norms


class Run:
    """Triga's run of a kind of the plugin rnn, from the weights of `model`: `results`, and `batches` [step][microbatch]."""

    def __init__(self, program, folder, name, kind, model, options):
        """`options` are those of config.json. Requires: models.write_inputs() was called."""
        self.program, self.folder, self.name, self.kind, self.model = program, folder, name, kind, model
        self.config = {"model_type": f"triga_{kind}", **options}
        (folder / name).mkdir()
        self.write_config()
        save_file({n: p.detach().clone() for n, p in model.named_parameters()}, folder / name / "model.safetensors")
        self.results = models.run(program, "rnn", kind, folder, name)
        self.batches = [[batch_of(self.results, step, i) for i in range(MICROBATCHES_PER_STEP)] for step in range(STEPS)]

    def write_config(self, **changes):
        (self.folder / self.name / "config.json").write_text(json.dumps({**self.config, **changes}))

    def compare(self, output, forward, inputs, mean_loss, metrics, norms):
        """`output`: its name; forward(model) -> output of the first batch; `inputs`: of the README's code, for the same;
        mean_loss(model, batches); metrics(model, batches) -> by name; `norms`: an Unrolled whose gradients were made."""
        trained = copy.deepcopy(self.model)
        theirs = forward(trained)
        written = models.read_by_readme(self.folder / f"{self.name}-written" / "step-00000000", **inputs)
        assert torch.equal(written[output], theirs), "the README reads other weights"
        output_error = assert_close(output, self.results[output], theirs, 1e-5)
        self.assert_evaluation(trained, mean_loss, metrics)
        loss = mean_loss(trained, [self.batches[0][0]])
        loss.backward()
        assert_close("loss", self.results["loss"].reshape([]), loss.double(), 1e-5 * loss.item())
        gradient_error = assert_same_gradients(self.results, trained.named_parameters())
        norms_error = assert_same_norms(self.results, norms)
        losses = models.optimize(trained.parameters(), lambda step: mean_loss(trained, self.batches[step]))
        losses_error = assert_close("losses of ten steps", self.results["losses"], losses, 1e-5)
        print(f"{self.name}: {output} {output_error:.2g}, gradients {gradient_error:.2g} of the limit, losses {losses_error:.2g}, "
              f"gradients by time {norms_error:.2g}")

    def assert_evaluation(self, model, mean_loss, metrics):
        """Loss and metrics over two microbatches together."""
        batches = [{name.removeprefix(prefix): tensor for name, tensor in self.results.items() if name.startswith(prefix)}
                   for prefix in (f"evaluation.batch.{i}." for i in range(MICROBATCHES_PER_STEP))]
        with torch.no_grad():
            expected = {"loss": mean_loss(model, batches), **metrics(model, batches)}
        for name, value in expected.items():
            value = value.double()
            assert_close(f"{name} of the evaluation", self.results[f"evaluation.{name}"].reshape([]), value, 1e-5 * abs(value.item()))
        others = {name for name in self.results if re.fullmatch(r"evaluation\.\w+", name)} - {f"evaluation.{name}" for name in expected}
        assert not others, f"metrics that were not compared: {others}"

    def assert_refused(self, words, **changes):
        """A directory whose config.json differs so is refused with these words."""
        self.write_config(**changes)
        models.assert_refused(self.program, "rnn", self.kind, self.folder, self.name, words)


def error_metrics(forecast, target):
    """metrics() of models of numbers: forecast(model, batch), and the batch's field that it should be."""
    def metrics(model, batches):
        errors = torch.cat([(forecast(model, batch) - batch[target]).double().flatten() for batch in batches])
        return {"mse": errors.square().mean(), "mae": errors.abs().mean()}
    return metrics


def main(cases, compare):
    """compare(program, folder, name) for each case, in a folder of its own."""
    torch.set_num_threads(1)
    for name in cases:
        with tempfile.TemporaryDirectory() as folder:
            compare(sys.argv[1], Path(folder), name)
