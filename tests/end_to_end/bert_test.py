"""BERT learns from text alone, then a classifier starts from what it learned, with a fresh head: in every layout; transformers
reads both and says the same."""

import random
import re
import unittest

import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer
from triga_runner import TrigaTest, read_tensors, state_hash

SIZES = "num_layers: 3, num_heads: 2, hidden_size: 16, intermediate_size: 32, context_length: 24, dropout: 0.1, attention_dropout: 0.1"
TAIL = """\
train: {max_steps: 12, global_batch: {samples: 10}, microbatch_size: 2, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 1.0e-2, groups: GROUPS}
eval: {every_steps: 6}
checkpoint: {every_steps: 6}
log: {every_steps: 1}
"""
MLM = f"""\
name: fill
model: {{plugin: transformer, kind: bert_mlm, config: {{{SIZES}}}}}
data:
  train: {{kind: text, files: [text.txt], document: line, pack: false}}
  validation: {{kind: text, files: [held_out.txt], document: line, pack: false}}
  tokenizer: {{kind: wordpiece, vocab_size: 120}}
""" + TAIL.replace("GROUPS", "[]")
CLASSIFIER = f"""\
name: mood
model:
  plugin: transformer
  kind: bert_classifier
  config: {{{SIZES}}}
  init: {{from: fill/checkpoints/latest, reinitialize: ["classifier.*", "bert.pooler.*"]}}
data:
  train: {{kind: labelled_text, files: [moods.tsv], take: {{to: 0.8}}}}
  validation: {{kind: labelled_text, files: [moods.tsv], take: {{from: 0.8}}}}
  tokenizer: {{kind: wordpiece, from: fill/checkpoints/latest}}
""" + TAIL
FROZEN = r'[{match: "embeddings|layer\\.[01]\\.", frozen: true}, {match: "layer\\.2\\.", learning_rate_scale: 0.1}]'

LAYOUTS = (
    (3, ()),
    (2, ("parallel.zero=0",)),
    (2, ("parallel.pp=2",)),
    (2, ("parallel.pp=2", "parallel.recompute=full")),
    (4, ("parallel.dp=2", "parallel.pp=2", "parallel.zero=2")),
)


