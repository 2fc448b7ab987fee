"""Hugging Face tokenizers and transformers against wordpiece: the same ids for the same files, the same vocabulary learned from the
same text, and files that they read as the same tokenizer.

The library gives the characters inside words their ids in the order of a hash table, which is another in each process, and ids
decide between pairs that are equally frequent. So for learning it gets those characters as special tokens, in our order.
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, BertWordPieceTokenizer, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import WordPiece
from transformers import AutoTokenizer, BertTokenizerFast

from texts import BROKEN, NASTY, compare, corpus, encoded_by_triga, random_texts

KIND = "wordpiece"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCAB_SIZE = 1500
OWN = [
    "[CLS] one[MASK]two [SEP][SEP] [mask] [MASK",
    "[CLS]x[SEP]",
    "\u0130stanbul \u1e9e \u03a3\u03a3 \ufb01ne \u01c5 \u212b",
    "e\u0316\u0301 \u0301\u0316e a\u0301\u0488\u0316 \u1100\u1161\u11a8 \uac01 \u0b94 \u0344",  # marks in every order
    "\ue000 \U000f0000 \ufdd0 \ufffd \u0378 \u0890 \U000110cd",  # private, no characters, of no or a later Unicode
    "\u166d\U000111c9 a\u1734b\u1885c\u1886d\ua9bde",  # of another category once
    "\uf900\u4e00\u3400\U00020000\U0002ceb0\u3042",
    "x" * 100 + " " + "y" * 101 + " " + "\U0001d4ea" * 100,
    "it is , is n't it ? do not ' s we 've .",
]
PIECES = ["[MASK]", "[SEP]", "[", "##", "the", "ing", "\u0301", "\u0316", "\u4e00", "\x00", "\u00ad", "\U0001f600", "E\u0301", "\u0130"]


def normalizer(**options):
    return normalizers.BertNormalizer(**{"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True,
                                         **options})


def prepared(**options):
    """Reads a text as BERT does, with words and no vocabulary."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def words_of(tokenizer, text):
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


def by_frequency(words):
    """Characters and how often they occur, the most frequent first."""
    counts = collections.Counter(character for word in words for character in word)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def learned_by_hugging_face(text, vocab_size, limit_alphabet=1000, **options):
    """The vocabulary in the order of its ids."""
    tokenizer = prepared(**options)
    words = words_of(tokenizer, text)
    kept = sorted(character for character, _ in by_frequency(words)[:limit_alphabet])
    continuing = {character for word in words for character in word[1:]}
    first = SPECIAL + kept + ["##" + character for character in sorted(continuing & set(kept))]
    trainer = trainers.WordPieceTrainer(vocab_size=vocab_size, min_frequency=2, special_tokens=first, show_progress=False,
                                        limit_alphabet=limit_alphabet)
    tokenizer.train_from_iterator([text], trainer)
    vocab = json.loads(tokenizer.to_str())["model"]["vocab"]
    return sorted(vocab, key=vocab.get)


def limit_without_a_tie(text, at_least, **options):
    """Of characters that are equally frequent the library keeps any, so as many as the last kept one is more frequent than the next."""
    ranked = by_frequency(words_of(prepared(**options), text))
    return next(limit for limit in range(at_least, len(ranked)) if ranked[limit - 1][1] > ranked[limit][1])


def learned_by_triga(program, folder, file, *options):
    folder.mkdir()
    subprocess.run([program, KIND, "learn", folder, file, *options], check=True)
    return (folder / "vocab.txt").read_text().removesuffix("\n").split("\n")


def check_learning(program, folder, text):
    file = folder / "text.txt"
    file.write_text(text)
    learned = learned_by_triga(program, folder / "learned", file, f"vocab_size={VOCAB_SIZE}")
    assert learned == learned_by_hugging_face(text, VOCAB_SIZE)
    # The rarest characters are rare alike; 90 are not.
    limit = limit_without_a_tie(text, 60, lowercase=False)
    few = learned_by_triga(program, folder / "few", file, "vocab_size=900", f"limit_alphabet={limit}", "lowercase=false")
    assert few == learned_by_hugging_face(text, 900, limit, lowercase=False)
    # Left to its own order, the library learns the same characters, and as many pieces.
    reference = BertWordPieceTokenizer()
    reference.train_from_iterator([text], vocab_size=VOCAB_SIZE, show_progress=False)
    theirs = reference.get_vocab()
    num_first = next(i for i, name in enumerate(learned) if len(name.removeprefix("##")) > 1 and name not in SPECIAL)
    assert len(theirs) == VOCAB_SIZE and set(learned[:num_first]) == {name for name, id in theirs.items() if id < num_first}
    return learned


