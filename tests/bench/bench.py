#!/usr/bin/env python3
"""Benchmarks against PyTorch on this machine: bench.py [NAME...] [--rounds N] [--json FILE].

Nothing here is a test: a bar that is missed is a line, not a failure.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys

from cases import CASES
from harness import PYTHON, ROOT


def machine():
    model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    versions = subprocess.run([PYTHON, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True).stdout
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "pytorch": versions.strip(),
            "commit": commit.strip(), "date": datetime.date.today().isoformat()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(CASES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs, in turn (default 5)")
    parser.add_argument("--json", default=str(ROOT / "build" / "bench.json"), help="where results go (default build/bench.json)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in CASES]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(CASES)}")
    results = {"machine": machine(), "cases": {}}
    print(json.dumps(results["machine"], indent=1))
    for name in arguments.names or CASES:
        print(f"{name}: {CASES[name].__doc__.strip()}", flush=True)
        results["cases"][name] = {"title": CASES[name].__doc__.strip(), "rows": CASES[name](arguments.rounds)}
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)
    print(f"written: {arguments.json}")


main()
