"""Kind bert_mlm against transformers' BertForMaskedLM: the same weights and masked samples give the same logits, loss, gradients
and ten steps of AdamW; files of all ages are read; and from_pretrained() reads the checkpoint that Triga writes."""

import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, BertForMaskedLM

import bert
import models
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS, batch_of


def logits_of(model, batch):
    """At the places that are to be guessed: [B, M, vocabulary]."""
    logits = model(batch["input_ids"], attention_mask=bert.mask_of(batch)).logits
    return torch.stack([row[places] for row, places in zip(logits, batch["masked_positions"])])


def mean_loss(model, batches):
    losses = [torch.nn.functional.cross_entropy(logits_of(model, batch).flatten(0, 1), batch["labels"].flatten(), ignore_index=-100,
                                                reduction="sum") for batch in batches]
    return sum(losses) / sum(int((batch["labels"] != -100).sum()) for batch in batches)


def assert_masked(batch, tokens):
    """15 % of the ordinary tokens of each sample, with what stood there as labels; all else is as it was."""
    changed = []
    for i, sample in enumerate(tokens):
        labels = [(int(p), int(l)) for p, l in zip(batch["masked_positions"][i], batch["labels"][i]) if l != -100]
        ordinary = int((sample >= 5).sum())
        assert len(labels) == min(ordinary, max(1, int(0.15 * ordinary + 0.5))), (len(labels), ordinary)
        assert [p for p, _ in labels] == sorted({p for p, _ in labels})
        changed += [(i, place, label) for place, label in labels]
    bert.assert_inputs(batch, tokens, changed)


def compare(program, folder, name, model, tokens):
    results = models.run(program, "transformer", "bert_mlm", folder, name)
    for step in range(STEPS):
        for i in range(MICROBATCHES_PER_STEP):
            start = (step * MICROBATCHES_PER_STEP + i) * MICROBATCH
            assert_masked(batch_of(results, step, i), tokens[start : start + MICROBATCH])
    first, theirs = bert.compare(name, results, model, logits_of, mean_loss)
    written = folder / f"{name}-written" / "step-00000000"
    bert.assert_loads(BertForMaskedLM, written, logits_of, first, theirs)
    assert isinstance(AutoModelForMaskedLM.from_pretrained(written), BertForMaskedLM)


def main(program):
    torch.set_num_threads(1)
    model, tokens = bert.make_model(BertForMaskedLM), bert.make_tokens()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models.write_inputs(folder, bert.OPTIONS, tokens)
        model.save_pretrained(folder / "saved")
        compare(program, folder, "saved", model, tokens)
        bert.save_old_format(model, folder / "old")
        compare(program, folder, "old", model, tokens)
        bert.assert_refused(program, "bert_mlm", folder, "saved")


if __name__ == "__main__":
    main(sys.argv[1])
