"""How benchmarks are run: the two sides in turn, several rounds, the median of the ratios and their spread."""

import json
import os
import pathlib
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TRIGA_BUILD", ROOT / "build" / "dev"))
TRIGA = BUILD / "bin" / "triga"
PYTHON = os.environ.get("TRIGA_PYTHON", str(ROOT / ".deps" / "venv" / "bin" / "python"))
PYTORCH = ROOT / "tests" / "bench" / "pytorch"


class Rows(list):
    """Results of one benchmark: a dictionary a line of its table."""

    def add(self, name, unit, triga, other, at_most=None, aim=None, at_least=False, other_name="PyTorch", within=None):
        """`triga`, `other`: samples of both sides, taken in turn; the ratio is that of each pair. `within`: how far it may be from 1."""
        ratios = sorted(t / o for t, o in zip(triga, other))
        row = {"name": name, "unit": unit, "triga": statistics.median(triga), "other": statistics.median(other),
               "other_name": other_name, "ratio": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1],
               "rounds": len(ratios), "at_most": at_most, "aim": aim, "at_least": at_least}
        row["met"] = None if at_most is None else (row["ratio"] >= at_most if at_least else row["ratio"] <= at_most)
        if within is not None:
            row["at_most"], row["met"] = 1 + within, abs(row["ratio"] - 1) <= within
        self.append(row)
        print(f"  {name}: {row['triga']:.4g} {unit} against {row['other']:.4g} ({other_name}): ratio {row['ratio']:.3f} "
              f"({ratios[0]:.3f} .. {ratios[-1]:.3f}, {len(ratios)} rounds)"
              + ("" if row["met"] is None else f", bar {row['at_most']:g}: {'met' if row['met'] else 'NOT met'}"), flush=True)
        return row


def environment(**changes):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "TRIGA_", "SLURM_", "OMP_"))}
    kept.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", NO_COLOR="1")
    kept.update({k: str(v) for k, v in changes.items()})
    return kept


def run(line, cwd=None, timeout=900, **changes):
    """The output of a command; its failure ends the benchmark with what it said."""
    done = subprocess.run([str(word) for word in line], cwd=cwd, env=environment(**changes), capture_output=True, text=True,
                          timeout=timeout)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, line))}\nended with status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def json_lines(output):
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def interleave(rounds, **sides):
    """Calls each side once a round, in an order that alternates; name -> list of what it returned."""
    samples = {name: [] for name in sides}
    for i in range(rounds):
        for name in (list(sides) if i % 2 == 0 else reversed(list(sides))):
            samples[name].append(sides[name]())
    return samples


def extra_seconds(folder, windows):
    """How much longer the steps of each window but the first took than the median of those in none; a save counts in the step after
    it. `folder`: of a run that wrote a line of metrics a step."""
    ends = {line["step"]: line["train_seconds"] for line in json_lines((folder / "metrics.jsonl").read_text())}
    seconds = {step: ends[step] - ends[step - 1] for step in ends if step - 1 in ends}
    windows = [window for window in windows if window[-1] in seconds]
    busy = {step for window in windows for step in window}
    usual = statistics.median(taken for step, taken in seconds.items() if step not in busy and step > 5)
    return [sum(seconds[step] for step in window) - len(window) * usual for window in windows[1:]]


def make_text(folder):
    """Text that every machine with the test environment has: the Python sources of torch.nn."""
    path = pathlib.Path(folder) / "text.txt"
    sources = sorted((pathlib.Path(PYTHON).parents[1] / "lib").glob("python3*/site-packages/torch/nn/**/*.py"))
    if not sources:
        sys.exit(f"no PyTorch beside {PYTHON}")
    path.write_bytes(b"\n".join(source.read_bytes() for source in sources))
    return path