def check_loading(program, folder, learned, texts):
    """What transformers makes of a folder that Triga wrote."""
    raw = [text.encode() for text in texts] + BROKEN
    results = encoded_by_triga(program, KIND, folder, raw)
    for loaded in (AutoTokenizer.from_pretrained(folder), BertTokenizerFast.from_pretrained(folder)):
        assert len(loaded) == len(learned), loaded
        assert [loaded.pad_token_id, loaded.unk_token_id, loaded.cls_token_id, loaded.sep_token_id, loaded.mask_token_id] == [0, 1, 2, 3, 4]
        assert loaded("x")["input_ids"] == [2, learned.index("x"), 3]
        for text, (ids, decoded) in zip(raw, results):
            given = text.decode(errors="replace")
            assert loaded(given, add_special_tokens=False)["input_ids"] == ids, (loaded, text)
            assert loaded.decode(ids) == decoded, (loaded, text, decoded)


def made(vocab, **options):
    """A tokenizer of `tokenizers` with the vocabulary, otherwise than BERT's."""
    prefix = options.pop("prefix", "##")
    tokenizer = Tokenizer(WordPiece(vocab, unk_token="[UNK]", continuing_subword_prefix=prefix,
                                    max_input_chars_per_word=options.pop("longest", 100)))
    tokenizer.decoder = decoders.WordPiece(prefix=prefix, cleanup=options.pop("cleanup", True))
    tokenizer.normalizer = normalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def check_other_tokenizers(program, folder, learned, texts):
    vocab = {name: id for id, name in enumerate(learned)}
    others = {name.replace("##", "@@"): id for name, id in vocab.items()}
    cases = {
        "cased": made(vocab, lowercase=False),
        "accents": made(vocab, strip_accents=False),
        "stripped": made(vocab, lowercase=False, strip_accents=True),
        "as_it_is": made(vocab, clean_text=False, handle_chinese_chars=False, cleanup=False),
        "short": made(vocab, longest=5),
        "prefix": made(others, prefix="@@"),
        "added": made(vocab),
    }
    plain = AddedToken("Two Words", normalized=True)
    cases["added"].add_tokens([plain, AddedToken("<|IM|>", normalized=False), AddedToken("<|IM", special=True, normalized=False)])
    own = ["a<|IM|>b<|IM_x <|im|>", "two  words two words TWO WORDS\u0301x", "[MASK]two words[SEP]two <|IM|>words"]
    for name, tokenizer in cases.items():
        (folder / name).mkdir()
        tokenizer.save(str(folder / name / "tokenizer.json"))
        compare(program, KIND, folder / name, tokenizer, texts + own)
        (folder / f"{name}_copy").mkdir()
        subprocess.run([program, KIND, "copy", folder / name, folder / f"{name}_copy"], check=True)
        copied = AutoTokenizer.from_pretrained(folder / f"{name}_copy")
        for text in texts[:200] + own:
            assert copied(text, add_special_tokens=False)["input_ids"] == tokenizer.encode(text).ids, (name, text)


def check_vocab_txt(program, folder, texts):
    """BERT's own two files, and the words with which a tokenizer.json is written for them."""
    vocab = folder / "learned" / "vocab.txt"
    for name, config, options in (("uncased", None, {}), ("cased_vocab", {"do_lower_case": False}, {"lowercase": False}),
                                  ("kept", {"strip_accents": False, "tokenize_chinese_chars": False},
                                   {"strip_accents": False, "handle_chinese_chars": False})):
        (folder / name).mkdir()
        (folder / name / "vocab.txt").write_bytes(vocab.read_bytes())
        if config is not None:
            (folder / name / "tokenizer_config.json").write_text(json.dumps(config))
        compare(program, KIND, folder / name, BertWordPieceTokenizer(str(vocab), **options), texts)
    compare(program, KIND, vocab, BertWordPieceTokenizer(str(vocab), lowercase=False), texts, "lowercase=false")
    subprocess.run([program, KIND, "copy", vocab, folder / "uncased", "lowercase=false"], check=True)
    assert not AutoTokenizer.from_pretrained(folder / "uncased").do_lower_case


def main(program):
    texts = NASTY + OWN + random_texts(10_000, PIECES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        learned = check_learning(program, folder, corpus() + " ".join(OWN))
        reference = Tokenizer.from_file(str(folder / "learned" / "tokenizer.json"))
        compare(program, KIND, folder / "learned", reference, texts)
        check_loading(program, folder / "learned", learned, texts[:2000])
        check_other_tokenizers(program, folder, learned, texts[:1500])
        check_vocab_txt(program, folder, texts[:1500])


if __name__ == "__main__":
    main(sys.argv[1])
