"""A classifier is fine-tuned from a directory that transformers wrote, under a fresh head, with frozen layers, learning rates and weight
decays by group: PyTorch's AdamW on transformers' model makes the same steps."""

import random
import re
import struct
import unittest

import torch
from transformers import (AutoModelForSequenceClassification, BertConfig, BertForPreTraining, BertForSequenceClassification, BertTokenizer,
                          ViTConfig, ViTForImageClassification, ViTModel)
from triga_runner import WORDS, TrigaTest

STEPS, BATCH = 6, 10
RATE, DECAY, CLIP = 5.0e-3, 0.1, 0.2
# Regular expression, whether it is frozen, scale of the rate, weight decay of all that match or None; the last that matches counts.
GROUPS = (("embeddings|layer\\.0\\.", True, 1.0, None), ("layer\\.1\\.", False, 0.2, None), ("classifier", False, 3.0, 0.5))
SIZES = {"num_hidden_layers": 3, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 24}


def in_yaml(group):
    match, is_frozen, scale, decay = group
    if is_frozen:
        return f"{{match: '{match}', frozen: true}}"
    return f"{{match: '{match}', learning_rate_scale: {scale}{'' if decay is None else f', weight_decay: {decay}'}}}"


EXPERIMENT = f"""\
name: mood
model:
  plugin: transformer
  kind: bert_classifier
  config: {{num_layers: 3, num_heads: 2, hidden_size: 16, intermediate_size: 32, context_length: 24, dropout: 0, attention_dropout: 0}}
  init: {{from: hub, reinitialize: ["classifier.*"]}}
data:
  train: {{kind: labelled_text, files: [moods.tsv]}}
  tokenizer: {{kind: wordpiece, from: hub}}
  shuffle: false
train: {{max_steps: {STEPS}, global_batch: {{samples: {BATCH}}}, microbatch_size: 2, seed: 3, clip_norm: {CLIP}, device: cpu}}
optimizer: {{kind: adamw, learning_rate: {RATE}, weight_decay: {DECAY}, groups: [{", ".join(map(in_yaml, GROUPS))}]}}
learning_rate_schedule: {{kind: constant}}
checkpoint: {{every_steps: {STEPS}}}
log: {{every_steps: 1}}
"""


VIT = """\
name: bars
model:
  plugin: transformer
  kind: vit_classifier
  config: {image_size: 8, patch_size: 4, num_channels: 1, num_labels: 4, num_layers: 3, num_heads: 2, hidden_size: 16, intermediate_size: 32}
  init: {from: bare, reinitialize: ["classifier.*"]}
data: {train: {kind: idx_images, images: bars.idx, labels: labels.idx}}
train: {max_steps: 1, global_batch: {samples: 4}, microbatch_size: 2, seed: 3, device: cpu}
optimizer: {kind: adamw, learning_rate: 1.0e-30}
checkpoint: {every_steps: 1}
log: {every_steps: 1}
"""


