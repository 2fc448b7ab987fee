"""A vocabulary learned from the training data: once for all ranks and starts, kept in the checkpoint, read from there."""

import json
import unittest

from transformers import AutoTokenizer
from triga_runner import TrigaTest, environment

LEARNED = ("--set", "data.tokenizer={kind: byte_bpe, vocab_size: 300}", "--set", "train.max_steps=4", "--set",
           "checkpoint.every_steps=2", "--set", "data.train={kind: text, files: [text.txt]}")


class TokenizerTest(TrigaTest):
    def cached(self):
        cache = self.folder / "cache"
        return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.suffix in ("", ".json") and path.is_file()
                      and path.parent.name in ("tokens", "tokenizers"))

    def test_it_is_learned_once_and_lies_in_the_checkpoint(self):
        env = environment(TRIGA_CACHE_DIR=self.folder / "cache")
        run = self.launch(2, "run", *LEARNED, env=env)
        cached = self.cached()
        self.assertEqual([name.split("/")[0] for name in cached], ["tokenizers", "tokens", "tokens"])
        times = {name: (self.folder / "cache" / name).stat().st_mtime_ns for name in cached}
        again = self.launch(1, "again", *LEARNED, env=env)
        self.assertEqual({name: (self.folder / "cache" / name).stat().st_mtime_ns for name in self.cached()}, times)
        self.assertAlmostEqual(again.column("loss")[4] / run.column("loss")[4], 1, delta=2e-6)

        checkpoint = run.directory / "checkpoints" / "latest"
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.assertEqual((len(tokenizer), tokenizer.eos_token_id), (300, 0))
        self.assertEqual(json.loads((checkpoint / "config.json").read_text())["vocab_size"], 300)
        self.assertEqual(tokenizer.decode(tokenizer("he was not there")["input_ids"]), "he was not there")

        (self.folder / "text.txt").unlink()  # the checkpoint is all that one needs
        completed = self.command("generate", run.directory, "--input", "prompt=the", "--input", "max_new_tokens=5", env=env)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertTrue(completed.stdout.startswith("the"), completed.stdout)

    def test_pieces_of_words_are_learned_as_well(self):
        tokenizer = "data.tokenizer={kind: wordpiece, vocab_size: 60}"
        run = self.launch(2, "run", *LEARNED, "--set", tokenizer)
        checkpoint = run.directory / "checkpoints" / "latest"
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.assertEqual((len(tokenizer), tokenizer.cls_token_id, tokenizer.mask_token_id), (60, 2, 4))
        self.assertEqual(tokenizer.decode(tokenizer("He was not there")["input_ids"]), "[CLS] he was not there [SEP]")
        (self.folder / "text.txt").unlink()
        completed = self.command("generate", run.directory, "--input", "prompt=The", "--input", "max_new_tokens=5")
        self.assertEqual(completed.returncode, 0, completed.stderr)
        self.assertTrue(completed.stdout.startswith("The"), completed.stdout)

    def test_a_resumed_run_keeps_its_vocabulary(self):
        first = self.launch(2, "run", *LEARNED)
        tokenizer = (first.directory / "checkpoints" / "latest" / "tokenizer.json").read_bytes()
        second = self.launch(2, "run", *LEARNED, "--set", "train.max_steps=6", env=environment(TRIGA_CACHE_DIR=self.folder / "new"))
        self.assertEqual((second.directory / "checkpoints" / "latest" / "tokenizer.json").read_bytes(), tokenizer)
        self.assertFalse((self.folder / "new" / "tokenizers").exists(), "it was learned again")

    def test_wrong_tokenizers_are_refused(self):
        for value, says in (("{kind: byte_bpe}", "give one of them"), ("{kind: byte_bpe, from: none.json}", "no such file or folder"),
                            ("{kind: byte_bpe, vocab_size: 200}", "at least 257"),
                            ("{kind: wordpiece}", "give one of them"), ("{kind: wordpiece, vocab_size: 20}", "have no room"),
                            ("{kind: wordpiece, from: ., lowercase: true}", "a folder without tokenizer.json")):
            completed = self.command("check", self.experiment, "--set", f"data.tokenizer={value}")
            self.assertEqual(completed.returncode, 2, completed.stderr)
            self.assertIn(says, completed.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
