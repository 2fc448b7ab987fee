"""Nothing is lost: a run that is interrupted and resumed is the run that was not, to the bit."""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from triga_runner import BUILD, MPIRUN, TRIGA, TrigaTest, environment, make_text, mpi_environment, state_hash

STEPS = ("--set", "checkpoint.every_steps=10", "--set", "eval.every_steps=10")


class ResumeTest(TrigaTest):
    def test_three_starts_equal_one(self):
        for ranks, *settings in ((1,), (2,), (2, "parallel.zero=0"), (3, "parallel.zero=2"), (2, "train.precision=bf16"),
                                 (2, "parallel.recompute=full", "train.precision=bf16", "parallel.zero=2")):
            with self.subTest(ranks=ranks, settings=settings):
                self.check_three_starts(ranks, [word for setting in settings for word in ("--set", setting)])

    def check_three_starts(self, ranks, settings):
        name = "-".join([str(ranks), *settings[1::2]])
        straight = self.launch(ranks, f"straight-{name}", *STEPS, *settings, "--set", "train.max_steps=40")
        expected = state_hash(straight.directory)
        name = f"parts-{name}"
        # The decay of the schedule is that of the first start, so it must be said here.
        decay = ("--set", "learning_rate_schedule={kind: cosine, warmup_steps: 5, decay_steps: 40}")
        for limit in (20, 30, 40):
            run = self.launch(ranks, name, *STEPS, *settings, *decay, "--set", f"train.max_steps={limit}")
        self.assertEqual(state_hash(run.directory), expected)
        for column in ("loss", "grad_norm", "learning_rate"):
            self.assertEqual(run.column(column), straight.column(column), column)
        self.assertEqual(run.column("loss", "validation"), straight.column("loss", "validation"))

    def test_dollars_do_not_make_another_experiment(self):
        """`$` ends most patterns of parameters, and `$$` stands for it in resolved.yaml."""
        folder = self.folder / "a$b ${c}"
        folder.mkdir()
        for name in ("tiny.yaml", "text.txt", "held_out.txt"):
            shutil.copy(self.folder / name, folder)
        line = [TRIGA, "train", "tiny.yaml", "--run-dir", "run", "--set", "optimizer.groups=[{match: 'bias$', weight_decay: 0}]", *STEPS]
        for limit in (10, 20):
            done = subprocess.run([*map(str, line), "--set", f"train.max_steps={limit}", "--set", "checkpoint.every_steps=10"], cwd=folder,
                                  env=environment(), capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("goes on", done.stdout + done.stderr)

    def test_keeps_the_number_of_threads(self):
        """Another one gives other last bits; a run that moves to hosts with more cores must not get them unasked."""
        one, two = (("--set", f"parallel.threads={number}") for number in (1, 2))
        straight = self.launch(1, "straight", *STEPS, *one, "--set", "train.max_steps=40")
        other = self.launch(1, "other", *STEPS, *two, "--set", "train.max_steps=40")
        self.assertNotEqual(state_hash(other.directory), state_hash(straight.directory), "the number changes nothing here")
        decay = ("--set", "learning_rate_schedule={kind: cosine, warmup_steps: 5, decay_steps: 40}")
        share = str(len(os.sched_getaffinity(0)))
        self.assertNotEqual(share, "1", "needs more than one core")
        self.launch(1, "parts", *STEPS, *decay, *one, "--set", "train.max_steps=20")
        run = self.launch(1, "parts", *STEPS, *decay, "--set", "train.max_steps=40")
        self.assertEqual(state_hash(run.directory), state_hash(straight.directory))
        log = (run.directory / "log" / "rank-0.log").read_text()
        self.assertIn(f"the ranks keep the threads that they had (1), so that their number changes no bits; their shares of the "
                      f"cores here: {share}.", log)
        run = self.launch(1, "parts", *STEPS, *decay, *two, "--set", "train.max_steps=50")
        self.assertIn("threads: the checkpoint was written with 1, here it is 2; the run may differ in the last bits",
                      (run.directory / "log" / "rank-0.log").read_text())
        run = self.launch(2, "parts", *STEPS, *decay, "--set", "train.max_steps=60")
        self.assertRegex((run.directory / "log" / "rank-0.log").read_text(),
                         r"threads: the checkpoint was written with 2, here it is \d+,\d+; the run may differ in the last bits")

    def test_says_when_a_longer_run_learns_nothing(self):
        self.launch(1, "longer", *STEPS, "--set", "train.max_steps=10")
        run = self.launch(1, "longer", *STEPS, "--set", "train.max_steps=14")
        log = (run.directory / "log" / "rank-0.log").read_text()
        self.assertIn("the learning rate is 0 after step 10: what follows, up to step 14, learns nothing", log)
        self.assertEqual(log.count("learns nothing"), 1)
        other = self.launch(1, "other", *STEPS, "--set", "train.max_steps=20", "--set", "learning_rate_schedule.decay_steps=20",
                            "--resume", run.directory / "checkpoints" / "latest")
        self.assertGreater(min(other.column("learning_rate").values()), 0)
        self.assertNotIn("learns nothing", (other.directory / "log" / "rank-0.log").read_text())

    def test_says_that_the_plugin_is_another_one(self):
        plugin = self.folder / "transformer.so"
        shutil.copy(BUILD / "lib" / "triga" / "plugins" / "transformer.so", plugin)
        self.experiment.write_text(self.experiment.read_text().replace("plugin: transformer", f"plugin: {plugin}"))
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=5")
        with open(plugin, "ab") as file:
            file.write(b"\0")  # another build of the same version
        run = self.launch(1, "run", *STEPS, "--set", "train.max_steps=6")
        self.assertRegex((run.directory / "log" / "rank-0.log").read_text(),
                         r"plugin transformer: the checkpoint was written with 0\.1\.0 \(content \w+\), here it is 0\.1\.0 \(content \w+\); "
                         r"the run may differ\n")

    def test_resumes_on_any_number_of_ranks(self):
        straight = self.launch(1, "straight", *STEPS, "--set", "train.max_steps=40")
        decay = ("--set", "learning_rate_schedule={kind: cosine, warmup_steps: 5, decay_steps: 40}")
        for ranks, zero, limit in ((3, 1, 10), (1, 2, 20), (4, 0, 30), (2, 2, 40)):
            run = self.launch(ranks, "moving", *STEPS, *decay, "--set", f"train.max_steps={limit}", "--set",
                              f"parallel.zero={zero}")
        for name, tolerance in (("loss", 2e-6), ("grad_norm", 5e-6)):
            expected, got = straight.column(name), run.column(name)
            self.assertEqual(expected.keys(), got.keys())
            for step in expected:
                self.assertAlmostEqual(got[step] / expected[step], 1, delta=tolerance)

    def test_layouts_may_change_again_and_again(self):
        """Data-parallel, pipeline and sharding, each start another way: every sample once, and the curve of one process."""
        straight = self.launch(1, "straight", *STEPS, "--set", "train.max_steps=60")
        decay = ("--set", "learning_rate_schedule={kind: cosine, warmup_steps: 5, decay_steps: 60}")
        layouts = ((3, 1, 1), (2, 2, 1), (4, 2, 2), (1, 1, 0), (3, 3, 1), (4, 1, 2))
        for i, (ranks, pp, zero) in enumerate(layouts, 1):
            run = self.launch(ranks, "moving", *STEPS, *decay, "--set", f"train.max_steps={10 * i}", "--set", f"parallel.zero={zero}",
                              "--set", f"parallel.pp={pp}")
        for name, tolerance in (("loss", 2e-6), ("grad_norm", 5e-6)):
            expected, got = straight.column(name), run.column(name)
            self.assertEqual(expected.keys(), got.keys())
            for step in expected:
                self.assertAlmostEqual(got[step] / expected[step], 1, delta=tolerance, msg=f"{name} of step {step}")
        expected, got = (json.loads((one.directory / "checkpoints" / "latest" / "training" / "state.json").read_text())
                         for one in (straight, run))
        for key in ("step", "epoch", "position", "samples", "tokens"):
            self.assertEqual(got[key], expected[key], key)

    def test_a_finished_run_says_so(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        before = sorted(p.name for p in (self.folder / "run").rglob("*"))
        again = self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        self.assertIn("finished", again.out + again.err)
        self.assertEqual(before, sorted(p.name for p in (self.folder / "run").rglob("*")))

    def test_another_experiment_is_refused_with_the_difference_and_the_cures(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        changed = self.launch(1, "run", *STEPS, "--set", "optimizer.learning_rate=1.0e-4", check=False)
        self.assertEqual(changed.status, 2, str(changed))
        for word in ("optimizer.learning_rate", "--run-dir", "--resume", "--fresh"):
            self.assertIn(word, changed.err)
        fresh = self.launch(1, "run", *STEPS, "--set", "optimizer.learning_rate=1.0e-4", "--set", "train.max_steps=10",
                            "--fresh")
        self.assertEqual(fresh.column("learning_rate")[10] < 1e-4, True)
        moved = [p for p in self.folder.iterdir() if p.name.startswith("run.")]
        self.assertEqual(len(moved), 1, "the old run is moved aside, not deleted")
        self.assertTrue((moved[0] / "metrics.jsonl").exists())

    def test_a_refusal_ends_with_2_on_both_ranks_and_is_said_once(self):
        self.launch(2, "run", *STEPS, "--set", "train.max_steps=10")
        line = (*MPIRUN, "-n", "2", "bash", "-c", '"$@"; echo "status $?"', "-", TRIGA, "train",
                self.experiment, "--run-dir", self.folder / "run", "--set", "optimizer.learning_rate=1.0e-4")
        done = subprocess.run([*map(str, line)], cwd=self.folder, env=mpi_environment(), capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.stdout.count("status 2"), 2, str(done))

    def test_resume_from_a_path_needs_a_place_of_its_own(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        again = self.launch(1, "run", "--resume", self.folder / "run" / "checkpoints" / "latest", check=False)
        self.assertEqual(again.status, 2, str(again))
        self.assertIn("cannot start there", again.err)

    def test_resume_from_a_path_starts_there(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=20")
        other = self.launch(1, "other", *STEPS, "--set", "train.max_steps=20", "--resume",
                            self.folder / "run" / "checkpoints" / "step-00000010")
        self.assertEqual(min(other.column("loss")), 11)
        self.assertEqual(state_hash(self.folder / "run"), state_hash(other.directory))

    def test_a_run_from_a_path_is_one_of_its_own_from_the_beginning(self):
        """Killed before a checkpoint was due, it goes on by the same command, and without the other run."""
        constant = ("--set", "learning_rate_schedule={kind: constant}")
        other = self.launch(1, "other", *STEPS, *constant, "--set", "train.max_steps=20")
        origin = ("--resume", other.directory / "checkpoints" / "step-00000010")
        settings = ("--run-dir", "own/", *constant, "--set", "checkpoint.every_steps=1000000", "--set", "train.max_steps=1000000")
        for number, (words, way) in enumerate(((origin, signal.SIGKILL), (origin, signal.SIGKILL), ((), signal.SIGTERM))):
            metrics = self.folder / "own" / "metrics.jsonl"
            metrics.unlink(missing_ok=True)
            run = subprocess.Popen([*map(str, (TRIGA, "train", "tiny.yaml", *settings, *words))], cwd=self.folder, env=environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not metrics.exists() or metrics.read_text().count("\n") < 5:
                self.assertIsNone(run.poll(), f"start {number}")
                time.sleep(0.02)
            run.send_signal(way)
            self.assertEqual(run.wait(), 75 if way == signal.SIGTERM else -way)
            lines = [json.loads(line) for line in metrics.read_text().splitlines(keepends=True) if line.endswith("\n")]
            self.assertEqual(lines[0]["step"], 11)
            losses = other.column("loss")
            for line in lines[:5]:
                self.assertEqual(line["loss"], losses[line["step"]])
            if number == 0:
                shutil.move(other.directory / "checkpoints" / "step-00000010", self.folder / "moved")

    def test_a_run_from_a_path_asks_for_the_same_one(self):
        other = self.launch(1, "other", *STEPS, "--set", "train.max_steps=20")
        settings = (*STEPS, "--set", "train.max_steps=20", "--resume")
        self.launch(1, "own", *settings, other.directory / "checkpoints" / "step-00000010")
        again = self.launch(1, "own", *settings, other.directory / "checkpoints" / "step-00000010")
        self.assertIn("is finished", again.out + again.err)
        refused = self.launch(1, "own", *settings, other.directory / "checkpoints" / "step-00000020", check=False)
        self.assertEqual(refused.status, 2, str(refused))
        self.assertIn(f"begun from {other.directory}/checkpoints/step-00000010", refused.err)

    def test_a_run_from_a_path_that_dies_in_its_first_moment(self):
        """Before resolved.yaml is there: it goes on from its own copy of that checkpoint, or from none but that one."""
        other = self.launch(1, "other", *STEPS, "--set", "train.max_steps=20")
        origin = other.directory / "checkpoints" / "step-00000010"
        own = self.launch(2, "own", *STEPS, "--set", "train.max_steps=10", "--resume", origin)
        for name in ("resolved.yaml", "metrics.jsonl", "status.json"):
            (own.directory / name).unlink(missing_ok=True)
        refused = self.launch(1, "own", *STEPS, "--resume", other.directory / "checkpoints" / "step-00000020", check=False)
        self.assertEqual(refused.status, 2, str(refused))
        self.assertIn("holds checkpoints, but no resolved.yaml", refused.err)
        shutil.move(origin, self.folder / "moved")
        own = self.launch(2, "own", *STEPS, "--set", "train.max_steps=20")
        self.assertEqual(min(own.column("loss")), 11)
        shutil.rmtree(own.directory / "checkpoints")
        gone = self.launch(1, "own", *STEPS, "--set", "train.max_steps=30", check=False)
        self.assertEqual(gone.status, 5, "not from the beginning: " + str(gone))

    def test_a_run_from_a_path_with_nothing_to_train_has_a_checkpoint(self):
        other = self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        own = self.launch(2, "own", *STEPS, "--set", "train.max_steps=10", "--resume", other.directory / "checkpoints" / "latest")
        self.assertEqual(state_hash(own.directory), state_hash(other.directory))
        self.assertEqual(os.readlink(own.directory / "checkpoints" / "best"), "step-00000010", "with what its evaluation found")
        longer = self.launch(2, "own", *STEPS, "--set", "train.max_steps=12")
        self.assertEqual(min(longer.column("loss")), 11)

    def test_a_run_that_stopped_early_stays_so(self):
        """Also where it dies between its last checkpoint and the word that it is done."""
        settings = ("--set", "optimizer={kind: sgd, learning_rate: 10.0}", "--set", "learning_rate_schedule={kind: constant}", "--set",
                    "eval={every_steps: 3, patience: 2}")
        run = self.launch(1, "run", *settings)
        expected, steps = state_hash(run.directory), run.column("loss")
        self.assertLess(max(steps), 50)
        (run.directory / "status.json").unlink()
        again = self.launch(1, "run", *settings)
        self.assertEqual((state_hash(again.directory), again.column("loss")), (expected, steps))
        self.assertIn("it stopped early at step", (run.directory / "log" / "rank-0.log").read_text())
        other = self.launch(1, "other", *settings, "--resume", run.directory / "checkpoints" / "latest")
        self.assertGreater(max(other.column("loss")), max(steps), "who begins from its end wants to go on")

    def test_weights_that_it_began_with_are_needed_once(self):
        other = self.launch(1, "other", *STEPS, "--set", "train.max_steps=10")
        settings = (*STEPS, "--set", f"model.init.from={other.directory / 'checkpoints' / 'latest'}")
        self.launch(1, "run", *settings, "--set", "train.max_steps=10")
        shutil.rmtree(other.directory)
        self.launch(1, "run", *settings, "--set", "train.max_steps=20")

    def test_checkpoints_of_nobody_are_not_written_over(self):
        run = self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        (run.directory / "resolved.yaml").unlink()
        before = state_hash(run.directory)
        again = self.launch(1, "run", *STEPS, "--set", "train.max_steps=10", check=False)
        self.assertEqual(again.status, 2, str(again))
        self.assertIn("holds checkpoints, but no resolved.yaml", again.err)
        self.assertEqual(state_hash(run.directory), before)
        fresh = self.command("train", "tiny.yaml", "--run-dir", "run/", "--fresh", "--set", "train.max_steps=3")
        self.assertEqual(fresh.returncode, 0, fresh.stderr)
        (aside,) = self.folder.glob("run.*")
        self.assertEqual(state_hash(aside), before)

    def test_other_data_is_refused(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        make_text(self.folder / "held_out.txt", num_documents=23, seed=8)
        run = self.launch(1, "run", *STEPS, "--set", "train.max_steps=20")
        self.assertIn("data.validation has changed", (run.directory / "log" / "rank-0.log").read_text())
        make_text(self.folder / "text.txt", seed=9)
        other = self.launch(2, "run", *STEPS, "--set", "train.max_steps=30", check=False)
        self.assertEqual(other.status, 4, str(other))
        for word in ("data.train", "up to step 20", "--fresh", "model.init.from"):
            self.assertIn(word, other.err)

    def test_the_last_step_is_evaluated_before_it_is_saved(self):
        """Also where the periods of evaluation and of checkpoints do not meet."""
        run = self.launch(1, "run", "--set", "checkpoint.every_steps=5", "--set", "eval.every_steps=3", "--set",
                          "train.max_steps=10")
        manifest = json.loads((run.directory / "checkpoints" / "latest" / "training" / "manifest.json").read_text())
        self.assertEqual(manifest["metrics"]["validation/loss"], run.column("loss", "validation")[10])
        self.assertEqual((run.directory / "checkpoints" / "best").resolve().name, "step-00000010")

    def stop_and_go_on(self, name, *arguments, env=None):
        """Trains until a signal that comes as soon as there are metrics, and then the rest."""
        line = [str(TRIGA), "train", str(self.experiment), "--run-dir", str(self.folder / name), *map(str, arguments)]
        process = subprocess.Popen(line, cwd=self.folder, env=env or environment(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        metrics = self.folder / name / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and metrics.stat().st_size > 0):
            time.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 75)
        return self.launch(1, name, *arguments, timeout=600)

    def test_a_stop_loses_no_evaluation(self):
        settings = ("--set", "eval.every_steps=1", "--set", "train.max_steps=40", "--set", "eval.patience=40")
        straight = self.launch(1, "straight", *settings)
        stopped = self.stop_and_go_on("stopped", *settings)
        self.assertEqual(stopped.column("loss", "validation"), straight.column("loss", "validation"))
        for key in ("best_value", "best_step", "evaluations_without_improvement", "evaluated_step"):
            states = [json.loads((run.directory / "checkpoints" / "latest" / "training" / "state.json").read_text())
                      for run in (straight, stopped)]
            self.assertEqual(states[0][key], states[1][key], key)

    def test_a_stop_ends_while_data_are_prefetched(self):
        """The loader's thread still reads when everything else is over; freed memory is overwritten."""
        make_text(self.folder / "text.txt", num_documents=60000)
        settings = ("--set", "data.prefetch=1000", "--set", "train.global_batch.samples=4000", "--set",
                    "train.microbatch_size=1000", "--set", "train.max_steps=3")
        for i in range(3):
            self.stop_and_go_on(f"stopped-{i}", *settings, env=environment(MALLOC_PERTURB_=165))

    def test_a_torn_last_line_of_metrics_is_dropped(self):
        self.launch(1, "run", *STEPS, "--set", "train.max_steps=10")
        with open(self.folder / "run" / "metrics.jsonl", "a") as file:
            file.write('{"step": 11, "loss": 3.')
        run = self.launch(1, "run", *STEPS, "--set", "train.max_steps=12")
        for line in (run.directory / "metrics.jsonl").read_text().splitlines():
            json.loads(line)
        self.assertEqual(list(run.column("loss")), list(range(1, 13)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
