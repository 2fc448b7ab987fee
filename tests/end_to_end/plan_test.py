"""`triga plan` against runs: memory in bytes of the allocator, and a cut that is chosen, recorded and used again.

Memory within 10 %: the plan knows nothing of how the allocator rounds, nor of what ranks hold for messages. The size of buckets
is set, since a run would measure what suits the machine, and zero 2 holds some of them. Times are compared by `./dev bench plan`,
since a test on a busy machine cannot.
"""

import json
import re
import unittest

from triga_runner import TrigaTest, state_hash

PACKED = ("--set", "data.train={kind: text, files: [text.txt]}")
BUCKETS = ("--set", f"parallel.bucket_bytes={1 << 20}")
LAYOUTS = ((1, ()), (2, ("parallel.pp=2",)), (2, ("parallel.dp=2", "parallel.zero=1")), (2, ("parallel.zero=2",)),
           (4, ("parallel.pp=2", "parallel.zero=2")))
MODELS = {
    "wide": ("model.config={num_layers: 4, num_heads: 4, hidden_size: 192, context_length: 64, dropout: 0.1}",),
    "long": ("model.config={num_layers: 3, num_heads: 2, hidden_size: 64, context_length: 256, dropout: 0.0}",),
    "recomputed": ("model.config={num_layers: 4, num_heads: 4, hidden_size: 96, context_length: 128, dropout: 0.1}",
                   "parallel.recompute=full"),
    "lstm": ("model={plugin: rnn, kind: rnn_language_model, config: {hidden_size: 160, num_layers: 3, context_length: 96}}",),
}


def words(settings):
    return [word for setting in settings for word in ("--set", setting)]


class PlanTest(TrigaTest):
    def plan(self, *arguments, status=0):
        completed = self.command("plan", self.experiment, *arguments)
        self.assertEqual(completed.returncode, status, completed.stderr)
        return completed.stdout if status == 0 else completed.stderr

    def warning_of(self, *arguments):
        completed = self.command("plan", self.experiment, *arguments)
        self.assertEqual(completed.returncode, 0, completed.stderr)
        return completed.stderr

    def test_memory_is_that_of_the_run(self):
        for model, settings in MODELS.items():
            for ranks, layout in LAYOUTS:
                what = [*words(settings), *words(layout), *PACKED, "--set", "train.microbatch_size=4",
                        "--set", "train.global_batch={samples: 32}", *BUCKETS]
                planned = json.loads(self.plan("-n", ranks, "--json", *what))["ranks"]
                run = self.launch(ranks, f"{model}-{'-'.join(layout)}", *what, "--set", "train.max_steps=2")
                num_stages = 2 if "parallel.pp=2" in layout else 1
                per_stage = ranks // num_stages
                peaks = [self.peak_of(run, rank) for rank in range(ranks)]
                for stage in range(num_stages):
                    # Ranks that share a stage may have smaller microbatches; the plan is of the one that needs most.
                    peak = max(peaks[stage * per_stage : (stage + 1) * per_stage])
                    # The peak is that of the first step: before the first copy for a checkpoint.
                    ours = (planned[stage]["total_bytes"] - planned[stage]["snapshot_bytes"]) * 1e-6
                    self.assertGreater(planned[stage]["snapshot_bytes"], 0)
                    print(f"{model} {layout} stage {stage}: planned {ours:.2f} MB, measured {peak:.2f} MB")
                    self.assertAlmostEqual(ours / peak, 1, delta=0.1)

    def peak_of(self, run, rank):
        log = (run.directory / "log" / f"rank-{rank}.log").read_text()
        return float(re.search(r"after the first step: .*, ([\d.]+) MB at its peak", log).group(1))

    def test_report_and_files(self):
        svg, costs = self.folder / "plan.svg", self.folder / "costs.csv"
        pipeline = words(["parallel.pp=2", "parallel.pipeline_schedule=zb_h1"])
        text = self.plan("-n", 2, *pipeline, "--svg", svg, "--save-costs", costs)
        self.assertIn("dp 1 x pp 2 = 2 ranks; zb_h1", text)
        self.assertRegex(text, r"(?m)^rank 1  \|.*F.*I.*W")
        self.assertRegex(text, r"bubble: \d+\.\d %")
        self.assertIn("<svg", svg.read_text())
        again = json.loads(self.plan("-n", 2, *pipeline, "--costs", costs, "--json"))
        # With costs from a file nothing is computed here: the device need not be.
        far = json.loads(self.plan("-n", 2, *pipeline, "--costs", costs, "--json", "--set", "train.device=cuda"))
        self.assertEqual(far["stages"], again["stages"])
        self.assertIn("more than --memory: 0.0001 GB", self.warning_of("-n", 2, *pipeline, "--costs", costs, "--memory", "0.0001"))
        more = json.loads(self.plan("-n", 4, *words(["parallel.pp=4"]), "--costs", costs, "--json"))
        lines = [line.split(",") for line in costs.read_text().splitlines() if not line.startswith(("#", "layer,"))]
        forward = sum(float(line[1]) for line in lines)
        for plan in (again, more):
            self.assertAlmostEqual(sum(stage["forward_seconds"] for stage in plan["stages"]), forward, delta=1e-9)
        self.assertEqual([stage["layers"] for stage in more["stages"]], [[0, 1], [1, 2], [2, 3], [3, 4]])

    def test_what_the_plan_takes_buckets_to_be_is_said(self):
        zero2 = words(["parallel.dp=2", "parallel.zero=2"])
        self.assertIn("buckets of gradients of 4.2 MB", self.plan("-n", 2, *zero2))
        self.assertNotIn("buckets of gradients", self.plan("-n", 2, *zero2, *BUCKETS))

    def test_wrong_cost_files_are_refused(self):
        costs = self.folder / "costs.csv"
        costs.write_text("embedding,1,2\n")
        self.assertIn("costs.csv:1: 3 values; expected 10", self.plan("--costs", costs, status=2))
        self.assertIn("none.csv", self.plan("--costs", self.folder / "none.csv", status=2))
        self.assertIn("no number of ranks", self.plan("-n", "0", status=2))

    def test_a_chosen_cut_is_recorded_and_used_again(self):
        pipeline = words(["parallel.pp=2", "parallel.partition=auto"])
        steps = words(["checkpoint.every_steps=4", "learning_rate_schedule={kind: constant}"])
        alone = self.launch(1, "alone", *steps, "--set", "train.max_steps=8")
        first = self.launch(2, "parts", *steps, *pipeline, "--set", "train.max_steps=4")
        recorded = re.search(r"(?m)^ *partition: (\[\d+\])", (first.directory / "resolved.yaml").read_text()).group(1)
        self.assertIn("for the least time", (first.directory / "log" / "rank-0.log").read_text())
        second = self.launch(2, "parts", *steps, *pipeline, "--set", "train.max_steps=8")
        self.assertIn("as at the first start", (second.directory / "log" / "rank-0.log").read_text())
        straight = self.launch(2, "straight", *steps, "--set", "parallel.pp=2", "--set", f"parallel.partition={recorded}",
                               "--set", "train.max_steps=8")
        self.assertEqual(state_hash(second.directory), state_hash(straight.directory))
        for step, loss in alone.column("loss").items():
            self.assertAlmostEqual(second.column("loss")[step] / loss, 1, delta=2e-6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
