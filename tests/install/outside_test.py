"""Plugins that bring only a part, built out of tree against the package of the build tree, serve models of others: a
dataset trains gpt2, an optimizer and a metric serve a recurrent language model; and so they do in the experiments that are shipped."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from shipped import ShippedTree, sentences
from triga_runner import BUILD, environment, make_text

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "plugins" / "outside"

GPT2 = """\
name: paragraphs
model: {plugin: transformer, kind: gpt2, config: {num_layers: 2, num_heads: 2, hidden_size: 32, context_length: 32}}
data:
  train: {plugin: paragraphs, kind: paragraphs, file: paragraphs.txt}
  tokenizer: {kind: bytes}
train: {max_steps: 30, global_batch: {samples: 8}, microbatch_size: 4, seed: 3}
optimizer: {kind: adamw, learning_rate: 5.0e-3}
log: {every_steps: 1}
"""

LSTM = """\
name: lion
model: {plugin: rnn, kind: rnn_language_model, config: {num_layers: 1, embedding_size: 16, hidden_size: 24, context_length: 32}}
data:
  train: {kind: text, files: [text.txt], document: line, pack: false}
  validation: {kind: text, files: [held_out.txt], document: line, pack: false}
  tokenizer: {kind: bytes}
train: {max_steps: 30, global_batch: {samples: 8}, microbatch_size: 2, seed: 3}
optimizer: {plugin: lion, kind: lion, learning_rate: 2.0e-3, weight_decay: 0.01}
eval:
  every_steps: 5
  metrics: [{plugin: ranking, kind: top_k_accuracy, k: 3}, {plugin: ranking, kind: top_k_accuracy, k: 1, name: top_1}]
