"""Training on a GPU against the CPU, on two ranks of one GPU, and its promises: resume to the bit, failures that end.

Tolerances: fp32 sums in another order and other exponentials; a small GPT's loss moves by about 1e-6 in 50 steps of reordering,
so ten times that is allowed for other kernels.
"""

import os
import signal
import subprocess
import time
import unittest

from triga_runner import MPIRUN, TRIGA, Run, TrigaTest, mpi_environment, state_hash

SGD = ("--set", "optimizer={kind: sgd, learning_rate: 0.1}", "--set", "train.clip_norm=0")


class GpuTest(TrigaTest):
    def two_ranks(self, directory, *arguments):
        """The command line of two ranks that share this machine's GPU."""
        rank = [str(TRIGA), "train", str(self.experiment), "--run-dir", str(self.folder / directory), "--set", "train.device=cuda",
                *map(str, arguments)]
        return [*MPIRUN, "-n", "1", "-x", "NCCL_HOSTID=a", *rank, ":", "-n", "1", "-x", "NCCL_HOSTID=b", *rank]

    def train_on_two(self, directory, *arguments):
        completed = subprocess.run(self.two_ranks(directory, *arguments), cwd=self.folder, env=mpi_environment(),
                                   capture_output=True, text=True, timeout=300)
        run = Run(completed, self.folder / directory)
        self.assertEqual(run.status, 0, str(run))
        return run

    def assert_near(self, expected, got, tolerance):
        self.assertEqual(expected.keys(), got.keys())
        worst = max(abs(got[s] - expected[s]) / abs(expected[s]) for s in expected)
        print(f"differs by at most {worst:.2e} relative")
        self.assertLess(worst, tolerance)

    def test_learns_what_the_cpu_learns(self):
        for name, arguments in (("adamw", ()), ("sgd", SGD)):
            cpu = self.launch(1, f"cpu-{name}", *arguments)
            gpu = self.launch(1, f"gpu-{name}", "--set", "train.device=cuda", *arguments)
            for column in ("loss", "grad_norm"):
                self.assert_near(cpu.column(column), gpu.column(column), 2e-5)
            for zero in (0, 1, 2):
                two = self.train_on_two(f"two-{name}-{zero}", "--set", f"parallel.zero={zero}", *arguments)
                for column in ("loss", "grad_norm"):
                    self.assert_near(gpu.column(column), two.column(column), 2e-5)

    def test_a_pipeline_learns_what_one_gpu_learns(self):
        one = self.launch(1, "one", "--set", "train.device=cuda")
        for schedule in ("1f1b", "zb_h1", "zb_v"):
            two = self.train_on_two(f"pipeline-{schedule}", "--set", "parallel.pp=2", "--set", f"parallel.pipeline_schedule={schedule}")
            for column in ("loss", "grad_norm"):
                self.assert_near(one.column(column), two.column(column), 2e-5)

    def test_recomputation_and_repetition_give_the_same_bits(self):
        runs = [self.launch(1, f"run-{i}", "--set", "train.device=cuda", "--set", f"parallel.recompute={recompute}")
                for i, recompute in enumerate(("none", "none", "selective", "full"))]
        for run in runs[1:]:
            self.assertEqual(run.column("loss"), runs[0].column("loss"))
            self.assertEqual(state_hash(run.directory), state_hash(runs[0].directory))

    def test_resumes_to_the_bit(self):
        for precision in ("fp32", "bf16"):
            common = ("--set", f"train.precision={precision}", "--set", "checkpoint.every_steps=10")
            whole = self.train_on_two(f"whole-{precision}", *common)
            self.train_on_two(f"parts-{precision}", *common, "--set", "train.max_steps=20",
                              "--set", "learning_rate_schedule.decay_steps=50")
            parts = self.train_on_two(f"parts-{precision}", *common, "--set", "learning_rate_schedule.decay_steps=50")
            self.assertEqual(state_hash(parts.directory), state_hash(whole.directory))

    def test_a_killed_rank_ends_the_other(self):
        process = subprocess.Popen(self.two_ranks("killed", "--set", "train.max_steps=100000", "--set", "log.every_steps=1"),
                                   cwd=self.folder, env=mpi_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        metrics = self.folder / "killed" / "metrics.jsonl"
        for _ in range(600):
            if metrics.exists() and metrics.stat().st_size > 1000:
                break
            time.sleep(0.1)
        ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(ranks[-1]), signal.SIGKILL)
        process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("rank 1", (self.folder / "killed" / "failure.txt").read_text())


if __name__ == "__main__":
    unittest.main()
