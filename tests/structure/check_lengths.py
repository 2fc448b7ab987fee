#!/usr/bin/env python3
"""Checks that files stay small enough to read: headers up to 250 lines, sources up to 500.

    check_lengths.py ROOT

length_exceptions.txt may raise the limit of a file, with a reason. An exception that is not needed any more is an error,
so that the list only shrinks.
"""

import pathlib
import sys

import sources

LIMITS = {".h": 250, ".cpp": 500, ".cu": 500, ".py": 500, ".sh": 500}


def read_exceptions(path):
    """{file: limit} from lines `FILE LIMIT REASON...`; a line without a reason is refused."""
    exceptions = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=2)
        if len(words) < 3 or not words[1].isdigit() or len(words[2]) < 20:
            raise SystemExit(f"{path}:{number}: write FILE LIMIT and the reason why the file cannot be split")
        exceptions[words[0]] = int(words[1])
    return exceptions


def problems(root, exceptions):
    found, unused = [], dict(exceptions)
    for path in sources.files(root, *LIMITS):
        name = path.as_posix()
        length = len((pathlib.Path(root) / path).read_text().splitlines())
        usual = LIMITS[path.suffix]
        limit = unused.pop(name, usual)
        if length > limit:
            found.append(f"{name}:{limit + 1}: [length] {length} lines; the limit is {limit}")
        elif limit > usual >= length:
            found.append(f"{name}:1: [length] needs no exception any more ({length} lines)")
    found += [f"{name}:1: [length] has an exception but does not exist" for name in unused]
    return found


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    sources.report("file lengths", problems(sys.argv[1], read_exceptions(here / "length_exceptions.txt")),
                   "Split the file by what it does, not by size (docs/contributing.md).")
