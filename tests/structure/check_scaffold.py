#!/usr/bin/env python3
"""Checks that docs/write_a_plugin.md shows the files of launchers/scaffold as they are, and leaves no source out.

    check_scaffold.py ROOT

A line `<!-- scaffold: FILE -->` stands before the block of code that is FILE.
"""

import pathlib
import re
import sys

import sources

PAGE = "docs/write_a_plugin.md"
SCAFFOLD = "launchers/scaffold"
SHOWN = (".h", ".cpp", ".yaml", "CMakeLists.txt")  # what the page has to show
BLOCK = re.compile(r"^<!-- scaffold: (\S+) -->\n```\w*\n(.*?)^```$", re.M | re.S)


def problems(root):
    root = pathlib.Path(root)
    text = (root / PAGE).read_text()
    shown = {}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        file = root / SCAFFOLD / block[1]
        shown[block[1]] = line
        if not file.is_file():
            yield f"{PAGE}:{line}: [scaffold] there is no {SCAFFOLD}/{block[1]}"
        elif file.read_text() != block[2]:
            yield f"{PAGE}:{line}: [scaffold] is not {SCAFFOLD}/{block[1]} as it is"
    for file in sorted((root / SCAFFOLD).rglob("*")):
        name = file.relative_to(root / SCAFFOLD).as_posix()
        if name.endswith(SHOWN) and name not in shown:
            yield f"{SCAFFOLD}/{name}:1: [scaffold] is not shown in {PAGE}"


if __name__ == "__main__":
    sources.report("scaffold", list(problems(sys.argv[1])), f"Copy the file of {SCAFFOLD} into the page.")
