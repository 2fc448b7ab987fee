"""What goes wrong inside of a plugin while it is trained: layer, plugin, step and microbatch are named, whether it throws or
crashes, on one rank or on several, in the last line and in failure.txt."""

import re
import unittest

from triga_runner import BUILD, Run, TrigaTest

PLUGIN = BUILD / "tests" / "plugins" / "broken" / "wrong_at_use.so"

EXPERIMENT = f"""\
name: wrong
model: {{plugin: {PLUGIN}, kind: wrong, config: {{fault: FAULT, from: FROM}}}}
data:
  train: {{kind: text, files: [text.txt], document: line, pack: false}}
  tokenizer: {{kind: bytes}}
train: {{max_steps: 12, global_batch: {{samples: 8}}, microbatch_size: 2, seed: 3, device: cpu, max_skipped_steps: 4}}
optimizer: {{learning_rate: 1.0e-3}}
checkpoint: {{every_steps: 1}}
parallel: {{communication_timeout: 20}}
"""


class PluginFaults(TrigaTest):
    def train(self, fault, *arguments, ranks=1, start=16, status=1):
        """Sample 16 is the first of step 2, sample 18 is in its microbatch 1."""
        self.experiment.write_text(EXPERIMENT.replace("FAULT", fault).replace("FROM", str(start)))
        self.num_runs = getattr(self, "num_runs", 0) + 1
        directory = self.folder / f"run{self.num_runs}"
        how = ["train", self.experiment] if ranks == 1 else ["launch", self.experiment, "-n", ranks]
        run = Run(self.command(*how, "--run-dir", directory, *arguments), directory)
        self.assertEqual(run.status, status, str(run))
        if status != 1:
            return run
        self.assertEqual((run.status_json()["state"], run.status_json()["exit_status"]), ("failed", 1))
        self.assertIn(run.status_json()["cause"], run.err)
        failure = (directory / "failure.txt").read_text()
        self.assertIn(run.status_json()["cause"], failure)
        self.assertIn("To go on: triga ", failure)
        return run

    def last_line(self, run):
        return run.err.rstrip().splitlines()[-1]

    def test_a_crash_in_forward(self):
        run = self.train("crash_forward", start=18)
        self.assertEqual(self.last_line(run), "triga: error: crashed (SIGSEGV) in forward of layer 'middle' (Middle) of plugin "
                                              "'wrong_at_use', step 2, microbatch 1")
        self.assertEqual(run.status_json()["step"], 2)
        self.assertIn("checkpoints/step-0000000", (run.directory / "failure.txt").read_text())
        again = self.command("train", self.experiment, "--run-dir", run.directory)  # the lease is nobody's
        self.assertIn("crashed (SIGSEGV) in forward of layer 'middle'", again.stderr)
        self.assertEqual(again.returncode, 1)

    def test_a_crash_in_backward(self):
        for recompute, parts in (("none", "backward"), ("full", "(forward|backward)")):
            run = self.train("crash_backward", "--set", f"parallel.recompute={recompute}")
            self.assertRegex(self.last_line(run), r"crashed \(SIGSEGV\) in " + parts + r" of layer 'middle' \(Middle\) of plugin "
                                                  r"'wrong_at_use', step 2, microbatch 0$")

    def test_a_crash_on_several_ranks(self):
        for layout in ("parallel.dp=2", "parallel.pp=2"):
            for fault, part in (("crash_forward", "forward"), ("crash_backward", "backward")):
                with self.subTest(layout=layout, fault=fault):
                    run = self.train(fault, "--set", layout, ranks=2)
                    cause = run.status_json()["cause"]
                    self.assertRegex(cause, rf"^rank [01] on host \S+ crashed \(SIGSEGV\) in {part} of layer 'middle' \(Middle\) of "
                                            r"plugin 'wrong_at_use', step 2, microbatch \d$")
                    failure = (run.directory / "failure.txt").read_text()
                    self.assertTrue(run.err.rstrip().endswith(failure.rstrip()), str(run))

    def test_a_crash_in_a_split_backward_pass(self):
        run = self.train("crash_backward", "--set", "parallel.pp=2", "--set", "parallel.pipeline_schedule=zb_h1", ranks=2)
        self.assertIn("in backward of layer 'middle' (Middle) of plugin 'wrong_at_use', step 2", run.status_json()["cause"])

    def test_what_is_thrown(self):
        for fault, where in (("throw_forward", "in forward of layer 'middle' (Middle), step 2, microbatch 0"),
                             ("throw_backward", "in backward of layer 'middle' (Middle), step 2, microbatch 0"),
                             ("throw_loss", "in sum of loss (NextToken), step 2, microbatch 0")):
            with self.subTest(fault=fault):
                run = self.train(fault)
                self.assertEqual(run.status_json()["cause"], f"plugin 'wrong_at_use': {where}: the moon is in the wrong place")
        self.assertEqual(self.train("wrong_name").status_json()["cause"],
                         "plugin 'wrong_at_use': in forward of layer 'middle' (Middle), step 2, microbatch 0: it wrote 'depth', and its "
                         "LayerSpec declares 'deep'")
        run = self.train("throw_collate", status=4)
        self.assertIn("plugin 'wrong_at_use': in collate of architecture (Wrong): the moon is in the wrong place", run.err)

    def test_what_is_thrown_before_and_after_the_steps(self):
        validation = ("--set", "data.validation={kind: text, files: [text.txt], document: line, pack: false}",
                      "--set", "eval.every_steps=2")
        for fault, where, arguments in (("throw_layers", "in layers of architecture (Wrong)", ()),
                                        ("throw_build", "in build of layer 'middle'", ()),
                                        ("throw_metric", "in merge of metric 'moonshine' (Moonshine)", validation)):
            with self.subTest(fault=fault):
                self.experiment.write_text(EXPERIMENT.replace("FAULT", fault).replace("FROM", "16"))
                done = self.command("train", self.experiment, "--run-dir", self.folder / fault, *arguments)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(f"plugin 'wrong_at_use': {where}: the moon is in the wrong place", done.stderr)

    def test_a_parameter_that_was_not_declared(self):
        run = self.train("not_declared")
        self.assertIn("plugin 'wrong_at_use': in forward of layer 'middle' (Middle), step 2, microbatch 0: a parameter is used that "
                      "was never declared. Declare it in the layer's constructor", run.err)

    def test_numbers_that_are_none(self):
        self.assertIn("Try a lower optimizer.learning_rate", self.train("not_a_number", status=7).err)
        said = self.train("not_a_number", start=0, status=7).err
        self.assertIn("It was so from the first step on", said)
        self.assertIn("triga plugin check FILE.so", said)

    def test_a_check_says_where_it_crashed(self):
        self.experiment.write_text(EXPERIMENT.replace("FAULT", "crash_forward").replace("FROM", "0"))
        done = self.command("plugin", "check", PLUGIN, "--experiment", self.experiment)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertTrue(re.search(r"it crashed \(SIGSEGV\) in forward of layer 'middle' \(Middle\) of plugin 'wrong_at_use'", done.stdout),
                        done.stdout)

    def test_a_check_without_an_experiment_says_what_it_would_set(self):
        done = self.command("plugin", "check", PLUGIN)
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("add --experiment FILE.yaml, one that sets what has no default: fault", done.stdout)


if __name__ == "__main__":
    unittest.main()
