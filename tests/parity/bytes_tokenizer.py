"""transformers' AutoTokenizer on the files that the bytes tokenizer writes into a checkpoint: the same ids, the same text."""

import random
import subprocess
import sys
import tempfile

from transformers import AutoTokenizer

END_OF_TEXT = 256
TEXTS = [
    "",
    "plain text",
    "  two  spaces\t\r\n\n",
    "don't split 1234 words",
    "Grüße, 世界 \U0001f600",
    "\x00\x01\x7f\u00a0\u00ad\u0100\uffff",
    "a name is text: <|endoftext|> <|endoftext|>",
    "".join(chr(c) for c in range(0x250)),
]


def decode_with_triga(program, folder, lists):
    lines = "".join(" ".join(map(str, ids)) + "\n" for ids in lists)
    output = subprocess.run([program, folder], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    texts = []
    while output:
        size, output = output.split(b"\n", 1)
        texts.append(output[: int(size)].decode())
        output = output[int(size) :]
    return texts


def main(program):
    generator = random.Random(1)
    lists = [list(text.encode()) for text in TEXTS]
    lists += [[generator.randrange(257) for _ in range(generator.randrange(1, 20))] for _ in range(500)]
    with tempfile.TemporaryDirectory() as folder:
        texts = decode_with_triga(program, folder, lists)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (len(tokenizer), tokenizer.eos_token_id) == (257, END_OF_TEXT), tokenizer
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == list(text.encode()), repr(text)
    assert len(texts) == len(lists)
    for ids, text in zip(lists, texts):
        expected = tokenizer.decode(ids)
        # A decoder works between special tokens; both put U+FFFD for bytes that are no text.
        assert text == expected, (ids, text, expected)


if __name__ == "__main__":
    main(sys.argv[1])