class BertTest(TrigaTest):
    def setUp(self):
        super().setUp()
        generator = random.Random(4)
        words = {0: "not but his had".split(), 1: "the with for are".split()}
        lines = [" ".join(generator.choices(words[i % 2], k=generator.randint(1, 9))) + f"\t{i % 2}" for i in range(100)]
        (self.folder / "moods.tsv").write_text("\n".join(lines) + "\n")

    def pretrain(self, *arguments):
        self.experiment.write_text(MLM)
        return self.launch(1, "fill", *arguments)

    def check_layouts(self, alone):
        for ranks, settings in LAYOUTS:
            run = self.launch(ranks, f"{ranks}{''.join(settings)}", *[w for s in settings for w in ("--set", s)])
            for split, names in (("train", ("loss", "grad_norm")), ("validation", ("loss", "accuracy"))):
                for name in names:
                    expected, got = alone.column(name, split), run.column(name, split)
                    self.assertEqual(expected.keys(), got.keys())
                    for step in expected:  # fp32 sums in another order
                        self.assertAlmostEqual(got[step], expected[step], delta=1e-5 * max(1, abs(expected[step])),
                                               msg=f"{settings} {name} {step}")

    def check_parts(self):
        """A run in two parts is the run, to the bit."""
        self.launch(2, "parts", "--set", "train.max_steps=6")
        parts, straight = self.launch(2, "parts"), self.launch(2, "straight")
        self.assertEqual(state_hash(parts.directory), state_hash(straight.directory))

    def generate(self, run, text, *arguments):
        completed = self.command("generate", run.directory, "--input", f"text={text}", *arguments)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        return completed.stdout

    def test_masked_tokens(self):
        alone = self.pretrain()
        self.check_layouts(alone)
        self.check_parts()
        self.check_bf16(alone, state_hash)
        # Nothing is learned, so two evaluations differ only if their masks do.
        still = self.launch(1, "still", "--set", "optimizer.learning_rate=1.0e-30").column("loss", "validation")
        self.assertEqual(still[6], still[12])

        text = "the man was [MASK] by his [MASK] ."
        folder = alone.directory / "checkpoints" / "latest"
        tokenizer = AutoTokenizer.from_pretrained(folder)
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            logits = AutoModelForMaskedLM.from_pretrained(folder)(**inputs).logits[0]
        best = logits[inputs["input_ids"][0] == tokenizer.mask_token_id].argmax(-1)
        guesses = re.findall(r"\[MASK\] \d: (\S+) \(", self.generate(alone, text, "--input", "top_k=1"))
        self.assertEqual(guesses, tokenizer.convert_ids_to_tokens(best.tolist()))

    def test_a_classifier_starts_from_it(self):
        pretrained = self.pretrain()
        self.experiment.write_text(CLASSIFIER.replace("GROUPS", "[]"))
        alone = self.launch(1, "alone")
        self.assertIn("4 drawn anew as asked", (alone.directory / "log" / "rank-0.log").read_text())
        self.check_layouts(alone)
        self.check_parts()
        self.check_bf16(alone, state_hash)
        longer = self.launch(2, "longer", "--set", "train.max_steps=60")
        self.assertGreater(longer.column("accuracy", "validation")[60], 0.95, "words that tell the class by themselves")

        text = "the with but for"
        folder = longer.directory / "checkpoints" / "latest"
        inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
        with torch.no_grad():
            chances = torch.softmax(AutoModelForSequenceClassification.from_pretrained(folder)(**inputs).logits[0], 0)
        said = {int(label): float(share) for label, share in re.findall(r"class (\d): ([\d.]+) %", self.generate(longer, text))}
        for label, chance in enumerate(chances.tolist()):
            self.assertAlmostEqual(said[label] / 100, chance, delta=0.0006)

        refused = self.command("train", self.experiment, "--run-dir", "strict", "--set", "model.init.reinitialize=[]")
        self.assertEqual(refused.returncode, 5, refused.stderr)
        for name in ("bert.pooler.dense.weight is missing", "classifier.bias is missing"):
            self.assertIn(name, refused.stderr)
        self.assertNotIn("cls.predictions", refused.stderr)
        self.assertEqual(state_hash(pretrained.directory), state_hash(self.folder / "fill"))

    def test_frozen_layers_keep_their_values_in_every_layout(self):
        self.pretrain()
        self.experiment.write_text(CLASSIFIER.replace("GROUPS", FROZEN))
        alone = self.launch(1, "alone")
        self.check_layouts(alone)  # in two stages, all of the first is frozen
        before, after = (read_tensors(self.folder / run / "checkpoints" / "latest", "model") for run in ("fill", "alone"))
        optimizer = read_tensors(self.folder / "alone" / "checkpoints" / "latest" / "training", "optimizer")
        for name in after.keys() & before.keys():
            is_frozen = re.search(r"embeddings|layer\.[01]\.", name) is not None
            self.assertEqual(after[name] == before[name], is_frozen, name)
            self.assertEqual(f"{name}.exp_avg" in optimizer, not is_frozen, name)
        # A smaller rate moves less: the first step of AdamW is the rate, whatever the gradient.
        step = self.launch(1, "step", "--set", "train.max_steps=1", "--set", "checkpoint.every_steps=1")
        moved = read_tensors(step.directory / "checkpoints" / "latest", "model")
        name = "bert.encoder.layer.2.output.dense.bias"
        self.assertAlmostEqual(self.largest_change(before[name], moved[name]), 1e-3, delta=2e-5)

    @staticmethod
    def largest_change(before, after):
        return max(abs(a - b) for a, b in zip(*(torch.frombuffer(bytearray(data), dtype=torch.float32).tolist()
                                                for _, _, data in (before, after))))


if __name__ == "__main__":
    unittest.main(verbosity=2)
