#!/usr/bin/env python3
"""Checks that clang-format 14 would change nothing.

    check_format.py ROOT
"""

import re
import shutil
import subprocess
import sys

import sources

# The layout that a file gets depends on the version, so there is one: Debian 12's.
FORMATTER = "clang-format-14"


def problems(root):
    if not shutil.which(FORMATTER):
        raise SystemExit(f"{FORMATTER} is not installed: ./dev setup --tests installs it")
    paths = [str(path) for path in sources.files(root, ".h", ".cpp", ".cu")]
    run = subprocess.run([FORMATTER, "--dry-run", "--style=file", *paths], cwd=root, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(run.stderr)
    first = {}
    for path, line in re.findall(r"^(\S+?):(\d+):\d+: warning: code should be clang-formatted", run.stderr, re.M):
        first.setdefault(path, line)
    return [f"{path}:{line}: [format] differs from clang-format's layout, here first" for path, line in first.items()]


if __name__ == "__main__":
    sources.report("format", problems(sys.argv[1]), "Run ./dev format")
