"""The experiments that are shipped, in a copy, on small made data of the catalogue's names and shapes, which come as they do to a user: by
`triga data get`, here from a mirror folder."""

import gzip
import hashlib
import math
import pathlib
import random
import re
import shutil
import struct
import urllib.parse

import yaml
from triga_runner import WORDS, TrigaTest, environment

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "experiments"
CATALOGUE = SHIPPED / "data_catalogue.yaml"


def sentences(count, seed):
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(2, 20))) for _ in range(count)]


def labelled(count, seed):
    return "".join(f"{text}\t{i % 2}\n" for i, text in enumerate(sentences(count, seed))).encode()


def idx(shape, content):
    return gzip.compress(struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape) + content)


def series(num_rows, num_columns):
    rows = [",".join(["date", *(f"c{k}" for k in range(num_columns))])]
    rows += [",".join([f"hour {i}", *(f"{k + math.sin(i / (4 + k)):.3f}" for k in range(num_columns))]) for i in range(num_rows)]
    return ("\n".join(rows) + "\n").encode()


def digits(side):
    return {"t10k-images-idx3-ubyte.gz": idx((60, side, side), random.Random(5).randbytes(60 * side * side)),
            "t10k-labels-idx1-ubyte.gz": idx((60,), bytes(i % 10 for i in range(60)))}


def made(name):
    """What stands for the files of a data set: name -> content."""
    if name == "tinyshakespeare":
        return {"input.txt": "\n".join(sentences(400, 1)).encode()}
    if name == "sst2":
        return {"train.tsv": labelled(80, 2), "dev.tsv": labelled(20, 3)}
    if name == "etth1":
        return {"ETTh1.csv": series(17420, 7)}
    if name == "mnist_test":
        return digits(28)
    raise AssertionError(f"an experiment reads the data set {name}: this test has to make such data")


class ShippedTree(TrigaTest):
    """A folder with a copy of the shipped experiments, a mirror of made data, and the environment that looks there."""

    def setUp(self):
        super().setUp()
        # A copy of the tree as far as experiments look: quickstart reads texts beside it.
        self.experiments = self.folder / "tree" / "experiments"
        shutil.copytree(SHIPPED, self.experiments)
        texts = self.folder / "tree" / ".deps" / "text"
        (texts / "deep").mkdir(parents=True)
        (texts / "deep" / "a.py").write_text("\n".join(sentences(300, 4)))
        self.env = environment(TRIGA_DATA_DIR=self.folder / "data", TRIGA_DATA_MIRROR=self.folder / "mirror",
                               TRIGA_CACHE_DIR=self.folder / "cache")

    def check(self, path, *settings, env=None):
        return self.command("check", path, *(word for setting in settings for word in ("--set", setting)), env=env or self.env)

    def provide(self, path, **changed):
        """Gets the data sets that the head of an experiment tells to get, made ones, from a mirror, with the shipped catalogue but
        for sizes and sums."""
        catalogue = yaml.safe_load(CATALOGUE.read_text())
        for name in re.findall(r"^#   triga data get (\w+)$", path.read_text(), flags=re.M):
            data_set, contents = catalogue["data_sets"][name], changed.get(name) or made(name)
            address = urllib.parse.urlparse(data_set["base_url"])
            self.assertEqual({file.get("as", file["path"]) for file in data_set["files"]}, contents.keys())
            for file in data_set["files"]:
                content = contents[file.get("as", file["path"])]
                file.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
                place = self.folder / "mirror" / address.netloc / address.path.strip("/") / file["path"]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            (self.folder / "catalogue.yaml").write_text(yaml.safe_dump(catalogue))
            shutil.rmtree(self.folder / "data" / name, ignore_errors=True)
            done = self.command("data", "--catalogue", "catalogue.yaml", "get", name, env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)

    def train_two_steps(self, path, *arguments):
        """Two steps of eight samples with an evaluation and, where it draws samples, samples; two ranks if it has so many."""
        content = yaml.safe_load(path.read_text())
        settings = {"train.max_steps": 2, "train.max_epochs": "null", "train.global_batch.samples": 8, "train.microbatch_size": 2,
                    "train.device": "cpu", "eval.every_steps": 2, "checkpoint.every_steps": 2, "log.every_steps": 1}
        if "samples" in content["log"]:
            settings["log.samples.every_steps"] = 2
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        run = self.folder / "runs" / path.stem
        return run, self.command("launch", path, "--run-dir", run, *words, *arguments, env=self.env)
