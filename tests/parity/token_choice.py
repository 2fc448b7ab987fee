"""The choice of the next token against transformers' warpers of logits: the same probabilities after temperature, top-k and
top-p, and draws that follow them."""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

VOCABULARY = 50


def expected(logits, temperature, top_k, top_p):
    scores = logits[None].double()
    warpers = [TemperatureLogitsWarper(temperature)]
    if top_k:
        warpers.append(TopKLogitsWarper(int(top_k)))
    if top_p:
        warpers.append(TopPLogitsWarper(top_p))
    for warper in warpers:
        scores = warper(None, scores)
    return scores.softmax(-1)[0]


def main(program):
    generator = torch.Generator().manual_seed(1)
    choices = [
        (temperature, top_k, top_p)
        for temperature in (0.3, 1.0, 2.5)
        for top_k in (0, 1, 7, VOCABULARY, 2 * VOCABULARY)
        for top_p in (0.0, 1e-6, 0.5, 0.93, 1.0)
    ]
    logits = torch.randn(len(choices), VOCABULARY, generator=generator) * 3
    logits[::4, 10:14] = logits[::4, :].amax(-1, keepdim=True)  # ties at the top
    with tempfile.TemporaryDirectory() as folder:
        save_file(
            {"logits": logits, "choices": torch.tensor(choices, dtype=torch.float64)}, Path(folder) / "logits.safetensors"
        )
        subprocess.run([program, folder], check=True)
        results = load_file(Path(folder) / "probabilities.safetensors")
    for i, choice in enumerate(choices):
        theirs, ours = expected(logits[i], *choice), results["probabilities"][i]
        # Which of several equal logits top-p drops is not defined; the sorted probabilities are.
        error = (theirs.sort().values - ours.sort().values).abs().max().item()
        assert error < 1e-9, f"{choice}: probabilities differ by {error:.3g}"
        if i % 4:
            assert (theirs - ours).abs().max() < 1e-9, choice
        counts = results["counts"][i].double()
        assert (counts[ours == 0] == 0).all(), f"{choice}: drew a token that is filtered"
        kept = ours > 0
        chi_square = ((counts - counts.sum() * ours).square()[kept] / (counts.sum() * ours)[kept]).sum().item()
        degrees = max(1, int(kept.sum()) - 1)
        assert chi_square < degrees + 8 * (2 * degrees) ** 0.5 + 8, f"{choice}: chi-square {chi_square:.1f} of {degrees}"


if __name__ == "__main__":
    main(sys.argv[1])
