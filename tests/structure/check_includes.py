#!/usr/bin/env python3
"""Checks who may include whom, from the #include lines, and a few names that may appear in one place only.

    check_includes.py ROOT

The levels are those of docs/architecture.md: a folder includes its own files and lower levels, never a neighbour of its
own level, never upwards. If the table is wrong, change it here and say why in docs/decisions.md.
"""

import pathlib
import re
import sys

import sources

# Folders of framework/ and their levels. `cuda` implements interfaces of the levels below 6 and is reached only through them.
LEVELS = {"base": 1, "config": 2, "ops": 2, "comm": 3, "data": 3, "metrics": 3, "plugin_host": 3, "parameters": 3, "optim": 4,
          "parallel": 5, "cuda": 5.5, "checkpoint": 6, "trainer": 7, "conformance": 8}
LAUNCHERS_LEVEL = 9

# (pattern of an included file, what may include it as a pattern of its path, who that is in words)
ONLY_IN = [
    (r"mpi\.h", r"framework/comm/mpi/[^/]+\.cpp|tests/.*", "sources of framework/comm/mpi"),
    (r"nccl\.h|cuda[^/]*\.h|ATen/cuda/.*|c10/cuda/.*", r"framework/cuda/.*|tests/.*", "framework/cuda"),
    (r"yaml-cpp/.*", r"framework/config/[^/]+\.cpp", "sources of framework/config"),
    (r"(torch/)?torch\.h|torch/all\.h|torch/extension\.h", r"plugins/.*|tests/.*", "plugins and tests"),
    (r"ATen/ATen\.h", r"(?!framework/.*\.h$).*", "files that are not framework headers"),
    (r"torch/nn.*|torch/optim.*", r"(?!framework/.*\.h$).*", "files that are not framework headers"),
    (r"nlohmann/.*|fmt/.*|spdlog/.*|boost/.*|curl/.*|CLI/.*", r"(?!framework/include/).*", "files that plugins do not include"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)
ENVIRONMENT = re.compile(r"\b(getenv|secure_getenv)\b")


def resolve(root, path, target):
    """The file of ours that `#include "target"` in `path` means, relative to root, or None."""
    folders = [root / path.parent, root / "framework/include", root / "framework", root / "plugins", root]
    if path.is_relative_to("launchers/scaffold_parts"):  # `triga plugin new` puts files of both into one folder
        folders.append(root / "launchers/scaffold")
    for folder in folders:
        if (folder / target).is_file():
            return (folder / target).resolve().relative_to(root)
    return None


def arrow_problem(source, target):
    """What is wrong with `source` including `target` (both paths relative to root), or None."""
    s, t = source.parts, target.parts
    if t[0] == "tests" and s[0] != "tests":
        return "nothing outside tests/ may include a test's file"
    if s[0] == "tests":
        return None
    if target.is_relative_to("framework/include"):
        return None
    if source.is_relative_to("framework/include"):
        return f"a public header includes only public headers (triga/...), not {target}"
    if s[0] == "plugins":
        if t[0] == "plugins" and t[1] in (s[1], "common"):
            return None
        return f"a plugin includes only triga/..., plugins/common and its own folder, not {target}"
    if t[0] == "plugins":
        return "the core does not know any plugin: it meets them through triga/plugin.h"
    if target.is_relative_to("framework/comm/mpi") and not source.is_relative_to("framework/comm/mpi"):
        return "comm/mpi is a library that is opened at run time: reach it through comm/communicator.h"
    if t[0] == s[0] == "launchers":
        return None
    if t[0] == "launchers":
        return "launchers/ is the highest level: nothing includes it"
    return level_problem(s, t)


def level_problem(s, t):
    if t[1] not in LEVELS:
        return f"framework/{t[1]} has no level: add it to the table in tests/structure/check_includes.py"
    if s[0] == "launchers":
        return None if t[1] != "cuda" else "cuda is reached only through the interfaces that it implements"
    if s[1] not in LEVELS:
        return f"framework/{s[1]} has no level: add it to the table in tests/structure/check_includes.py"
    if s[1] == t[1]:
        return None
    if t[1] == "cuda":
        return "cuda is reached only through the interfaces that it implements"
    mine, its = LEVELS[s[1]], LEVELS[t[1]]
    if its < mine:
        return None
    direction = "upwards" if its > mine else "a neighbour"
    return f"{s[1]} (level {mine}) includes {direction}: {t[1]} (level {its}); only lower levels are allowed"


def include_problems(root, path, code):
    for match in INCLUDE.finditer(code):
        line = code.count("\n", 0, match.start(1 if match[1] else 2)) + 1
        name = match[1] or match[2]
        allowed = [(where, who) for pattern, where, who in ONLY_IN if re.fullmatch(pattern, name)]
        for where, who in allowed:
            if not re.fullmatch(where, path.as_posix()):
                yield f"{path}:{line}: [only-in] {name} is included by {who} only"
        if match[1] and not allowed:
            target = resolve(root, path, name)
            problem = f'"{name}" is no file of ours (others are written <{name}>)' if target is None else arrow_problem(path, target)
            if problem:
                yield f"{path}:{line}: [arrow] {problem}"


def word_problems(root, path, text):
    """Names in the code that belong to one place: the environment to launchers/, a plugin's name to its folder."""
    plugins = [p.parent.name for p in (root / "plugins").glob("*/plugin.cpp")]
    if path.parts[0] in ("framework", "plugins"):
        for number, line in enumerate(sources.code_of(text, keep_strings=False).splitlines(), 1):
            if found := ENVIRONMENT.search(line):
                yield f"{path}:{number}: [environment] {found[1]}: the environment is read in launchers/ only; pass the value in"
    if path.parts[0] == "framework":
        for number, line in enumerate(sources.code_of(text).splitlines(), 1):
            for plugin in plugins:
                if not INCLUDE.match(line) and re.search(rf"\b{plugin}\b", line):
                    yield f"{path}:{number}: [plugin-name] the framework names the plugin '{plugin}'"


def problems(root):
    root = pathlib.Path(root).resolve()
    found = []
    for path in sources.files(root, ".h", ".cpp", ".cu"):
        text = (root / path).read_text()
        code = sources.code_of(text)
        found += include_problems(root, path, code)
        found += word_problems(root, path, text)
        if path.suffix == ".h" and not re.search(r"^#pragma once$", code, re.M):
            found.append(f"{path}:1: [once] a header begins with #pragma once")
    return found


if __name__ == "__main__":
    sources.report("includes", problems(sys.argv[1]),
                   "Move the code to a lower level, or turn the dependency around with an interface (docs/architecture.md).")
