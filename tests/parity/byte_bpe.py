"""Hugging Face tokenizers against byte_bpe: the same ids for the same files, and the same vocabulary learned from the same text.

The text is the project's own documents and sources, so that nothing has to be brought.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
END_OF_TEXT = "<|endoftext|>"
VOCAB_SIZE = 1500
NASTY = [
    "",
    " ",
    "   ",
    "\n",
    " \n\n  word",
    "don't they'll I'm WE'RE 'tis 's'd ''s",
    "a  b   c\t\td \r\n e\u00a0f \u3000 g\u2003\u2003h",
    "1234567890 ½ Ⅷ 四 3.14 x2y",
    "Grüße, 世界! naïve cafe\u0301 e\u0301\u0301 \u0300",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "\x00\x01\x1c\x1f\x7f\x85\u00ad\u200b\ufeff\uffff\U0010ffff",
    "العربية हिन्दी ไทย 한국어 日本語 עברית",
    f"{END_OF_TEXT}",
    f"one{END_OF_TEXT}two {END_OF_TEXT} {END_OF_TEXT}{END_OF_TEXT}",
    "<|endoftext| <|endoftext|",
    "x" * 3000,
    " " * 300 + "x",
    "日" * 500,
]
BROKEN = [b"\xff", b"ab\xc3", b"\xe2\x82 x", b"\xf0\x9f\x98", b"\xed\xa0\x80 surrogate", b"\xc0\xafover"]


def corpus():
    parts = sorted(ROOT.glob("docs/*.md")) + sorted(ROOT.glob("framework/**/*.h")) + sorted(ROOT.glob("tests/**/*.py"))
    return "\n".join(path.read_text() for path in parts) + " ".join(NASTY) + "Grüße 世界 " * 20


def learned_by_hugging_face(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    # A special token in the text is text when learning.
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def random_texts(count):
    generator = random.Random(1)
    assigned = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    spaces = [c for c in assigned if c.isspace()]
    texts = []
    for _ in range(count):
        alphabets = [assigned, [chr(c) for c in range(32, 127)], spaces, [" ", "'", "s", "t", "1", "\n"]]
        length = generator.randrange(1, 40)
        texts.append("".join(generator.choice(generator.choice(alphabets)) for _ in range(length)))
    return texts


def encoded_by_triga(program, folder, texts):
    data = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
    output = subprocess.run([program, "read", folder], input=data, stdout=subprocess.PIPE, check=True).stdout
    results = []
    while output:
        ids, size, output = output.split(b"\n", 2)
        results.append(([int(number) for number in ids.split()], output[: int(size)].decode()))
        output = output[int(size) :]
    return results


def compare(program, folder, tokenizer, texts):
    raw = [text.encode() for text in texts] + BROKEN
    results = encoded_by_triga(program, folder, raw)
    assert len(results) == len(raw), (len(results), len(raw))
    for text, (ids, decoded) in zip(raw, results):
        expected = tokenizer.encode(text.decode(errors="replace"), add_special_tokens=False).ids
        assert ids == expected, (text, ids, expected)
        expected_text = tokenizer.decode(expected, skip_special_tokens=False)
        assert decoded == expected_text, (text, decoded, expected_text)


def check_learning(program, folder, text, reference):
    (folder / "text.txt").write_text(text)
    subprocess.run([program, "learn", folder, folder / "text.txt", str(VOCAB_SIZE)], check=True)
    ours, theirs = json.loads((folder / "tokenizer.json").read_text()), json.loads(reference.to_str())
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in theirs["model"]["merges"]]
    assert ours["model"]["merges"] == merges
    assert ours["model"]["vocab"] == theirs["model"]["vocab"]
    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded.eos_token_id == 0 and len(loaded) == VOCAB_SIZE, loaded


def main(program):
    text = corpus()
    reference = learned_by_hugging_face(text)
    texts = NASTY + random_texts(10_000)
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: pathlib.Path(temporary) / name for name in ("json", "vocab", "learned", "prefix", "added")}
        for folder in folders.values():
            folder.mkdir()
        check_learning(program, folders["learned"], text, reference)
        compare(program, folders["learned"], reference, texts)
        reference.save(str(folders["json"] / "tokenizer.json"))
        compare(program, folders["json"], reference, texts)
        reference.model.save(str(folders["vocab"]))
        compare(program, folders["vocab"], reference, texts[:500])
        reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        reference.save(str(folders["prefix"] / "tokenizer.json"))
        compare(program, folders["prefix"], reference, texts[:500])
        reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        reference.add_special_tokens([AddedToken("<|im_start|>", normalized=False), AddedToken("<|im", normalized=False)])
        reference.save(str(folders["added"] / "tokenizer.json"))
        compare(program, folders["added"], reference, texts[:500] + ["a<|im_start|>b<|im_x <|im_start|", "two words<|im|im"])


if __name__ == "__main__":
    main(sys.argv[1])
