"""triga data list|get: a catalogue of one's own over HTTP and from a mirror folder, and the catalogue that is shipped."""

import functools
import hashlib
import http.server
import threading
import unittest

from triga_runner import TrigaTest, environment


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


if __name__ == "__main__":
    unittest.main()
