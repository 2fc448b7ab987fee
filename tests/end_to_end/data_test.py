"""triga data list|get: a catalogue of one's own over HTTP and from a mirror folder, and the catalogue that is shipped; and
triga data tokenize: token files made by several processes at once, found by training."""

import functools
import hashlib
import http.server
import re
import subprocess
import threading
import unittest

from triga_runner import TRIGA, TrigaTest, environment


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class DataTest(TrigaTest):
    def setUp(self):
        super().setUp()
        self.site = self.folder / "site"
        (self.site / "deep").mkdir(parents=True)
        self.contents = {"a.txt": b"first " * 50000, "deep/b.bin": bytes(range(256)) * 40}
        for name, content in self.contents.items():
            (self.site / name).write_bytes(content)

    def serve(self):
        handler = functools.partial(QuietHandler, directory=self.site)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}/"

    def write_catalogue(self, base_url):
        files = "".join(f"      - {{path: {name}, size: {len(content)}, "
                        f"sha256: {hashlib.sha256(content).hexdigest()}}}\n"
                        for name, content in self.contents.items())
        (self.folder / "catalogue.yaml").write_text(
            "data_sets:\n  letters:\n    description: Letters.\n    licence: none stated\n    home: here\n"
            f"    base_url: {base_url}\n    files:\n{files}")

    def data(self, *arguments, **variables):
        return self.command("data", *arguments, env=environment(**variables))

    def own(self, *arguments, **variables):
        return self.data("--catalogue", "catalogue.yaml", *arguments, **variables)

    def test_get_fetches_checks_and_repeats_for_nothing(self):
        self.write_catalogue(self.serve())
        self.assertIn("not here", self.own("list").stdout)
        done = self.own("get", "letters")
        self.assertEqual(done.returncode, 0, done.stderr)
        for name, content in self.contents.items():
            self.assertEqual((self.folder / "data/letters" / name).read_bytes(), content)
        self.assertIn("in data/letters", self.own("list").stdout)
        for name in self.contents:
            (self.site / name).unlink()
        self.assertEqual(self.own("get", "letters").returncode, 0, "what is there is not fetched again")

    def test_get_says_what_is_wrong_and_ends_with_4(self):
        self.write_catalogue(self.serve())
        (self.site / "a.txt").write_bytes(b"other " * 50000)
        for change, words in ((lambda: None, "its SHA-256 is"),
                              (lambda: (self.site / "a.txt").unlink(), "HTTP status 404")):
            change()
            done = self.own("get", "letters")
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn(words, done.stderr)
            self.assertFalse((self.folder / "data/letters/a.txt").exists())
        self.assertEqual(self.own("get", "numbers").returncode, 4)

    def test_a_mirror_folder_replaces_the_network(self):
        self.write_catalogue("https://nowhere.invalid/x/")
        mirror = self.folder / "mirror"
        done = self.own("get", "letters", TRIGA_DATA_MIRROR=mirror)
        self.assertEqual(done.returncode, 4)
        self.assertIn("mirror/nowhere.invalid/x/a.txt: not in the mirror", done.stderr)
        (mirror / "nowhere.invalid").mkdir(parents=True)
        self.site.rename(mirror / "nowhere.invalid" / "x")
        done = self.own("get", "letters", TRIGA_DATA_MIRROR=mirror, TRIGA_DATA_DIR=self.folder / "elsewhere")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.folder / "elsewhere/letters/a.txt").read_bytes(), self.contents["a.txt"])

    def test_a_wrong_catalogue_is_refused_with_its_line(self):
        self.write_catalogue("ftp://x/")
        done = self.own("list")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"catalogue\.yaml:\d+: data_sets\.letters\.base_url")

    def test_the_shipped_catalogue_is_found_and_read(self):
        done = self.data("list")
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("tinyshakespeare", "sst2", "multi30k", "etth1", "nab", "mnist_test", "free_spoken_digits"):
            self.assertIn(name, done.stdout)
        done = self.data("get", "tinyshakespeare", TRIGA_DATA_MIRROR=self.folder)
        self.assertEqual(done.returncode, 4)
        self.assertRegex(done.stderr, r"raw\.githubusercontent\.com/.*/input\.txt: not in the mirror")


class TokenizeTest(TrigaTest):
    def setUp(self):
        super().setUp()
        self.cache = self.folder / "cache"
        self.env = environment(TRIGA_CACHE_DIR=self.cache)

    def cached(self):
        return {path: path.stat().st_mtime_ns for kind in ("tokens", "tokenizers") for path in (self.cache / kind).glob("*")
                if path.suffix in ("", ".json")}

    def test_several_processes_make_the_files_that_training_reads(self):
        learned = ("--set", "data.tokenizer={kind: wordpiece, vocab_size: 60}")
        command = [TRIGA, "data", "tokenize", self.experiment, *learned]
        processes = [subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        outputs = {process.communicate(timeout=100)[0] for process in processes}
        self.assertEqual([process.returncode for process in processes], [0, 0, 0])
        self.assertEqual(len(outputs), 1, outputs)
        lines = outputs.pop().splitlines()
        self.assertEqual(lines[0], "tokenizer: wordpiece, 60 tokens")
        for line, split, documents in zip(lines[1:], ("train", "validation"), (120, 23), strict=True):
            self.assertRegex(line, rf"^{split}: [\d,]+ tokens of {documents} documents in {re.escape(str(self.cache))}/tokens/\w+$")
        cached = self.cached()
        self.assertEqual(len(cached), 3)
        self.launch(2, "run", *learned, "--set", "train.max_steps=1", env=self.env)
        self.assertEqual(self.cached(), cached)

    def test_it_says_how_many_tokens_there_are(self):
        done = self.command("data", "tokenize", self.experiment, "--set", "data.train={kind: text, files: [text.txt]}", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        num_tokens = re.search(r"train: ([\d,]+) tokens of 1 document in ", done.stdout)[1]
        self.assertEqual(int(num_tokens.replace(",", "")), (self.folder / "text.txt").stat().st_size + 1)  # the end of text

    def test_it_says_what_it_cannot_do(self):
        done = self.command("data", "tokenize", self.experiment, "--set", "data.tokenizer=null", env=self.env)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("data.tokenizer", done.stderr)
        (self.folder / "labels.tsv").write_text("a text\t0\nanother\t1\n")
        labelled = "data.validation={kind: labelled_text, files: [labels.tsv]}"
        done = self.command("data", "tokenize", self.experiment, "--set", labelled, env=self.env)
        self.assertRegex(done.stdout, r"validation: 13 tokens of 2 documents in .*/tokens/", done.stderr)
        (self.folder / "series.csv").write_text("a\n1\n2\n3\n")
        numbers = "data.validation={kind: csv_series, file: series.csv, input_length: 1, horizon: 1}"
        done = self.command("data", "tokenize", self.experiment, "--set", numbers, env=self.env)
        self.assertIn("validation: kind csv_series keeps no token file", done.stdout, done.stderr)
        self.cache.rename(self.folder / "old")
        self.cache.write_text("not a folder")
        done = self.command("data", "tokenize", self.experiment, env=self.env)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("could not be kept in the cache", done.stderr)


if __name__ == "__main__":
    unittest.main()
