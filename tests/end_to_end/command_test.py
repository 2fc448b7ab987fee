"""What a user sees of the command: help, statuses, limits, early stopping, evaluation, generation, starting from weights."""

import json
import math
import os
import shutil
import subprocess
import time
import unittest

from triga_runner import (BUILD, EXPERIMENT, MPIRUN, TRIGA, TrigaTest, environment, mpi_environment, read_safetensors,
                          state_hash)

NOTHING_MOVES = ("--set", "optimizer.groups=[{match: '.', frozen: true}]")
SHORT = ("--set", "train.max_steps=6", "--set", "eval.every_steps=3")


class CommandTest(TrigaTest):
    def test_version_names_commit_libtorch_and_mpi(self):
        out = self.command("--version").stdout
        self.assertRegex(out, r"triga \d+\.\d+\.\d+ \(commit ([0-9a-f]+(-dirty)?|unknown)\)")
        self.assertIn("LibTorch 2.11", out)
        self.assertRegex(out, r"MPI Open MPI v?4\.")

    def test_help_of_every_command_lists_its_options(self):
        top = self.command("--help")
        self.assertEqual(top.returncode, 0)
        self.assertIn("75 stopped on a signal", top.stdout)
        for name in ("train", "launch", "submit", "check", "evaluate", "generate", "list", "describe", "checkpoint", "data"):
            self.assertIn(name, top.stdout)
            own = self.command(name, "--help")
            self.assertEqual(own.returncode, 0, name)
            self.assertNotIn("75 stopped on a signal", own.stdout, f"{name} ends with the words of triga itself")
            self.assertRegex(own.stdout, f"Examples?:\n  triga {name}", name)
        self.assertNotIn("__open-plugin", top.stdout)

    def test_bad_command_lines_end_with_2_and_say_what_to_do(self):
        for line in ((), ("fly",), ("train",), ("train", "tiny.yaml", "--wings"),
                     ("train", "tiny.yaml", "--fresh", "--resume", "auto"), ("launch", "tiny.yaml", "-n", "0")):
            done = self.command(*line)
            self.assertEqual(done.returncode, 2, f"{line}: {done}")
            self.assertIn("triga: error:", done.stderr)
        self.assertIn("-n: 0 ranks; at least 1", done.stderr)
        self.assertIn("no command 'chek'; did you mean 'check'? There are: train, launch,", self.refused("chek", "tiny.yaml"))
        self.assertIn("did you mean 'checkpoint inspect'?", self.refused("checkpoint", "inspct", "runs/tiny"))
        self.assertIn("'-1' is no number of steps", self.refused("train", "tiny.yaml", "--profile", "-1"))

    def refused(self, *line, env=None):
        """What a command that must end with status 2 says."""
        done = self.command(*line, env=env)
        self.assertEqual(done.returncode, 2, f"{line}: {done}")
        return done.stderr

    def test_a_binding_of_mpirun_that_nobody_asked_for_is_undone(self):
        for binding, threads in (((), len(os.sched_getaffinity(0))), (("--bind-to", "core"), 1)):
            line = ["mpirun", "-n", "1", *binding, TRIGA, "train", self.experiment, "--fresh", "--set", "train.max_steps=1"]
            done = subprocess.run([str(word) for word in line], cwd=self.folder, env=mpi_environment(), capture_output=True, text=True,
                                  timeout=100)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout + done.stderr, rf"1 rank on CPU, {threads} threads? each")

    def test_a_folder_whose_name_is_no_text_is_refused_before_a_run_that_could_not_go_on(self):
        folder = os.fsencode(self.folder) + b"/caf\xe9"  # Latin-1
        os.mkdir(folder)
        shutil.copy(self.folder / "tiny.yaml", folder + b"/tiny.yaml")
        for name in ("check", "train"):
            done = subprocess.run([TRIGA, name, "tiny.yaml"], cwd=folder, env=environment(), capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr.decode(), r"tiny\.yaml:\d+: data\.train\.files(\[0\])?: is '.*/caf\ufffd/.*' in full, which is not UTF-8")

    def test_a_job_that_is_given_too_little_time_to_save_is_told(self):
        done = self.command("train", "tiny.yaml", "--set", "train.max_steps=25", env=environment(TRIGA_GRACE_SECONDS="1e-4"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("has 0.0001 s from a signal to its end, and may need ", done.stdout + done.stderr)
        self.assertIn("launch.save_before_seconds: 10 ", done.stdout + done.stderr)
        done = self.command("train", "tiny.yaml", "--fresh", "--set", "train.max_steps=25", env=environment(TRIGA_KILL_WAIT_SECONDS="1e-4"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("has 0.0001 s until its ranks are killed (Slurm: KillWait), and may need ", done.stdout + done.stderr)
        self.assertIn("TRIGA_GRACE_SECONDS: '2m' is not a number of seconds",
                      self.refused("train", "tiny.yaml", env=environment(TRIGA_GRACE_SECONDS="2m")))

    def test_closed_streams_and_readers_that_leave_end_no_run(self):
        for number, (closed, step) in enumerate(((">&- <&-", 20), ("<&- 2>&-", 20), (">&- <&- 2>&-", 20))):
            line = f"'{TRIGA}' launch tiny.yaml -n 2 --run-dir closed{number} --set train.max_steps={step} {closed}"
            done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=environment(), timeout=100)
            self.assertEqual(done.returncode, 0, closed)
            status = json.loads((self.folder / f"closed{number}" / "status.json").read_text())
            self.assertEqual((status["state"], status["step"]), ("finished", step))

    def test_output_that_cannot_be_written_is_no_success(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([TRIGA, "submit", "tiny.yaml", "--print"], cwd=self.folder, env=environment(), stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("what it prints cannot be written", done.stderr)

    def test_launch_needs_mpirun_and_no_launcher_around_it(self):
        self.assertIn("mpirun is not in PATH", self.refused("launch", "tiny.yaml", env=environment(PATH="/nowhere")))
        inside = environment(OMPI_COMM_WORLD_SIZE=2, OMPI_COMM_WORLD_RANK=0)
        self.assertIn("runs inside a rank of Open MPI", self.refused("launch", "tiny.yaml", env=inside))

    def test_check_refuses_a_grid_that_launch_would_refuse(self):
        for name in ("check", "launch"):
            self.assertIn("dp * pp = 3 * 1 = 3, but 2 ranks run", self.refused(name, "tiny.yaml", "--set", "parallel.dp=3"))
        self.assertEqual(self.command("check", "tiny.yaml", "--set", "parallel.dp=3", "-n", "3").returncode, 0)

    def test_a_device_that_is_not_there_is_refused(self):
        none = environment(CUDA_VISIBLE_DEVICES="")
        self.assertRegex(self.refused("train", "tiny.yaml", "--set", "train.device=cuda", env=none), r"train\.device: cuda: ")

    def test_launch_shows_progress_as_asked(self):
        for ranks in (1, 2):
            for progress, is_bar in (("bar", True), ("lines", False), ("auto", False)):
                run = self.launch(ranks, f"{progress}{ranks}", *SHORT, "--progress", progress)
                self.assertEqual("━" in run.out + run.err, is_bar, f"{progress} on {ranks}: {run}")

    def test_ranks_with_different_experiments_are_refused(self):
        one = [TRIGA, "train", "tiny.yaml", "--run-dir", self.folder / "run"]
        line = [*MPIRUN, "-n", "1", *one, ":", "-n", "1", *one, "--set", "train.seed=4"]
        done = subprocess.run([*map(str, line)], cwd=self.folder, env=mpi_environment(), capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 2, str(done))
        self.assertIn("has another experiment", done.stderr)
        self.assertFalse((self.folder / "run" / "metrics.jsonl").exists())

    def test_what_a_trained_model_cannot_do_is_refused(self):
        run = self.launch(1, "run", *SHORT)
        self.assertIn("the experiment has no data.test", self.refused("evaluate", run.directory, "--split", "test"))
        self.assertIn("--input prompt: expected KEY=VALUE", self.refused("generate", run.directory, "--input", "prompt"))
        (self.folder / "there").mkdir()
        self.assertIn("exists already; name a new folder",
                      self.refused("checkpoint", "export", run.directory, self.folder / "there"))
        self.assertIn("has no kind 'gpt9'", self.refused("describe", "transformer", "gpt9"))

    def test_a_model_without_a_sampler_generates_nothing(self):
        scaffold = environment(TRIGA_PLUGIN_PATH=BUILD / "tests" / "plugins" / "scaffold")
        self.experiment.write_text(EXPERIMENT.replace("transformer", "my_plugin").replace("gpt2", "bigram").replace(
            "  config: {num_layers: 2, num_heads: 2, hidden_size: 32, context_length: 32, dropout: 0.1}\n", ""))
        run = self.launch(1, "run", *SHORT, env=scaffold)
        self.assertIn("does not generate anything", self.refused("generate", run.directory, env=scaffold))

    def test_a_wrong_experiment_is_refused_in_under_a_second(self):
        self.experiment.write_text(self.experiment.read_text().replace("max_steps: 50", "max_stepz: 50"))
        self.command("check", "tiny.yaml")  # the first load of a plugin is tried in a child process, once
        started = time.monotonic()
        done = self.command("check", "tiny.yaml")
        took = time.monotonic() - started
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"tiny\.yaml:\d+: train\.max_stepz.*max_steps")
        self.assertLess(took, 1.0)
        for name in ("train", "launch"):
            self.assertEqual(self.command(name, "tiny.yaml").returncode, 2)
        self.assertFalse((self.folder / "runs").exists(), "a refused run leaves nothing behind")

    def test_statuses_of_plugin_and_data(self):
        self.assertEqual(self.command("check", "tiny.yaml", "--set", "model.plugin=nonesuch").returncode, 3)
        (self.folder / "text.txt").unlink()
        done = self.command("check", "tiny.yaml")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertRegex(done.stderr, r"error: tiny\.yaml:7: data\.train: /.*/text\.txt: no such file")

    def test_weights_to_start_from_that_are_not_there_are_refused_with_their_line(self):
        self.experiment.write_text(EXPERIMENT.replace("  kind: gpt2\n", "  kind: gpt2\n  init: {from: nowhere}\n"))
        done = self.command("check", "tiny.yaml")
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertRegex(done.stderr, r"error: tiny\.yaml:5: model\.init: cannot list /.*/nowhere")

    def test_check_counts_parameters_and_samples(self):
        done = self.command("check", "tiny.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        d, v, t = 32, 257, 32
        expected = v * d + t * d + 2 * (12 * d * d + 13 * d) + 2 * d  # Radford et al. 2019, tied head
        self.assertIn(str(expected), done.stdout.replace(",", ""))
        self.assertIn("120 training samples", done.stdout)

    def test_limits_by_epochs_and_minutes(self):
        run = self.launch(1, "epochs", "--set", "train.max_steps=null", "--set", "train.max_epochs=2")
        steps = 2 * math.ceil(120 / 14)
        self.assertEqual(max(run.column("loss")), steps)
        state = json.loads((run.directory / "checkpoints/latest/training/state.json").read_text())
        self.assertEqual(state["samples"], 240)
        started = time.monotonic()
        run = self.launch(2, "minutes", "--set", "train.max_steps=null", "--set", "train.max_minutes=0.03", "--set",
                          "learning_rate_schedule.decay_steps=100", "--set", "eval.every_steps=0")
        self.assertLess(time.monotonic() - started, 30)
        self.assertGreater(len(run.lines()), 3)

    def test_early_stopping_ends_when_nothing_improves(self):
        run = self.launch(1, "patient", "--set", "eval.every_steps=2", "--set", "eval.patience=3", "--set",
                          "optimizer={kind: sgd, learning_rate: 1.0e-30}")
        self.assertEqual(max(run.column("loss")), 8, "the first evaluation and three without improvement")
        self.assertIn("stops early", run.out + run.err)
        self.assertEqual(run.status_json()["state"], "finished")

    def test_evaluate_gives_what_training_measured(self):
        run = self.launch(2, "run", *SHORT)
        done = self.command("evaluate", run.directory, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertAlmostEqual(result["loss"], run.column("loss", "validation")[6], delta=1e-6)
        self.assertEqual(result["samples"], 23)
        (self.folder / "text.txt").unlink()
        done = self.command("evaluate", run.directory, "--json")
        self.assertEqual(done.returncode, 0, "the other splits are not read: " + done.stderr)
        self.assertEqual(json.loads(done.stdout), result)
        self.assertEqual(self.command("evaluate", run.directory, "--split", "train").returncode, 4)

    def test_generate_is_a_function_of_its_seed(self):
        run = self.launch(1, "run", *SHORT)
        line = ("generate", run.directory, "--input", "prompt=the ", "--input", "max_new_tokens=30", "--input")
        first, again, other = (self.command(*line, f"seed={seed}") for seed in (1, 1, 2))
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertTrue(first.stdout.startswith("the "))
        self.assertEqual(first.stdout, again.stdout)
        self.assertNotEqual(first.stdout, other.stdout)
        self.assertFalse((self.folder / "samples").exists(), "text leaves no folder behind")

    def test_generates_once_for_each_line_of_inputs(self):
        run = self.launch(1, "run", *SHORT)
        lines = self.folder / "in.jsonl"
        lines.write_text('{"prompt": "the ", "max_new_tokens": 5, "seed": 1}\n\n{"prompt": "a: 1", "max_new_tokens": 5}\n')
        done = self.command("generate", run.directory, "--inputs", lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("the "))
        self.assertIn("a: 1", done.stdout)
        lines.write_text('{"prompt": "the "}\n[1]\n')
        self.assertIn(f"{lines}:2: is no JSON object", self.refused("generate", run.directory, "--inputs", lines))
        lines.write_text('{"prompt": "the "}\n{"seeed": 1}\n')
        self.assertIn(f"{lines}:2: seeed: unknown key; did you mean seed?",
                      self.refused("generate", run.directory, "--inputs", lines))

    def test_starts_from_the_weights_of_a_directory(self):
        run = self.launch(1, "run", *SHORT)
        exported = self.folder / "exported"
        self.assertEqual(self.command("checkpoint", "export", run.directory, exported).returncode, 0)
        self.assertFalse((exported / "training").exists())
        start = ("--set", f"model.init={{from: {exported}}}", "--set", "train.max_steps=1", *NOTHING_MOVES)
        again = self.launch(1, "again", *start)
        before, after = (read_safetensors(d / "model.safetensors")
                         for d in (exported, again.directory / "checkpoints/latest"))
        self.assertEqual(before, after)

    def test_frozen_parameters_do_not_move(self):
        run = self.launch(1, "frozen", *SHORT, "--set", "optimizer.groups=[{match: 'h\\.0\\.', frozen: true}]")
        start = self.launch(1, "start", "--set", "train.max_steps=1", *NOTHING_MOVES)
        moved, still = (read_safetensors(r.directory / "checkpoints/latest/model.safetensors") for r in (run, start))
        for name in still:
            self.assertEqual(moved[name] == still[name], ".h.0." in name, name)

    def test_checkpoint_check_finds_a_flipped_byte(self):
        run = self.launch(1, "run", *SHORT)
        latest = run.directory / "checkpoints" / "latest"
        self.assertEqual(self.command("checkpoint", "check", latest).returncode, 0)
        inspected = self.command("checkpoint", "inspect", latest)
        self.assertIn("transformer.wte.weight", inspected.stdout)
        self.assertIn("step 6", inspected.stdout)
        path = latest / "model.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        done = self.command("checkpoint", "check", latest)
        self.assertEqual(done.returncode, 5)
        self.assertIn("model.safetensors", done.stdout)

    def test_checkpoint_commands_of_a_run_look_at_its_checkpoints(self):
        run = self.launch(1, "run", *SHORT, "--set", "checkpoint.every_steps=3")
        done = self.command("checkpoint", "check", run.directory)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"step-00000006: whole; .*\n.*step-00000003: whole; ")
        of_run, of_newest = (self.command("checkpoint", "inspect", run.directory / where)
                             for where in ("", "checkpoints/step-00000006"))
        self.assertEqual(of_run.stdout, of_newest.stdout)
        path = run.directory / "checkpoints/step-00000003/model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        done = self.command("checkpoint", "check", run.directory)
        self.assertEqual(done.returncode, 5, done.stdout)
        self.assertRegex(done.stdout, r"step-00000006: whole; .*\n.*step-00000003: wrong: model\.safetensors")
        for folder in (run.directory / "checkpoints").iterdir():
            folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
        done = self.command("checkpoint", "check", run.directory)
        self.assertEqual(done.returncode, 5)
        self.assertIn("this run has no checkpoint yet", done.stderr)

    def test_export_touches_nothing_else(self):
        run = self.launch(1, "run", *SHORT)
        (self.folder / "out.tmp").mkdir()
        (self.folder / "out.tmp" / "mine").write_text("kept")
        before = {path.name for path in self.folder.iterdir()}
        for to in ("out", "deep/er/out", "slash/"):
            done = self.command("checkpoint", "export", run.directory, to)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue((self.folder / to / "model.safetensors").exists())
            self.assertFalse((self.folder / to / "training").exists())
        self.assertEqual({path.name for path in self.folder.iterdir()}, before | {"out", "deep", "slash"})
        self.assertEqual((self.folder / "out.tmp" / "mine").read_text(), "kept")
        done = self.command("checkpoint", "export", run.directory, "text.txt/out")
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("cannot write text.txt/out: Not a directory", done.stderr)

    def test_resolved_yaml_alone_reproduces_the_run(self):
        run = self.launch(1, "run", *SHORT)
        shutil.copy(run.directory / "resolved.yaml", self.folder / "copy.yaml")
        self.experiment = self.folder / "copy.yaml"
        again = self.launch(1, "again")
        self.assertEqual(state_hash(run.directory), state_hash(again.directory))

    def test_list_and_describe_show_what_there_is(self):
        listed = self.command("list")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        for kind in ("gpt2", "text", "bytes", "adamw", "cosine"):
            self.assertIn(kind, listed.stdout)
        described = self.command("describe", "transformer", "gpt2").stdout
        self.assertRegex(described, r"\n  num_layers: 12\n      integer, at least 1[^\n]*\. \w")
        self.assertIn("\n  cell: lstm\n      one of `rnn_tanh`, `rnn_relu`, `gru`, `lstm`. ",
                      self.command("describe", "rnn", "rnn_classifier").stdout)
        self.assertIn("\n  files (required)\n      list of text. ", self.command("describe", "core", "text").stdout)
        schema = json.loads(self.command("describe", "--json-schema").stdout)
        self.assertIn("train", schema["properties"])
        one = json.loads(self.command("describe", "transformer", "gpt2", "--json-schema").stdout)
        several = json.loads(self.command("describe", "transformer", "--json-schema").stdout)
        self.assertEqual(several["$defs"]["architecture gpt2"], one)
        self.assertIn("architecture bert_mlm", several["$defs"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
