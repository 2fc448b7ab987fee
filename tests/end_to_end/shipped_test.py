"""Every experiment that is shipped is checked, and trains two steps at its real size, on small made data of the catalogue's names and
shapes."""

import re
import shlex
import shutil
import unittest

from shipped import CATALOGUE, SHIPPED, ShippedTree, digits, series

EXPERIMENTS = sorted(path for path in SHIPPED.rglob("*.yaml") if path != CATALOGUE)


class ShippedTest(ShippedTree):
    def each(self, do):
        """Calls `do` with the copy of each experiment; one that fails leaves the others their turn."""
        self.assertGreater(len(EXPERIMENTS), 0)
        for path in EXPERIMENTS:
            with self.subTest(experiment=str(path.relative_to(SHIPPED))):
                do(self.experiments / path.relative_to(SHIPPED))

    def check_one(self, path):
        self.provide(path)
        done = self.check(path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r": ok\. \w+ \w+ of [\d,]+ parameters; [\d,]+ training samples, [\d,]+ for validation")
        self.assertEqual(self.check(path, "model.config.no_such_option=1").returncode, 2)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        if "${data}" in path.read_text():
            done = self.check(path, env={**self.env, "TRIGA_CACHE_DIR": str(self.folder / "other-cache")})
            self.assertEqual(done.returncode, 4, done.stdout + done.stderr)

    def train_one(self, path):
        self.provide(path)
        run, done = self.train_two_steps(path)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        self.assertTrue((run / "checkpoints" / "best").exists() or "keep_best" not in path.read_text())
        done = self.command("evaluate", run, "--json", env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"loss":', done.stdout)
        self.assertEqual((run / "samples").exists(), "  samples:" in path.read_text())

    def test_each_is_right_and_reads_only_what_it_says_how_to_get(self):
        self.each(self.check_one)

    def test_each_trains(self):
        self.each(self.train_one)

    def test_a_classifier_starts_from_what_hidden_words_taught(self):
        """By the command in the experiment's head."""
        pretraining, tuning = (self.experiments / "transformer" / f"{name}_sst2.yaml" for name in ("bert_mlm", "bert_sentiment"))
        self.provide(pretraining)
        run, done = self.train_two_steps(pretraining)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        head = re.search(r"^#   (triga launch .*--run-dir .*\\\n(?:#     .*\n)+)", tuning.read_text(), flags=re.M).group(1)
        words = shlex.split(re.sub(r"\\\n# +", " ", head).replace("runs/bert-mlm-sst2/", f"{run}/"))
        self.assertEqual(words[3], "--run-dir")
        tuned, done = self.train_two_steps(tuning, *words[5:])
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        self.assertRegex((tuned / "log" / "rank-0.log").read_text(), rf"tensors read from {run}/checkpoints/best.*; 4 drawn anew as asked")

    def test_other_shapes_are_refused(self):
        vit = self.experiments / "transformer" / "vit_mnist.yaml"
        self.provide(vit, mnist_test=digits(20))
        _, done = self.train_two_steps(vit)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("but the model reads bytes [1, 28, 28]", done.stderr)
        forecast = self.experiments / "rnn" / "forecast_etth1.yaml"
        self.provide(forecast, etth1={"ETTh1.csv": series(12000, 7)})
        done = self.check(forecast)
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
