#!/usr/bin/env python3
"""What the shipped experiments reach on real data, beside figures of others: ./dev quality [NAME]... [--seeds N] [--quick] [--document].

Each experiment is trained as it is, for several seeds, and its best checkpoint is evaluated. Results go to build/quality.json,
which keeps those of earlier calls; --document writes the table of docs/results.md. With --quick each runs for one seed, those of more
than two minutes shorter, and what it reaches must pass a bar of its own: that is what the tests of the label `quality` do. A bar that
is missed ends the command with status 1.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TRIGA_BUILD", ROOT / "build" / "dev"))
FOLDER = ROOT / "build" / "quality"
RESULTS = ROOT / "build" / "quality.json"


@dataclass
class Case:
    """An experiment whose `metric` on `split` is to reach `bar`; `quick`: settings of a shorter run, none where the
    experiment takes less than two minutes; it is to reach `quick_bar` with one seed, so a little of what seeds differ by is left to it."""

    title: str
    experiment: str
    data: tuple
    metric: str
    bar: float
    larger_is_better: bool
    reference: str
    quick: tuple
    quick_bar: float
    split: str = "validation"
    seeds: int = 3
    also: tuple = ()  # metrics to measure beside it
    settings: tuple = ()  # of the experiment

    def reaches(self, value, bar):
        return value >= bar if self.larger_is_better else value <= bar


def forecast(horizon, bar, quick_bar, seeds, reference):
    """ETTh1 at one of the papers' horizons; `reference`: mse / mae."""
    return Case(f"Forecast, ETTh1, horizon {horizon}: GRU", "rnn/forecast_etth1.yaml", ("etth1",), "mse", bar, False, reference,
                (), quick_bar, "test", seeds, also=("mae",),
                settings=(f"model.config.horizon={horizon}",))


CASES = {
    "gpt2_shakespeare_small": Case(
        "Character model, tiny Shakespeare: GPT-2, 4 x 128, T 64", "transformer/gpt2_shakespeare_small.yaml", ("tinyshakespeare",),
        "loss", 1.885, False, "1.88 (nanoGPT's README, the same set-up)", (), 1.90),
    "sentiment_sst2": Case(
        "Sentiment, SST-2: LSTM from scratch", "rnn/sentiment_sst2.yaml", ("sst2",),
        "accuracy", 0.79, True, "0.804 (PyTorch, the same set-up)", (), 0.78),
    "bert_sentiment_sst2": Case(
        "Sentiment, SST-2: BERT from scratch", "transformer/bert_sentiment_sst2.yaml", ("sst2",),
        "accuracy", 0.77, True, "0.789 (transformers, the same set-up)", (), 0.77),
    "mnist_rows": Case(
        "Digits, MNIST (9,000 images to learn from, 1,000 held out), row by row: GRU", "rnn/mnist_rows.yaml", ("mnist_test",),
        "accuracy", 0.97, True, "0.978, 0.972 (PyTorch, the same set-up)", (), 0.965),
    "forecast_etth1": forecast(96, 0.45, 0.46, 3, "DLinear 0.386 / 0.400, Autoformer 0.449 / 0.459; DLinear of 336 rows 0.375 / 0.399"),
    "forecast_etth1_192": forecast(192, 0.50, 0.51, 1, "DLinear 0.437 / 0.432, Autoformer 0.500 / 0.482; DLinear of 336 rows 0.405 / 0.416"),
    "forecast_etth1_336": forecast(336, 0.55, 0.54, 1, "DLinear 0.481 / 0.459, Autoformer 0.521 / 0.496; DLinear of 336 rows 0.439 / 0.443"),
    "forecast_etth1_720": forecast(720, 0.60, 0.59, 1, "DLinear 0.519 / 0.516, Autoformer 0.514 / 0.512; DLinear of 336 rows 0.472 / 0.490"),
    "vit_mnist": Case(
        "Digits, MNIST (9,000 images to learn from, 1,000 held out): ViT", "transformer/vit_mnist.yaml", ("mnist_test",),
        "accuracy", 0.97, True, "0.989, 0.982 (transformers, the same set-up, two seeds)", ("train.max_epochs=20",), 0.94),
    "ddpm_mnist": Case(
        "Digits out of noise, 16 x 16: ddpm", "diffusion/ddpm_mnist.yaml", ("mnist_test",),
        "recognised", 0.90, True, "0.95 of real digits (the judge)", ("train.max_steps=1500",), 0.65, "samples", seeds=1),
}


def environment():
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "SLURM_", "OMP_"))}
    return {**kept, "TRIGA_DATA_DIR": str(FOLDER / "data"), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "NO_COLOR": "1"}


def triga(*arguments):
    line = [str(word) for word in (BUILD / "bin" / "triga", *arguments)]
    done = subprocess.run(line, cwd=FOLDER, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(line)}\nended with status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def evaluated(run, case):
    """The metrics of the best checkpoint, by name."""
    result = json.loads(triga("evaluate", run, "--split", case.split, "--json"))
    return {name: result[name] for name in (case.metric, *case.also)}


