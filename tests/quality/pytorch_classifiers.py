#!/usr/bin/env python3
"""The figure beside that of sentiment_sst2, bert_sentiment_sst2 and mnist_rows: the same set-up in PyTorch and transformers.

    .deps/venv/bin/python tests/quality/pytorch_classifiers.py runs/sentiment-sst2 [--seeds 3]

Model, data, tokenizer and training are read from the run's directory (resolved.yaml, checkpoints/best); weights and the order of
samples are PyTorch's own. As there, the best of its evaluations counts.
"""

import argparse
import gzip
import pathlib
import statistics

import torch
import yaml
from tokenizers import Tokenizer
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from transformers import BertConfig, BertForSequenceClassification


class LstmClassifier(torch.nn.Module):
    def __init__(self, config, vocab_size):
        super().__init__()
        assert config["cell"] == "lstm" and config["bidirectional"] and config["num_layers"] == 1, config
        self.embedding = torch.nn.Embedding(vocab_size, config["embedding_size"])
        torch.nn.init.normal_(self.embedding.weight, std=config["embedding_deviation"])
        self.lstm = torch.nn.LSTM(config["embedding_size"], config["hidden_size"], batch_first=True, bidirectional=True)
        self.dropout = torch.nn.Dropout(config["dropout"])
        self.classifier = torch.nn.Linear(2 * config["hidden_size"], config["num_labels"])

    def forward(self, sequences):
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        embedded = self.dropout(self.embedding(pad_sequence(sequences, batch_first=True)))
        _, (hidden, _) = self.lstm(pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False))
        return self.classifier(self.dropout(torch.cat([hidden[0], hidden[1]], dim=1)))


class RowsClassifier(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        assert config["cell"] == "gru" and not config["bidirectional"] and config["num_layers"] == 1, config
        self.gru = torch.nn.GRU(config["num_features"], config["hidden_size"], batch_first=True)
        self.dropout = torch.nn.Dropout(config["dropout"])
        self.classifier = torch.nn.Linear(config["hidden_size"], config["num_labels"])

    def forward(self, images):
        return self.classifier(self.dropout(self.gru(torch.stack(images))[1][0]))


class Bert(torch.nn.Module):
    def __init__(self, config, vocab_size):
        super().__init__()
        self.bert = BertForSequenceClassification(BertConfig(
            vocab_size=vocab_size, num_labels=config["num_labels"], num_hidden_layers=config["num_layers"],
            num_attention_heads=config["num_heads"], hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"], max_position_embeddings=config["context_length"],
            hidden_dropout_prob=config["dropout"], attention_probs_dropout_prob=config["attention_dropout"]))

    def forward(self, sequences):
        mask = pad_sequence([torch.ones_like(sequence) for sequence in sequences], batch_first=True)
        return self.bert(pad_sequence(sequences, batch_first=True), attention_mask=mask).logits


def read_rows(split):
    """IDX files of images and of labels: pairs of [rows, columns], 0 to 1, and a number."""
    def content(name, header):
        return torch.frombuffer(bytearray(gzip.decompress(pathlib.Path(name).read_bytes())[header:]), dtype=torch.uint8)
    labels = content(split["labels"], 8).tolist()
    images = content(split["images"], 16).view(len(labels), 28, 28).float() / 255
    first, end = (int(split["take"][key] * len(labels)) for key in ("from", "to"))
    return list(zip(images[first:end], labels[first:end]))


def read_text(split, tokenizer, limit, around):
    samples = []
    for name in split["files"]:
        for line in pathlib.Path(name).read_text().splitlines():
            columns = line.split("\t")
            ids = tokenizer.encode(columns[split["text_column"]], add_special_tokens=False).ids
            ids = [*around[:1], *ids[: limit - len(around)], *around[1:]]
            samples.append((torch.tensor(ids), int(columns[split["label_column"]])))
    return samples


@torch.no_grad()
def accuracy(model, samples):
    model.eval()
    right = 0
    for start in range(0, len(samples), 64):
        sequences, labels = zip(*samples[start : start + 64])
        right += int((model(sequences).argmax(1) == torch.tensor(labels)).sum())
    model.train()
    return right / len(samples)


def train(experiment, make, parts, seed):
    """The best accuracy of all evaluations of the model that make() makes."""
    torch.manual_seed(seed)
    settings, optimizer_settings, schedule = (experiment[key] for key in ("train", "optimizer", "learning_rate_schedule"))
    model = make()
    parameters = list(model.parameters())
    decay = optimizer_settings["weight_decay"]
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
         {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0}],
        lr=optimizer_settings["learning_rate"], betas=optimizer_settings["betas"], eps=float(optimizer_settings["eps"]))
    assert schedule["kind"] == "linear" and schedule["final_factor"] == 0, schedule
    warmup, total = schedule["warmup_steps"], schedule["decay_steps"]
    samples, step, best = parts["train"], 0, 0.0
    for _ in range(settings["max_epochs"]):
        order = torch.randperm(len(samples)).tolist()
        for start in range(0, len(order), settings["global_batch"]["samples"]):
            sequences, labels = zip(*(samples[i] for i in order[start : start + settings["global_batch"]["samples"]]))
            for group in optimizer.param_groups:
                group["lr"] = optimizer_settings["learning_rate"] * min((step + 1) / warmup, (total - step) / (total - warmup))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(sequences), torch.tensor(labels)).backward()
            torch.nn.utils.clip_grad_norm_(parameters, settings["clip_norm"])
            optimizer.step()
            step += 1
            if step % experiment["eval"]["every_steps"] == 0 or step == total:
                best = max(best, accuracy(model, parts["validation"]))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="a finished run of one of these experiments")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 1 on (default 3)")
    arguments = parser.parse_args()
    experiment = yaml.safe_load((arguments.run / "resolved.yaml").read_text())
    kind, config = experiment["model"]["kind"], experiment["model"]["config"]
    if kind not in ("rnn_classifier", "bert_classifier"):
        parser.error(f"{arguments.run} is a run of {kind}; here are rnn_classifier and bert_classifier")
    splits = {name: experiment["data"][name] for name in ("train", "validation")}
    if splits["train"]["kind"] == "idx_rows":
        make = lambda: RowsClassifier(config)
        parts = {name: read_rows(split) for name, split in splits.items()}
    else:
        tokenizer = Tokenizer.from_file(str(arguments.run / "checkpoints" / "best" / "tokenizer.json"))
        is_bert = kind == "bert_classifier"
        make = lambda: (Bert if is_bert else LstmClassifier)(config, tokenizer.get_vocab_size())
        around = [tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")] if is_bert else []
        limit = config["context_length" if is_bert else "max_length"]
        parts = {name: read_text(split, tokenizer, limit, around) for name, split in splits.items()}
    found = []
    for seed in range(1, arguments.seeds + 1):
        found.append(train(experiment, make, parts, seed))
        print(f"seed {seed}: {found[-1]:.4f}", flush=True)
    print(f"median {statistics.median(found):.4f}, {min(found):.4f} .. {max(found):.4f}")


main()
