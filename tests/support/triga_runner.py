"""Runs the real command for tests: experiments, run directories, metrics, hashes. Standard library only."""

import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["TRIGA_BUILD"])  # the build tree, set by ctest
TRIGA = BUILD / "bin" / "triga"
WORDS = "the of and a to in is was he for it with as his on be at by had not are but from or have".split()


def environment(**changes):
    """The environment of a user: no variables of a launcher, one thread a rank so that tests share two cores."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "TRIGA_", "SLURM_"))}
    kept.update({"TRIGA_CACHE_DIR": str(BUILD / "test-cache"), "NO_COLOR": "1"})
    kept.update({k: str(v) for k, v in changes.items()})
    return kept


MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none"]


def mpi_environment(**changes):
    """The same for mpirun itself, which wants to be asked twice before it runs as root."""
    return environment(OMPI_ALLOW_RUN_AS_ROOT=1, OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, **changes)


def make_text(path, num_documents=120, seed=1):
    """Lines of words, of very unequal length: unequal token counts on every rank."""
    generator = random.Random(seed)
    lines = [" ".join(generator.choices(WORDS, k=generator.randint(1, 14))) for _ in range(num_documents)]
    path.write_text("\n".join(lines) + "\n")


EXPERIMENT = """\
name: tiny
model:
  plugin: transformer
  kind: gpt2
  config: {num_layers: 2, num_heads: 2, hidden_size: 32, context_length: 32, dropout: 0.1}
data:
  train: {kind: text, files: ["text.txt"], document: line, pack: false}
  validation: {kind: text, files: ["held_out.txt"], document: line, pack: false}
  tokenizer: {kind: bytes}
train:
  max_steps: 50
  global_batch: {samples: 14}
  microbatch_size: 2
  seed: 3
  clip_norm: 1.0
  device: cpu
optimizer: {kind: adamw, learning_rate: 3.0e-3, weight_decay: 0.1}
learning_rate_schedule: {kind: cosine, warmup_steps: 5}
eval: {every_steps: 25}
checkpoint: {every_steps: 25, keep_last: 3}
log: {every_steps: 1}
launch: {ranks_per_node: 2}
"""


class Run:
    """The outcome of one command."""

    def __init__(self, completed, directory):
        self.status, self.out, self.err = completed.returncode, completed.stdout, completed.stderr
        self.directory = pathlib.Path(directory)

    def __str__(self):
        return f"status {self.status}\n--- stdout\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"

    def status_json(self):
        return json.loads((self.directory / "status.json").read_text())

    def lines(self, split="train"):
        """Objects of metrics.jsonl of one split."""
        objects = [json.loads(line) for line in (self.directory / "metrics.jsonl").read_text().splitlines()]
        return [o for o in objects if o.get("split", "train") == split]

    def column(self, name, split="train"):
        return {o["step"]: o[name] for o in self.lines(split)}


class TrigaTest(unittest.TestCase):
    """A folder with the tiny experiment and its data, removed afterwards if the test passed."""

    maxDiff = None

    def setUp(self):
        if not TRIGA.exists():
            self.fail(f"{TRIGA} is not built")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="triga-test-"))
        make_text(self.folder / "text.txt")
        make_text(self.folder / "held_out.txt", num_documents=23, seed=2)
        self.experiment = self.folder / "tiny.yaml"
        self.experiment.write_text(EXPERIMENT)

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()

        def num_failed():
            return len(result.failures) + len(result.errors)

        before = num_failed()
        super().run(result)
        if num_failed() == before and hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)
        return result

    def command(self, *arguments, timeout=300, env=None):
        return subprocess.run([str(TRIGA), *map(str, arguments)], cwd=self.folder, env=env or environment(),
                              capture_output=True, text=True, timeout=timeout)

    def launch(self, ranks, directory, *arguments, timeout=300, check=True, env=None):
        """Trains the tiny experiment on so many ranks."""
        directory = self.folder / directory
        completed = self.command("launch", self.experiment, "-n", ranks, "--run-dir", directory, *arguments,
                                 timeout=timeout, env=env)
        run = Run(completed, directory)
        if check:
            self.assertEqual(run.status, 0, str(run))
        return run

    def check_bf16(self, fp32, state, *settings):
        """The experiment of a run of 12 steps in bf16, as two stages: losses stay near, and a run in two parts is the run, to the bit.
        `state` of a run directory: what must be the same. bf16 keeps 8 bits, so one rounding is up to 0.4 %; the loss, a mean in fp32
        of many, stays within 1 % for as few steps."""
        settings = ("--set", "train.precision=bf16", "--set", "parallel.pp=2", *settings)
        straight = self.launch(2, "bf16-straight", *settings)
        for split in ("train", "validation"):
            expected, got = fp32.column("loss", split), straight.column("loss", split)
            self.assertEqual(expected.keys(), got.keys())
            self.assertNotEqual(expected, got, "this is fp32")
            for step, loss in expected.items():
                self.assertAlmostEqual(got[step] / loss, 1, delta=0.01, msg=f"bf16 {split} {step}")
        self.launch(2, "bf16-parts", *settings, "--set", "train.max_steps=6")
        parts = self.launch(2, "bf16-parts", *settings)
        self.assertEqual(state(parts.directory), state(straight.directory), "bf16 in two parts")
        return straight


def ranks_of(directory):
    """Process ids of the ranks that train in this directory, by rank."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if len(command) < 2 or command[1] != b"train" or str(directory).encode() not in command:
                continue
            variables = (entry / "environ").read_bytes()
        except OSError:
            continue
        match = re.search(rb"OMPI_COMM_WORLD_RANK=(\d+)", variables)
        found[int(match.group(1)) if match else 0] = int(entry.name)
    return found


def read_safetensors(path):
    """name -> (dtype, shape, bytes), read without any library."""
    content = pathlib.Path(path).read_bytes()
    (header_size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + header_size])
    data = content[8 + header_size:]
    return {name: (entry["dtype"], tuple(entry["shape"]), data[slice(*entry["data_offsets"])])
            for name, entry in header.items() if name != "__metadata__"}


def read_tensors(folder, stem):
    """Of `stem`.safetensors in a folder, or of all its shards."""
    paths = sorted(pathlib.Path(folder).glob(f"{stem}.safetensors")) or sorted(pathlib.Path(folder).glob(f"{stem}-*.safetensors"))
    if not paths:
        raise FileNotFoundError(f"{folder}/{stem}.safetensors")
    return {name: tensor for path in paths for name, tensor in read_safetensors(path).items()}


def state_hash(run_directory, checkpoint="latest"):
    """Hash of all weights and optimizer state of a checkpoint, by name."""
    folder = pathlib.Path(run_directory) / "checkpoints" / checkpoint
    digest = hashlib.sha256()
    for place, stem in ((folder, "model"), (folder / "training", "optimizer")):
        for name, (dtype, shape, data) in sorted(read_tensors(place, stem).items()):
            digest.update(f"{name} {dtype} {shape}\n".encode())
            digest.update(data)
    return digest.hexdigest()