def recognised(run):
    """The share of 400 generated images that a judge takes for digits; 0 when a digit is missing or drawn all the time."""
    images = run / "judged"
    triga("generate", run, "--output-dir", images, *(word for one in ("num_images=400", "batch_size=100", "num_steps=100", "eta=1", "seed=1")
                                                     for word in ("--input", one)))
    digits = FOLDER / "data" / "mnist_test"
    line = [sys.executable, ROOT / "tests" / "quality" / "judge_digits.py", "--images", digits / "t10k-images-idx3-ubyte.gz",
            "--labels", digits / "t10k-labels-idx1-ubyte.gz", images]
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True)
    judge, *verdicts = (json.loads(text) for text in done.stdout.splitlines())
    if not judge["good enough"]:
        sys.exit(f"the judge is no judge: {judge}")
    print(f"  {verdicts[0]}", flush=True)
    return verdicts[0]["recognised"] if all(0.03 <= share <= 0.20 for share in verdicts[0]["shares"]) else 0.0


def train(name, case, seed, settings):
    """The measure of what it learned, and the minutes of training."""
    run = FOLDER / f"{name}-{seed}"
    shutil.rmtree(run, ignore_errors=True)
    words = [word for setting in (f"train.seed={seed}", *case.settings, *settings) for word in ("--set", setting)]
    start = time.time()
    triga("launch", ROOT / "experiments" / case.experiment, "--run-dir", run, *words)
    minutes = (time.time() - start) / 60
    values = {case.metric: recognised(run)} if case.split == "samples" else evaluated(run, case)
    said = ", ".join(f"{case.split}/{metric} {value:.4f}" for metric, value in values.items())
    print(f"  {name}, seed {seed}: {said} after {minutes:.1f} minutes", flush=True)
    return {"seed": seed, "value": values[case.metric], "also": {metric: values[metric] for metric in case.also}, "minutes": minutes}


def table(results):
    lines = ["| what | experiment | measure | seeds | bar | beside it | minutes |", "|---|---|---|---|---|---|---|"]
    for name, case in CASES.items():
        if name not in results:
            continue
        runs = results[name]["runs"]
        values = [run["value"] for run in runs]
        sign = "≥" if case.larger_is_better else "≤"
        met = "met" if case.reaches(statistics.median(values), case.bar) else "**not met**"
        measures = {case.metric: values, **{metric: [run["also"][metric] for run in runs] for metric in case.also}}
        medians = ", ".join(f"{metric} **{statistics.median(numbers):.3f}**" for metric, numbers in measures.items())
        each = ", ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {case.title} | `experiments/{case.experiment}` | {case.split} {medians} | {each} | {sign} {case.bar:g}, {met} | "
                     f"{case.reference} | {statistics.median(run['minutes'] for run in runs):.1f} |")
    cores = ", ".join(sorted({str(result["cores"]) for result in results.values()}))
    dates = sorted({result["date"] for result in results.values()})
    return "\n".join([*lines, "", f"{cores} cores; {' and '.join(dict.fromkeys((dates[0], dates[-1])))}; medians of the seeds."])


def write_document(results):
    path = ROOT / "docs" / "results.md"
    text, count = re.subn(r"<!-- quality -->.*?<!-- end -->", lambda _: f"<!-- quality -->\n{table(results)}\n<!-- end -->",
                          path.read_text(), flags=re.S)
    if count != 1:
        sys.exit(f"{path} has no place <!-- quality --> ... <!-- end -->")
    path.write_text(text)
    print(f"written: {path}")


def main():
    parser = argparse.ArgumentParser(prog="./dev quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(CASES)}; default: all")
    parser.add_argument("--seeds", type=int, help="how many, from 1 on (default 3, and 1 of ddpm_mnist, an hour, and of the longer forecasts)")
    parser.add_argument("--quick", action="store_true", help="one seed, the long ones shorter; each must reach the bar of such a run")
    parser.add_argument("--document", action="store_true", help="write the table of docs/results.md")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in CASES]
    if unknown:
        sys.exit(f"no experiment {', '.join(unknown)}; there are {', '.join(CASES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    missed = []
    for name in arguments.names or CASES:
        case = CASES[name]
        for data in case.data:
            triga("data", "get", data)
        print(f"{name}: {case.title}", flush=True)
        if arguments.quick:
            value = train(name, case, 1, case.quick)["value"]
            if not case.reaches(value, case.quick_bar):
                missed.append(f"{name}: {case.split}/{case.metric} is {value:.4f}, the bar of a short run {case.quick_bar:g}")
            continue
        results[name] = {"cores": os.cpu_count(), "date": datetime.date.today().isoformat(),
                         "runs": [train(name, case, seed, ()) for seed in range(1, (arguments.seeds or case.seeds) + 1)]}
        RESULTS.write_text(json.dumps(results, indent=1))
        median = statistics.median(run["value"] for run in results[name]["runs"])
        if not case.reaches(median, case.bar):
            missed.append(f"{name}: {case.split}/{case.metric} is {median:.4f} (median), the bar {case.bar:g}")
    if arguments.document:
        write_document(results)
    if missed:
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