checkpoint: {every_steps: 5, keep_last: 1, keep_best: {metric: validation/top_k_accuracy, mode: max}}
log: {every_steps: 1}
"""


class Outside(ShippedTree):
    @classmethod
    def setUpClass(cls):
        cls.built = pathlib.Path(tempfile.mkdtemp(prefix="triga-outside-"))
        package = BUILD / "lib" / "cmake" / "triga"
        for command in (["cmake", "-S", SOURCES, "-B", cls.built, f"-Dtriga_DIR={package}", "-G", "Ninja"],
                        ["cmake", "--build", cls.built]):
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment())
            if done.returncode != 0:
                raise AssertionError(f"{command}\n{done.stdout}\n{done.stderr}")
        cls.environment = environment(TRIGA_PLUGIN_PATH=cls.built)

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["rm", "-rf", str(cls.built)])

    def experiment_file(self, text):
        path = self.folder / "outside.yaml"
        path.write_text(text)
        self.experiment = path
        return path

    def train(self, text, ranks, directory, *arguments):
        self.experiment_file(text)
        return self.launch(ranks, directory, *arguments, env=self.environment)

    def check_plugin(self, name, text):
        file = self.experiment_file(text)
        done = self.command("plugin", "check", self.built / f"{name}.so", "--experiment", file)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("FAIL", done.stdout)
        return done.stdout

    def write_paragraphs(self):
        make_text(self.folder / "lines.txt", num_documents=160)
        lines = (self.folder / "lines.txt").read_text().splitlines()
        (self.folder / "paragraphs.txt").write_text("\n\n".join("\n".join(lines[i:i + 2]) for i in range(0, 160, 2)))

    def test_a_dataset_trains_a_model_of_triga(self):
        self.write_paragraphs()
        loss = list(self.train(GPT2, 1, "run").column("loss").values())
        self.assertEqual(len(loss), 30)
        self.assertLess(sum(loss[-5:]) / 5, 0.8 * loss[0])
        two = list(self.train(GPT2, 2, "two").column("loss").values())
        for a, b in zip(loss, two):
            self.assertAlmostEqual(a, b, delta=1e-4 * a)
        self.assertIn("dataset paragraphs: data.train is the same every time", self.check_plugin("paragraphs", GPT2))

    def test_an_optimizer_and_a_metric_serve_a_model_of_triga(self):
        one = self.train(LSTM, 1, "one")
        loss = list(one.column("loss").values())
        self.assertLess(loss[-1], 0.9 * loss[0])
        for ranks, layout in ((2, "parallel.dp=2"), (2, "parallel.pp=2"), (3, "parallel.dp=3")):
            several = self.train(LSTM, ranks, layout, "--set", layout)
            for name in ("top_k_accuracy", "top_1"):
                for a, b in zip(one.lines("validation"), several.lines("validation"), strict=True):
                    self.assertAlmostEqual(a[name], b[name], delta=0.01)  # a tie may fall otherwise
        best = max(one.lines("validation"), key=lambda line: line["top_k_accuracy"])
        self.assertEqual((one.directory / "checkpoints" / "best").resolve().name, f"step-{best['step']:08}")
        found = self.command("evaluate", one.directory, "--json", env=self.environment)
        self.assertEqual(found.returncode, 0, found.stderr)
        self.assertAlmostEqual(json.loads(found.stdout)["top_k_accuracy"], best["top_k_accuracy"], places=9)
        self.assertEqual(json.loads(found.stdout)["top_1"], json.loads(found.stdout)["accuracy"])
        checks = self.check_plugin("lion", LSTM_OF_LION)
        for claim in ("a range may be cut anywhere", "each group has values of its own"):
            self.assertIn(f"PASS  optimizer lion: {claim}", checks)
        self.assertIn("metric top_k_accuracy: it merges to what one rank would count",
                      self.check_plugin("ranking", LSTM_OF_RANKING))

    def test_metrics_are_listed_and_described(self):
        listed = self.command("list", env=self.environment).stdout
        self.assertRegex(listed, r"metric, at eval.metrics\[\]:\n  ranking +top_k_accuracy +The share of labels")
        self.assertIn("  none: plugins bring them", self.command("list").stdout)
        described = self.command("describe", "ranking", "top_k_accuracy", env=self.environment).stdout
        self.assertIn("top_k_accuracy (metric, at eval.metrics[])", described)
        self.assertIn("How many guesses.", described)

    def train_shipped(self, name, *settings):
        path = self.experiments / name
        self.provide(path)
        self.env["TRIGA_PLUGIN_PATH"] = str(self.built)
        run, done = self.train_two_steps(path, *(word for setting in settings for word in ("--set", setting)))
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual([line["step"] for line in lines if line.get("split", "train") == "train"], [1, 2])
        return (run / "resolved.yaml").read_text(), next(line for line in lines if line.get("split") == "validation")

    def test_they_serve_the_shipped_experiments(self):
        resolved, validation = self.train_shipped(
            "rnn/lstm_shakespeare.yaml", "optimizer={plugin: lion, kind: lion, learning_rate: 1.0e-4}",
            "eval.metrics=[{plugin: ranking, kind: top_k_accuracy, k: 3}]")
        self.assertRegex(resolved, r"plugin: \S*lion")
        self.assertTrue(0 <= validation["accuracy"] <= validation["top_k_accuracy"] <= 1, validation)
        (self.folder / "paragraphs.txt").write_text("\n\n".join(sentences(400, 6)))
        resolved, validation = self.train_shipped(
            "transformer/gpt2_shakespeare.yaml",
            f"data.train={{plugin: paragraphs, kind: paragraphs, file: {self.folder / 'paragraphs.txt'}}}")
        self.assertRegex(resolved, r"plugin: \S*paragraphs")
        self.assertGreater(validation["loss"], 0)

    def refused(self, before, after):
        file = self.experiment_file(LSTM.replace(before, after))
        self.assertIn(after, file.read_text())
        done = self.command("check", file, env=self.environment)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        return done.stderr

    def test_wrong_metrics_are_refused(self):
        self.assertIn("outside.yaml:11: eval.metrics[1]: 'top_k_accuracy' is the name of another number of an evaluation",
                      self.refused(", name: top_1", ""))
        self.assertIn("'accuracy' is the name of another", self.refused("top_1", "accuracy"))
        self.assertIn("'seconds' is the name of another", self.refused("top_1", "seconds"))
        self.assertIn("eval.metrics[0].kind: plugin 'ranking' has no such metric: 'top_k' is not one of: top_k_accuracy",
                      self.refused("kind: top_k_accuracy, k: 3", "kind: top_k, k: 3"))
        self.assertIn("eval.metrics[0].k: 0 is out of range", self.refused("k: 3", "k: 0"))
        self.assertIn("outside.yaml:12: checkpoint.keep_best.metric: no such metric: 'validation/top_2' is not one of: "
                      "validation/loss, validation/accuracy, validation/top_k_accuracy, validation/top_1",
                      self.refused("metric: validation/top_k_accuracy", "metric: validation/top_2"))


# For a check of one of the plugins, the other must not be looked for.
LSTM_OF_LION = LSTM.replace(LSTM[LSTM.index("  metrics:"):LSTM.index("checkpoint:")], "").replace(
    "validation/top_k_accuracy, mode: max", "validation/loss")
LSTM_OF_RANKING = LSTM.replace("{plugin: lion, kind: lion, learning_rate: 2.0e-3, weight_decay: 0.01}",
                               "{learning_rate: 1.0e-3}")

if __name__ == "__main__":
    unittest.main()
