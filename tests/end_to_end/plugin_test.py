"""triga plugin check: the plugins of the tree pass with small experiments, wrong ones are told what is wrong, and what the
scaffold's plugin refuses."""

import random
import re
import struct
import unittest

import bert_test
import diffusion_test
import families_test
import recurrent_test
from shipped import SHIPPED
from triga_runner import BUILD, EXPERIMENT, TrigaTest, environment

PLUGINS = BUILD / "lib" / "triga" / "plugins"
BROKEN = BUILD / "tests" / "plugins" / "broken"
SCAFFOLD = BUILD / "tests" / "plugins" / "scaffold"

LANGUAGE_MODEL = """\
name: tiny
model: {plugin: rnn, kind: rnn_language_model, config: {num_layers: 2, embedding_size: 8, hidden_size: 12, context_length: 16}}
data:
  train: {kind: text, files: [text.txt], document: line, pack: false}
  tokenizer: {kind: bytes}
train: {max_steps: 5, global_batch: {samples: 4}, microbatch_size: 2}
optimizer: {learning_rate: 1.0e-3}
"""


def lines_of(kind, out):
    return [line for line in out.splitlines() if f"  architecture {kind}: " in line]


class PluginCheck(TrigaTest):
    def setUp(self):
        super().setUp()
        generator = random.Random(4)
        (self.folder / "moods.tsv").write_text("".join(
            " ".join(generator.choices("good fine poor dull".split(), k=generator.randint(1, 9))) + f"\t{i % 2}\n" for i in range(60)))
        (self.folder / "waves.csv").write_text("date,load,heat\n" + "".join(
            f"day {i},{generator.gauss(0, 1):.4f},{generator.gauss(0, 1):.4f}\n" for i in range(200)))
        (self.folder / "bars.idx").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">III", 60, 8, 8) + generator.randbytes(60 * 64))
        (self.folder / "labels.idx").write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 60) + bytes(i % 4 for i in range(60)))

    def check(self, file, experiments, *arguments):
        """The output and the status; `experiments`: texts."""
        words = []
        for number, text in enumerate(experiments):
            path = self.folder / f"check{number}.yaml"
            path.write_text(text)
            words += ["--experiment", path]
        return self.command("plugin", "check", file, *words, *arguments, env=environment(OMP_NUM_THREADS=1))  # small models

    def passes(self, plugin, experiments, *arguments):
        """Every check of each kind passes; other kinds of the plugin are not asked about."""
        done = self.check(PLUGINS / f"{plugin}.so", experiments.values(), *arguments)
        self.assertNotIn("error", done.stderr)
        for kind in experiments:
            found = lines_of(kind, done.stdout)
            self.assertEqual(len(found), 19, done.stdout)
            self.assertEqual([line for line in found if not line.startswith(("PASS", "none"))], [], done.stdout)

    def test_transformer_passes(self):
        learned = "{kind: wordpiece, vocab_size: 120}"
        classifier = bert_test.CLASSIFIER.replace("{kind: wordpiece, from: fill/checkpoints/latest}", learned).replace("GROUPS", "[]")
        self.passes("transformer", {"gpt2": EXPERIMENT, "vit_classifier": families_test.VIT + families_test.TAIL,
                                    "bert_mlm": bert_test.MLM, "bert_classifier": re.sub("  init: .*\n", "", classifier)},
                    "--input", "text=the [MASK] was good")

    def test_rnn_passes(self):
        self.passes("rnn", {"rnn_language_model": LANGUAGE_MODEL,
                            "rnn_classifier": families_test.CLASSIFIER + families_test.TAIL,
                            "rnn_regressor": recurrent_test.ADDING,
                            "rnn_forecaster": families_test.FORECASTER + families_test.TAIL},
                    "--input", f"file={self.folder / 'waves.csv'}", "--input", "input_length=12")

    def test_diffusion_passes(self):
        self.passes("diffusion", {"ddpm": diffusion_test.EXPERIMENT}, "--input", "num_steps=3", "--input", "num_images=2")

    def fails(self, file, words, experiments=()):
        done = self.check(file, experiments)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn(words, done.stdout)
        self.assertRegex(done.stdout.splitlines()[-1], r": \d+ of \d+ checks? failed")
        return done.stdout

    def test_what_cannot_be_opened_is_said_and_nothing_of_it_runs_here(self):
        out = self.fails(self.folder / "none.so", "FAIL  plugin: its stamp is that of this Triga")
        self.assertEqual(len([line for line in out.splitlines() if line.startswith(("PASS", "FAIL"))]), 1)
        self.fails(BROKEN / "no_stamp.so", "FAIL  plugin: its stamp is that of this Triga")
        self.fails(BROKEN / "static_throw.so", "FAIL  plugin: it opens in a child process")
        self.fails(BROKEN / "static_abort.so", "FAIL  plugin: it opens in a child process")
        self.fails(BROKEN / "misnamed.so", "FAIL  plugin: it is named as its file")

    def test_a_kind_that_no_experiment_uses_is_not_checked_and_that_fails(self):
        out = self.fails(BROKEN / "good.so", "FAIL  learning-rate schedule still: an experiment uses it")
        self.assertIn("add --experiment FILE.yaml", out)
        used = LANGUAGE_MODEL + "learning_rate_schedule: {plugin: good, kind: still}\n"
        done = self.check(BROKEN / "good.so", [used])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("PASS  learning-rate schedule still: its factors are numbers", done.stdout)
        self.assertIn("checks passed", done.stdout.splitlines()[-1])

    def test_an_optimizer_that_does_not_hear_a_value_of_its_groups_is_found(self):
        for deaf_to, words in (("nothing", None), ("learning_rate_scale", "group.learning_rate_scale is not a factor"),
                               ("weight_decay", "group.weight_decay changes nothing")):
            used = LANGUAGE_MODEL.replace("{learning_rate: 1.0e-3}",
                                          f"{{plugin: deaf_to_groups, kind: deaf, learning_rate: 1.0e-3, to: {deaf_to}}}")
            if words is None:
                done = self.check(BROKEN / "deaf_to_groups.so", [used])
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                continue
            out = self.fails(BROKEN / "deaf_to_groups.so", words, [used])
            self.assertIn("PASS  optimizer deaf: a range may be cut anywhere", out)
            self.assertIn("FAIL  optimizer deaf: each group has values of its own", out)

    def test_what_a_plugin_throws_is_shown_with_its_name(self):
        used = LANGUAGE_MODEL + "learning_rate_schedule: {plugin: throws_at_use, kind: still}\n"
        self.fails(BROKEN / "throws_at_use.so", "plugin 'throws_at_use': ", [used])

    def test_an_architecture_without_an_experiment_is_told_what_one_gives(self):
        out = self.fails(SCAFFOLD / "my_plugin.so", "FAIL  architecture bigram: it builds with its defaults")
        self.assertIn("kind bigram needs a tokenizer: set data.tokenizer\n        An experiment can give what it needs", out)
        self.assertIn("add --experiment FILE.yaml, one that sets what has no default: file\n", out)

    def test_a_crash_is_a_failure_of_the_check_it_came_in(self):
        used = LANGUAGE_MODEL + "learning_rate_schedule: {plugin: crashes_at_use, kind: still}\n"
        out = self.fails(BROKEN / "crashes_at_use.so", "it crashed (SIGSEGV)", [used])
        self.assertRegex(out, r"FAIL  learning-rate schedule still: [^\n]*\n        it crashed \(SIGSEGV\) in plugin 'crashes_at_use'")

    def test_arguments_that_fit_nothing_are_refused(self):
        done = self.check(PLUGINS / "rnn.so", [LANGUAGE_MODEL], "--input", "promt=a")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("--input promt: no sampler of the experiments' models has such an input", done.stderr)
        other = LANGUAGE_MODEL.replace("plugin: rnn", f"plugin: {PLUGINS / 'rnn.so'}")
        copy = self.folder / "rnn.so"
        copy.write_bytes((PLUGINS / "rnn.so").read_bytes())
        done = self.check(copy, [other])
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(f"opens {PLUGINS / 'rnn.so'}, not {copy}", done.stderr)

    def test_the_scaffold_passes_and_refuses_in_words(self):
        experiment = (BUILD / "share" / "triga" / "scaffold" / "experiment.yaml").read_text()
        (self.folder / "story.txt").write_text((BUILD / "share" / "triga" / "scaffold" / "story.txt").read_text())
        done = self.check(SCAFFOLD / "my_plugin.so", [experiment])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("none  architecture bigram: metrics merge to what one rank would count: it has no metrics of its own\n", done.stdout)
        self.assertIn("none  architecture bigram: a sampler gives the same again: it has no sampler\n", done.stdout)
        guide = (SHIPPED.parent / "docs" / "write_a_plugin.md").read_text()
        summary = re.search(r"my_plugin.so(: all \d+ checks passed; .*)", guide)[1]
        self.assertTrue(done.stdout.splitlines()[-1].endswith(summary), done.stdout)
        for text, status, words in (
                (experiment.replace("  tokenizer: {kind: bytes}\n", ""), 2, "kind bigram needs a tokenizer"),
                (experiment.replace("story.txt", "tale.txt"), 4, "tale.txt: there is no such file, or it cannot be read")):
            path = self.folder / "wrong.yaml"
            path.write_text(text)
            done = self.command("check", path, env=environment(TRIGA_PLUGIN_PATH=SCAFFOLD))
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
