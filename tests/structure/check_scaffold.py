#!/usr/bin/env python3
"""Checks that docs/write_a_plugin.md shows the files of launchers/scaffold as they are, and leaves no source out; and that it and
the README.md of every scaffold say the same commands: build, check, train.

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
READMES = ["launchers/scaffold/README.md", *(f"launchers/scaffold_parts/{part}/README.md" for part in ("dataset", "optimizer", "metric"))]
COMMAND = re.compile(r"^    (\S.*)$", re.M)
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
    yield from command_problems(root, text)


def command_problems(root, page):
    commands = None
    for readme in READMES:
        if not (root / readme).is_file():
            continue
        own = COMMAND.findall((root / readme).read_text())
        if commands is None:
            commands = own
        if own != commands:
            yield f"{readme}:1: [scaffold] its commands are not those of {READMES[0]}"
    for command in commands or ():
        if f"    {command}\n" not in page:
            yield f"{PAGE}:1: [scaffold] does not say: {command}"


if __name__ == "__main__":
    sources.report("scaffold", list(problems(sys.argv[1])), f"Copy the file of {SCAFFOLD} into the page.")
