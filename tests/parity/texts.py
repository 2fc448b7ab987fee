"""What tokenizers are compared by: texts that are hard to read, the tokens that Triga gives them, a text to learn from."""

import pathlib
import random
import subprocess
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[2]
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
    "x" * 3000,
    " " * 300 + "x",
    "日" * 500,
]
BROKEN = [b"\xff", b"ab\xc3", b"\xe2\x82 x", b"\xf0\x9f\x98", b"\xed\xa0\x80 surrogate", b"\xc0\xafover"]


def corpus():
    """The project's own documents and sources, so that nothing has to be brought."""
    parts = sorted(ROOT.glob("docs/*.md")) + sorted(ROOT.glob("framework/**/*.h")) + sorted(ROOT.glob("tests/**/*.py"))
    return "\n".join(path.read_text() for path in parts) + " ".join(NASTY) + "Grüße 世界 " * 20


def random_texts(count, *more):
    """Of all characters, of ASCII, of spaces, of a few, and of `more` lists of characters or words."""
    generator = random.Random(1)
    assigned = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    spaces = [c for c in assigned if c.isspace()]
    alphabets = [assigned, [chr(c) for c in range(32, 127)], spaces, [" ", "'", "s", "t", "1", "\n"], *more]
    texts = []
    for _ in range(count):
        length = generator.randrange(1, 40)
        texts.append("".join(generator.choice(generator.choice(alphabets)) for _ in range(length)))
    return texts


def encoded_by_triga(program, kind, folder, texts, *options):
    """[(tokens, what they decode to)] of texts that are bytes."""
    data = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
    output = subprocess.run([program, kind, "read", folder, *options], input=data, stdout=subprocess.PIPE, check=True).stdout
    results = []
    while output:
        ids, size, output = output.split(b"\n", 2)
        results.append(([int(number) for number in ids.split()], output[: int(size)].decode()))
        output = output[int(size) :]
    return results


def compare(program, kind, folder, tokenizer, texts, *options):
    """Triga's tokens and texts against those of a tokenizer of `tokenizers`."""
    raw = [text.encode() for text in texts] + BROKEN
    results = encoded_by_triga(program, kind, folder, raw, *options)
    assert len(results) == len(raw), (len(results), len(raw))
    for text, (ids, decoded) in zip(raw, results):
        expected = tokenizer.encode(text.decode(errors="replace"), add_special_tokens=False).ids
        assert ids == expected, (text, ids, expected)
        expected_text = tokenizer.decode(expected, skip_special_tokens=False)
        assert decoded == expected_text, (text, decoded, expected_text)
