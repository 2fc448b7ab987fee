"""The layout never changes the run: 50 steps on 1, 2, 3 and 4 ranks, at each step the same loss and gradient norm.

Unequal token counts (a line a sample, padded), dropout, 7 microbatches over the ranks. Tolerances are those of fp32 sums in
another order: reordering moves a small GPT's loss by about 4e-7 in 50 steps. SGD without momentum and clipping is run too,
because AdamW and clipping do not care how a gradient is scaled.
"""

import json
import re
import unittest

from triga_runner import TrigaTest, state_hash

SGD = ("--set", "optimizer={kind: sgd, learning_rate: 0.1}", "--set", "train.clip_norm=0")


class LayoutTest(TrigaTest):
    def compare_with(self, alone, run, what):
        for name, tolerance in (("loss", 2e-6), ("grad_norm", 5e-6)):
            expected, got = alone.column(name), run.column(name)
            self.assertEqual(expected.keys(), got.keys())
            worst = max(abs(got[s] - expected[s]) / abs(expected[s]) for s in expected)
            print(f"{what}: {name} differs by at most {worst:.2e} relative")
            self.assertLess(worst, tolerance, f"{name} with {what}")
        for name in ("loss", "accuracy"):
            expected, got = alone.column(name, "validation"), run.column(name, "validation")
            self.assertEqual(expected.keys(), got.keys())
            for step in expected:
                self.assertAlmostEqual(got[step], expected[step], delta=2e-5)

    def compare(self, *arguments):
        """Every number of ranks, and every way in which they share what they keep, against one process."""
        alone = self.launch(1, "alone", *arguments)
        self.assertEqual(len(alone.lines()), 50)
        self.assertGreater(alone.column("loss")[1] - alone.column("loss")[50], 0.5, "the model learns nothing")
        for ranks in (2, 3, 4):
            for zero in (0, 1, 2):
                what = f"{ranks} ranks, zero {zero}"
                self.compare_with(alone, self.launch(ranks, f"run{ranks}-{zero}", "--set", f"parallel.zero={zero}", *arguments),
                                  what)

    def test_adamw(self):
        self.compare()

    def test_sgd_without_clipping(self):
        self.compare(*SGD)

    def test_recomputation_gives_the_same_bits(self):
        for ranks, zero in ((1, 1), (2, 1), (3, 2)):
            runs = [self.launch(ranks, f"{recompute}-{ranks}", "--set", f"parallel.zero={zero}", "--set",
                                f"parallel.recompute={recompute}") for recompute in ("none", "selective", "full")]
            for run in runs[1:]:
                self.assertEqual(run.column("loss"), runs[0].column("loss"))
                self.assertEqual(state_hash(run.directory), state_hash(runs[0].directory))

    def test_a_profile_is_of_steps_alone(self):
        run = self.launch(2, "profiled", "--profile", 20, "--set", "train.max_steps=8", "--set", "eval.every_steps=3",
                          "--set", "checkpoint.every_steps=3")
        events = json.loads((run.directory / "trace.json").read_text())["traceEvents"]
        self.assertEqual({event["pid"] for event in events}, {0, 1})
        kinds = {event.get("cat") for event in events}
        self.assertLessEqual({"step", "data wait", "forward", "backward", "optimizer", "communication", "evaluation", "checkpoint"}, kinds)
        summary = (run.directory / "log" / "rank-0.log").read_text()
        shares = {name: float(share) for name, share in re.findall(r"^ +(\w[\w ]*?) +[\d.]+ ms +(-?[\d.]+) %", summary, re.M)}
        self.assertLessEqual({"data wait", "forward", "backward", "optimizer", "communication exposed", "metrics", "other"}, set(shares))
        self.assertAlmostEqual(sum(shares.values()), 100, delta=1)
        self.assertTrue(all(share > -0.5 for share in shares.values()), shares)

    def test_the_size_of_buckets_is_measured_once_and_changes_no_bit(self):
        runs = [self.launch(2, f"bucket-{size}", "--set", f"parallel.bucket_bytes={size}") for size in ("auto", 1024, 10**8)]
        for run in runs[1:]:
            self.assertEqual(run.column("loss"), runs[0].column("loss"))
            self.assertEqual(state_hash(run.directory), state_hash(runs[0].directory))
        chosen = re.search(r"bucket_bytes: (\d+)", (runs[0].directory / "resolved.yaml").read_text())[1]
        again = self.launch(2, "bucket-auto", "--set", "train.max_steps=60")
        self.assertIn(f"bucket_bytes: {chosen}\n", (again.directory / "resolved.yaml").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