class Workplace:
    """A folder with the text, for experiments and runs."""

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="triga-bench-")
        self.folder = pathlib.Path(self.temporary.name)
        self.text = make_text(self.folder)
        self.losses = {"triga": [], "pytorch": []}
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def experiment(self, model, batch, steps, global_batch=None, extra="", kind="plugin: transformer, kind: gpt2"):
        """Writes an experiment of a language model."""
        path = self.folder / "experiment.yaml"
        options = ", ".join(f"{key}: {value}" for key, value in model.items())
        path.write_text(f"""\
name: bench
model: {{{kind}, config: {{{options}}}}}
data: {{train: {{kind: text, files: [text.txt]}}, tokenizer: {{kind: bytes}}}}
train: {{max_steps: {steps}, global_batch: {{samples: {global_batch or batch}}}, microbatch_size: {batch}, seed: 1}}
optimizer: {{kind: adamw, learning_rate: 1.0e-3, weight_decay: 0.1}}
checkpoint: {{every_steps: 0, keep_last: 1}}
eval: {{every_steps: 0}}
log: {{every_steps: 10}}
{extra}
""")
        return path

    def images_experiment(self, model, batch, steps):
        """Writes an experiment of a diffusion model on images of noise, and the images."""
        count, size = 512, model["sample_size"]
        (self.folder / "images.idx").write_bytes(struct.pack(">IIII", 0x803, count, size, size) +
                                                 random.Random(1).randbytes(count * size * size))
        path = self.folder / "images.yaml"
        path.write_text(f"""\
name: bench
model: {{plugin: diffusion, kind: ddpm, config: {json.dumps(model)}}}
data: {{train: {{kind: idx_images, images: images.idx}}}}
train: {{max_steps: {steps}, global_batch: {{samples: {batch}}}, microbatch_size: {batch}, seed: 1}}
optimizer: {{kind: adamw, learning_rate: 1.0e-3, weight_decay: 0.01}}
checkpoint: {{every_steps: 0, keep_last: 1}}
eval: {{every_steps: 0}}
log: {{every_steps: 10}}
""")
        return path

    def check_losses(self, name, tolerance=0.15):
        """Both sides learned the same: the mean losses at the end of their runs, of other weights and samples, are that near."""
        ours, theirs = (statistics.mean(losses) for losses in self.losses.values())
        self.losses = {side: [] for side in self.losses}
        if abs(ours - theirs) > tolerance * theirs:
            sys.exit(f"{name}: a loss of {ours:.3f} here and of {theirs:.3f} in PyTorch: not the same work")

    def sources(self, num_bytes):
        """A list of text files that come to so many bytes: sources of PyTorch, which every machine with the test environment has."""
        listed, total = [], 0
        for source in sorted((pathlib.Path(PYTHON).parents[1] / "lib").glob("python3*/site-packages/torch/**/*.py")):
            if total < num_bytes:
                listed.append(str(source))
                total += source.stat().st_size
        if total < num_bytes:
            sys.exit(f"the sources of PyTorch beside {PYTHON} are {total} bytes, not {num_bytes}")
        return self.list_of("sources", listed)

    def words(self, num_bytes):
        """The same of one file of words that are made of syllables: far more different ones than any language has in as much text."""
        generator, words, total = random.Random(1), [], 0
        syllables = [first + rest for first in "bcdfghjklmnprstvwz" for rest in ("a", "e", "i", "o", "u", "an", "er", "ing")]
        while total < num_bytes:
            words.append("".join(generator.choices(syllables, k=generator.choice((1, 1, 2, 2, 2, 3, 3, 4)))))
            total += len(words[-1]) + 1
        path = self.folder / "words.txt"
        path.write_text(" ".join(words))
        return self.list_of("words", [str(path)])

    def list_of(self, name, files):
        path = self.folder / f"{name}.list"
        path.write_text("\n".join(files) + "\n")
        return path

    def triga_seconds(self, experiment, ranks, threads, warmup, settings=()):
        """Seconds a step of `triga train`, all of it: loader, step, metrics; without the steps of the warm-up."""
        line = [TRIGA, "launch" if ranks > 1 else "train", experiment, "--fresh", "--run-dir", self.folder / "run"]
        if ranks > 1:
            line += ["-n", ranks]
        for setting in settings:
            line += ["--set", setting]
        if ranks == 1:
            line = ["taskset", "-c", ",".join(map(str, range(threads))), *line]
        run(line, cwd=self.folder)
        lines = json_lines((self.folder / "run" / "metrics.jsonl").read_text())
        first = next(l for l in lines if l["step"] >= warmup)
        self.losses["triga"].append(statistics.mean(line["loss"] for line in lines[-5:]))
        return (lines[-1]["train_seconds"] - first["train_seconds"]) / (lines[-1]["step"] - first["step"])

    def save_seconds(self, experiment, settings):
        """What each save but the first took from training: the steps from its snapshot until it is there, against the median of
        the others; and the files of the last checkpoint."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        run([TRIGA, "train", experiment, "--run-dir", folder, *(word for setting in settings for word in ("--set", setting))],
            cwd=self.folder)
        saves = re.findall(r"step (\d+) is saved, (\d+) steps later", (folder / "log" / "rank-0.log").read_text())
        windows = [range(int(step) + 1, int(step) + max(1, int(later)) + 1) for step, later in saves]
        extra = extra_seconds(folder, windows)
        return extra, (folder / "checkpoints" / "latest").resolve()

    def seconds_beside(self, experiment, settings, line, every):
        """What a command that runs beside the steps, again `every` steps after it ended, took from them each time but the first."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        settings = [word for setting in settings for word in ("--set", setting)]
        process = subprocess.Popen([str(word) for word in (TRIGA, "train", experiment, "--run-dir", folder, *settings)],
                                   cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        metrics, windows, due = folder / "metrics.jsonl", [], every

        def step_under_way():
            return metrics.read_bytes().count(b"\n") + 1 if metrics.exists() else 1

        try:
            while process.poll() is None:
                if (first := step_under_way()) > due:
                    run(line)
                    windows.append(range(first, step_under_way() + 1))
                    due = windows[-1][-1] + every
                time.sleep(0.002)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            sys.exit(f"triga train beside {' '.join(map(str, line))} ended with status {process.returncode}")
        return extra_seconds(folder, windows)

    def activation_megabytes(self, experiment, settings):
        """What lives at the peak of the first step beside what the start had taken."""
        line = [TRIGA, "train", experiment, "--fresh", "--run-dir", self.folder / "run"]
        run([*line, *(word for setting in settings for word in ("--set", setting))], cwd=self.folder)
        log = (self.folder / "run" / "log" / "rank-0.log").read_text()
        peak = float(re.search(r"after the first step: .*, ([\d.]+) MB at its peak", log)[1])
        return peak - float(re.search(r"([\d.]+) MB taken", log)[1])

    def seconds_to_first_line(self, line):
        """From the start of a command to the first line of metrics.jsonl; then the command is told to stop."""
        metrics = self.folder / "run" / "metrics.jsonl"
        metrics.unlink(missing_ok=True)
        start = time.time()
        process = subprocess.Popen([str(word) for word in line], cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        while not (metrics.exists() and metrics.stat().st_size > 0):
            if process.poll() is not None or time.time() > start + 60:
                sys.exit(f"{' '.join(map(str, line))}: no step was made")
            time.sleep(0.002)
        seconds = time.time() - start
        process.terminate()
        process.wait()
        return seconds

    def planned_seconds(self, experiment, ranks, settings=()):
        """Seconds a step that `triga plan` foresees, measured with the threads that a rank of the run has."""
        line = [TRIGA, "plan", experiment, "-n", ranks, "--json"]
        for setting in settings:
            line += ["--set", setting]
        if ranks == 1:
            line = ["taskset", "-c", 0, *line]
        return json_lines(run(line, cwd=self.folder))[0]["step_seconds"]

    def pytorch_seconds(self, ranks, threads, script="train.py", **options):
        """Seconds a step of a script of pytorch/."""
        line = [PYTORCH / script, "--text", self.text, "--threads", threads]
        for key, value in options.items():
            line += [f"--{key}", value]
        if ranks == 1:
            line = ["taskset", "-c", ",".join(map(str, range(threads))), PYTHON, *line]
        else:
            line = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", ranks, *line]
        result = json_lines(run(line, OMP_NUM_THREADS=threads))[0]
        self.losses["pytorch"].append(result["loss"])
        return result["seconds"]
