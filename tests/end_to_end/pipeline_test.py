"""Layers spread over ranks never change the run: every schedule, alone and with data parallelism, against one process.

Tolerances as in layout_test.py. The tied weights of the model lie on the first and on the last stage.
"""

import json
import unittest

from triga_runner import TrigaTest, state_hash

SGD = ("--set", "optimizer={kind: sgd, learning_rate: 0.1}", "--set", "train.clip_norm=0")


class PipelineTest(TrigaTest):
    def setUp(self):
        super().setUp()
        # Six layers: embedding, four blocks, head.
        self.experiment.write_text(self.experiment.read_text().replace("num_layers: 2", "num_layers: 4"))

    def compare(self, layouts, *arguments):
        alone = self.launch(1, "alone", *arguments)
        for i, (ranks, *settings) in enumerate(layouts):
            what = [word for setting in settings for word in ("--set", f"parallel.{setting}")]
            run = self.launch(ranks, f"run-{i}", *what, *arguments)
            for name, tolerance in (("loss", 2e-6), ("grad_norm", 5e-6)):
                expected, got = alone.column(name), run.column(name)
                self.assertEqual(expected.keys(), got.keys())
                worst = max(abs(got[s] - expected[s]) / abs(expected[s]) for s in expected)
                print(f"{ranks} ranks, {settings}: {name} differs by at most {worst:.2e} relative")
                self.assertLess(worst, tolerance)
            for name in ("loss", "accuracy"):
                for step, value in alone.column(name, "validation").items():
                    self.assertAlmostEqual(run.column(name, "validation")[step], value, delta=2e-5)

    def test_every_schedule_with_adamw(self):
        own = self.folder / "own.csv"
        own.write_text("# rank 0\n" + ", ".join(f"0F{i}" for i in range(7)) + ", " + ", ".join(f"0I{i}, 0W{i}" for i in range(7)) + "\n"
                       + ", ".join(f"1F{i}, 1B{i}" for i in range(7)) + "\n")
        self.compare([(2, "pp=2"), (4, "pp=4"), (4, "pp=2", "zero=2"),
                      (2, "pp=2", "pipeline_schedule=gpipe"), (4, "pp=4", "pipeline_schedule=gpipe"), (4, "pp=2", "pipeline_schedule=gpipe"),
                      (2, "pp=2", "pipeline_schedule=ZB_H1"), (4, "pp=4", "pipeline_schedule=zb_h1"),
                      (4, "pp=2", "pipeline_schedule=zb_h1"),
                      (2, "pp=2", "pipeline_schedule=zb_v"), (4, "pp=2", "pipeline_schedule=zb_v", "zero=1"),
                      (2, "pp=2", "pipeline_schedule=interleaved_1f1b"),
                      (2, "pp=2", "pipeline_schedule=interleaved_1f1b", "pipeline_chunks=3"),
                      (4, "pp=2", "pipeline_schedule=interleaved_1f1b"),
                      (4, "pp=2", "pipeline_schedule=interleaved_1f1b", "pipeline_chunks=3", "zero=1"),
                      (2, "pp=2", f"pipeline_schedule_file={own}"),
                      (2, "pp=2", "partition=[5]"), (2, "pp=2", "partition=auto", "recompute=full")])

    def test_more_layers_for_more_stages(self):
        self.experiment.write_text(self.experiment.read_text().replace("num_layers: 4", "num_layers: 14"))
        self.compare([(4, "pp=4", "pipeline_schedule=zb_v"),
                      (2, "pp=2", "pipeline_schedule=interleaved_1f1b", "pipeline_chunks=4"),
                      (4, "pp=2", "pipeline_schedule=interleaved_1f1b", "pipeline_chunks=4"),
                      *((4, "pp=4", "pipeline_schedule=interleaved_1f1b", f"pipeline_chunks={chunks}") for chunks in (2, 3, 4))])

    def test_a_users_schedule_is_not_needed_to_evaluate(self):
        own = self.folder / "own.csv"
        own.write_text(", ".join(f"0F{i}, 0B{i}" for i in range(7)) + "\n" + ", ".join(f"1F{i}, 1B{i}" for i in range(7)) + "\n")
        run = self.launch(2, "run", "--set", "parallel.pp=2", "--set", f"parallel.pipeline_schedule_file={own}", "--set", "train.max_steps=3")
        own.unlink()
        done = self.command("evaluate", run.directory, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertAlmostEqual(json.loads(done.stdout)["loss"], run.lines("validation")[-1]["loss"], delta=1e-5)

    def test_starts_from_weights_and_goes_on_from_them(self):
        first = self.launch(2, "first", "--set", "parallel.pp=2", "--set", "train.max_steps=10",
                            "--set", "learning_rate_schedule={kind: constant}")
        start = ("--set", f"model.init.from={first.directory}/checkpoints/latest", "--set", "learning_rate_schedule={kind: constant}",
                 "--set", "train.max_steps=10")
        self.compare([(2, "pp=2"), (4, "pp=2", "zero=2")], *start)

    def test_sgd_without_clipping(self):
        self.compare([(2, "pp=2"), (4, "pp=4"), (4, "pp=2", "zero=0"),
                      *((ranks, "pp=2", f"pipeline_schedule={name}") for ranks in (2, 4)
                        for name in ("gpipe", "interleaved_1f1b", "zb_h1", "zb_v"))], *SGD)

    def test_resumes_to_the_bit_and_on_other_layouts(self):
        steps = ("--set", "checkpoint.every_steps=10", "--set", "eval.every_steps=10",
                 "--set", "learning_rate_schedule={kind: cosine, warmup_steps: 5, decay_steps: 40}")
        layout = ("--set", "parallel.pp=2", "--set", "parallel.pipeline_schedule=zb_h1")
        straight = self.launch(4, "straight", *steps, *layout, "--set", "train.max_steps=40")
        for limit in (20, 40):
            run = self.launch(4, "parts", *steps, *layout, "--set", f"train.max_steps={limit}")
        self.assertEqual(state_hash(run.directory), state_hash(straight.directory))
        alone = self.launch(1, "alone", *steps, "--set", "train.max_steps=40")
        for ranks, limit, *settings in ((4, 10, "pp=4"), (1, 20), (4, 30, "pp=2", "zero=0"), (2, 40, "pp=1")):
            what = [word for setting in settings for word in ("--set", f"parallel.{setting}")]
            moving = self.launch(ranks, "moving", *steps, *what, "--set", f"train.max_steps={limit}")
        for name, tolerance in (("loss", 1e-5), ("grad_norm", 1e-5)):
            expected, got = alone.column(name), moving.column(name)
            self.assertEqual(expected.keys(), got.keys())
            for step in expected:
                self.assertAlmostEqual(got[step] / expected[step], 1, delta=tolerance)


if __name__ == "__main__":
    unittest.main(verbosity=2)
