"""Hugging Face tokenizers against byte_bpe: the same ids for the same files, and the same vocabulary learned from the same text.

    python byte_bpe.py PROGRAM [FOLDER]

With a folder that holds GPT-2's own vocab.json and merges.txt, which no test brings, its ids are compared instead."""

import json
import pathlib
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

from texts import NASTY, compare, corpus, random_texts

END_OF_TEXT = "<|endoftext|>"
VOCAB_SIZE = 1500
OWN = [
    f"{END_OF_TEXT}",
    f"one{END_OF_TEXT}two {END_OF_TEXT} {END_OF_TEXT}{END_OF_TEXT}",
    "<|endoftext| <|endoftext|",
]


def learned_by_hugging_face(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    # A special token in the text is text when learning.
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def check_learning(program, folder, text, reference):
    (folder / "text.txt").write_text(text)
    subprocess.run([program, "byte_bpe", "learn", folder, folder / "text.txt", f"vocab_size={VOCAB_SIZE}"], check=True)
    ours, theirs = json.loads((folder / "tokenizer.json").read_text()), json.loads(reference.to_str())
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in theirs["model"]["merges"]]
    assert ours["model"]["merges"] == merges
    assert ours["model"]["vocab"] == theirs["model"]["vocab"]
    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded.eos_token_id == 0 and len(loaded) == VOCAB_SIZE, loaded


def check_gpt2(program, folder):
    """By hand: GPT-2's 50,257 tokens."""
    reference = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.decoder = decoders.ByteLevel()
    reference.add_special_tokens([END_OF_TEXT])
    assert reference.get_vocab_size() == 50257 and reference.encode("Hello world").ids == [15496, 995]
    texts = NASTY + OWN + random_texts(10_000) + corpus().splitlines(keepends=True) + [corpus()]
    compare(program, "byte_bpe", folder, reference, texts)
    print(f"{len(texts):,} texts, {sum(map(len, texts)):,} characters: equal ids")


def main(program):
    text = corpus()
    reference = learned_by_hugging_face(text)
    texts = NASTY + OWN + random_texts(10_000)
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: pathlib.Path(temporary) / name for name in ("json", "vocab", "learned", "prefix", "added")}
        for folder in folders.values():
            folder.mkdir()
        check_learning(program, folders["learned"], text, reference)
        compare(program, "byte_bpe", folders["learned"], reference, texts)
        reference.save(str(folders["json"] / "tokenizer.json"))
        compare(program, "byte_bpe", folders["json"], reference, texts)
        reference.model.save(str(folders["vocab"]))
        compare(program, "byte_bpe", folders["vocab"], reference, texts[:500])
        reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        reference.save(str(folders["prefix"] / "tokenizer.json"))
        compare(program, "byte_bpe", folders["prefix"], reference, texts[:500])
        reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        reference.add_special_tokens([AddedToken("<|im_start|>", normalized=False), AddedToken("<|im", normalized=False)])
        reference.save(str(folders["added"] / "tokenizer.json"))
        compare(program, "byte_bpe", folders["added"], reference, texts[:500] + ["a<|im_start|>b<|im_x <|im_start|", "two words<|im|im"])


if __name__ == "__main__":
    if len(sys.argv) > 2:
        check_gpt2(sys.argv[1], pathlib.Path(sys.argv[2]))
    else:
        main(sys.argv[1])
