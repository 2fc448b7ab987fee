#!/usr/bin/env python3
"""Benchmarks against PyTorch on this machine: ./dev bench [NAME...] [--rounds N] [--document].

Results go to build/bench.json, which keeps those of earlier calls; --document also puts them into the tables of
docs/performance.md. Nothing here is a test: a bar that is missed is a line, not a failure.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys

from cases import CASES, NEEDS_GPU
from document import write_tables
from harness import PYTHON, ROOT

RESULTS = ROOT / "build" / "bench.json"


def machine():
    model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    script = "import torch; print(torch.__version__); print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    version, gpu = subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, check=True).stdout.split("\n")[:2]
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout
    return {"cpu": model, "cores": os.cpu_count(), "gpu": gpu, "system": platform.platform(), "pytorch": version,
            "commit": commit.strip(), "date": datetime.date.today().isoformat()}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"which: {', '.join(CASES)}, or `parts` (small pieces, by Google Benchmark); default: all that this machine can")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs, in turn (default 5)")
    parser.add_argument("--document", action="store_true", help="write the tables of docs/performance.md")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in CASES]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(CASES)}, parts")
    here = machine()
    names = arguments.names or [name for name in CASES if here["gpu"] or name not in NEEDS_GPU]
    if not here["gpu"] and NEEDS_GPU.intersection(names):
        sys.exit(f"{', '.join(NEEDS_GPU.intersection(names))} needs a GPU that PyTorch sees; there is none")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    print(json.dumps(here, indent=1))
    for name in names:
        title = CASES[name].__doc__.strip()
        print(f"{name}: {title}", flush=True)
        results[name] = {"title": title, "machine": here, "rows": CASES[name](arguments.rounds)}
        RESULTS.write_text(json.dumps(results, indent=1))
    print(f"written: {RESULTS}")
    if arguments.document:
        write_tables(ROOT / "docs" / "performance.md", {name: results[name] for name in CASES if name in results})


main()
