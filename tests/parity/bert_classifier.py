"""Kind bert_classifier against transformers' BertForSequenceClassification: the same weights and padded samples give the same
logits, loss, gradients and ten steps of AdamW; files of all ages are read; and from_pretrained() reads the checkpoint that Triga
writes."""

import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification

import bert
import models
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS, batch_of

CLASSES = 5


def logits_of(model, batch):
    return model(batch["input_ids"], attention_mask=bert.mask_of(batch)).logits


def mean_loss(model, batches):
    losses = [torch.nn.functional.cross_entropy(logits_of(model, batch), batch["labels"], reduction="sum") for batch in batches]
    return sum(losses) / sum(len(batch["labels"]) for batch in batches)


def compare(program, folder, name, model, samples):
    results = models.run(program, "transformer", "bert_classifier", folder, name)
    for step in range(STEPS):
        for i in range(MICROBATCHES_PER_STEP):
            start = (step * MICROBATCHES_PER_STEP + i) * MICROBATCH
            batch, of_batch = batch_of(results, step, i), samples[start : start + MICROBATCH]
            bert.assert_inputs(batch, [sample["tokens"] for sample in of_batch])
            assert batch["labels"].tolist() == [int(sample["label"]) for sample in of_batch]
    first, theirs = bert.compare(name, results, model, logits_of, mean_loss)
    written = folder / f"{name}-written" / "step-00000000"
    loaded = bert.assert_loads(BertForSequenceClassification, written, logits_of, first, theirs)
    assert loaded.config.num_labels == CLASSES and loaded.config.id2label[1] == "LABEL_1"
    assert isinstance(AutoModelForSequenceClassification.from_pretrained(written), BertForSequenceClassification)


def main(program):
    torch.set_num_threads(1)
    model = bert.make_model(BertForSequenceClassification, num_labels=CLASSES)
    generator = torch.Generator().manual_seed(6)
    samples = [{"tokens": tokens, "label": torch.randint(0, CLASSES, (), generator=generator)} for tokens in bert.make_tokens()]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models.write_inputs(folder, {**bert.OPTIONS, "num_labels": CLASSES}, samples)
        model.save_pretrained(folder / "saved")
        compare(program, folder, "saved", model, samples)
        bert.save_old_format(model, folder / "old")
        compare(program, folder, "old", model, samples)
        bert.assert_refused(program, "bert_classifier", folder, "saved")
        models.write_inputs(folder, {**bert.OPTIONS, "num_labels": 3}, samples)
        models.assert_refused(program, "transformer", "bert_classifier", folder, "old",
                              ["classifier.weight is", "but the model has [3, 32]"])


if __name__ == "__main__":
    main(sys.argv[1])