class FineTuningTest(TrigaTest):
    def setUp(self):
        super().setUp()
        generator = random.Random(4)
        self.samples = [(" ".join(generator.choices(WORDS, k=generator.randint(1, 20))), generator.randrange(2)) for _ in range(80)]
        (self.folder / "moods.tsv").write_text("".join(f"{text}\t{label}\n" for text, label in self.samples))
        hub = self.folder / "hub"
        hub.mkdir()
        (hub / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n")
        torch.manual_seed(1)
        BertForPreTraining(BertConfig(vocab_size=5 + len(WORDS), **SIZES)).save_pretrained(hub)
        self.experiment.write_text(EXPERIMENT)

    def fresh(self):
        """transformers' model as Triga starts: the directory's weights and the head that Triga draws."""
        run = self.launch(1, "still", *self.words("train.max_steps=1", "checkpoint.every_steps=1", "optimizer.learning_rate=1.0e-30"))
        self.assertIn("2 drawn anew as asked", (run.directory / "log" / "rank-0.log").read_text())
        model = BertForSequenceClassification.from_pretrained(run.directory / "checkpoints" / "latest", hidden_dropout_prob=0.0,
                                                              attention_probs_dropout_prob=0.0)
        given = BertForPreTraining.from_pretrained(self.folder / "hub").state_dict()
        own = {name for name, tensor in model.state_dict().items()
               if name not in given or (tensor - given[name]).abs().max() > 1e-20}  # what the one step may do
        self.assertEqual(own, {"classifier.weight", "classifier.bias"})
        return model

    @staticmethod
    def words(*settings):
        return [word for setting in settings for word in ("--set", setting)]

    def steps_of_pytorch(self, model):
        """The losses of its steps; the model is then trained."""
        parameters = []
        for name, parameter in model.named_parameters():
            is_frozen, scale, decay = False, 1.0, DECAY if parameter.dim() > 1 else 0.0
            for match, freezes, group_scale, group_decay in GROUPS:
                if re.search(match, name):
                    is_frozen, scale, decay = freezes, group_scale, decay if group_decay is None else group_decay
            parameter.requires_grad_(not is_frozen)
            if not is_frozen:
                parameters.append({"params": [parameter], "lr": RATE * scale, "weight_decay": decay})
        optimizer = torch.optim.AdamW(parameters)
        tokenizer = BertTokenizer.from_pretrained(self.folder / "hub")
        losses, norms = [], []
        model.train()
        for step in range(STEPS):
            texts, labels = zip(*self.samples[step * BATCH : (step + 1) * BATCH])
            inputs = tokenizer(list(texts), padding=True, return_tensors="pt")
            optimizer.zero_grad()
            loss = model(**inputs, labels=torch.tensor(labels)).loss
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_([group["params"][0] for group in parameters], CLIP).item())
            optimizer.step()
            losses.append(loss.item())
        return losses, norms

    def test_every_step_is_that_of_pytorch(self):
        model = self.fresh()
        start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        losses, norms = self.steps_of_pytorch(model)
        self.assertGreater(max(norms), CLIP, "nothing was clipped")
        for ranks, settings in ((1, ()), (2, ()), (2, ("parallel.pp=2",)), (3, ("parallel.zero=2",))):
            run = self.launch(ranks, f"{ranks}{''.join(settings)}", *self.words(*settings))
            trained = AutoModelForSequenceClassification.from_pretrained(run.directory / "checkpoints" / "latest").state_dict()
            with self.subTest(ranks=ranks, settings=settings):
                for name, expected in (("loss", losses), ("grad_norm", norms)):
                    for got, value in zip(run.column(name).values(), expected, strict=True):  # fp32 in another order
                        self.assertAlmostEqual(got, value, delta=1e-4 * max(1, abs(value)), msg=name)
                for name, expected in model.state_dict().items():
                    is_frozen = re.search(GROUPS[0][0], name) is not None
                    self.assertEqual(torch.equal(trained[name], start[name]), is_frozen, name)
                    # AdamW divides a gradient by its own size: where it is nearly zero, its last bits decide on a part of a step.
                    self.assertLess((trained[name] - expected).abs().mean().item(), 1e-5, name)

    def test_an_image_classifier_starts_from_a_bare_encoder(self):
        """A directory of a ViTModel: names without `vit.`, and a pooler that no classifier has."""
        (self.folder / "bars.idx").write_bytes(struct.pack(">4I", 0x803, 8, 8, 8) + random.Random(1).randbytes(8 * 8 * 8))
        (self.folder / "labels.idx").write_bytes(struct.pack(">2I", 0x801, 8) + bytes(i % 4 for i in range(8)))
        encoder = ViTModel(ViTConfig(num_hidden_layers=3, num_attention_heads=2, hidden_size=16, intermediate_size=32, image_size=8,
                                     patch_size=4, num_channels=1))
        with torch.no_grad():  # so that none is what a fresh one would be
            for parameter in encoder.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        encoder.save_pretrained(self.folder / "bare")
        self.experiment.write_text(VIT)
        run = self.launch(1, "run")
        self.assertIn("2 drawn anew as asked", (run.directory / "log" / "rank-0.log").read_text())
        got = ViTForImageClassification.from_pretrained(run.directory / "checkpoints" / "latest").state_dict()
        given = {f"vit.{name}": tensor for name, tensor in encoder.state_dict().items() if not name.startswith("pooler.")}
        self.assertEqual(got.keys() - given.keys(), {"classifier.weight", "classifier.bias"})
        for name, tensor in given.items():
            self.assertLessEqual((got[name] - tensor).abs().max(), 1e-20, name)  # what the one step may do
        refused = self.command("train", self.experiment, "--run-dir", "strict", "--set", "model.init.reinitialize=[]")
        self.assertEqual(refused.returncode, 5, refused.stderr)
        self.assertIn("classifier.weight is missing", refused.stderr)
        self.assertNotIn("is not expected", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
