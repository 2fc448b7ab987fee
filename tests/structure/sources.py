"""What the structure checks share: the list of our sources, the text of a file without comments, the report."""

import pathlib
import re
import sys

TOP_FOLDERS = ("framework", "plugins", "launchers", "tests", "experiments", "docs", ".dev")


def files(root, *suffixes):
    """Paths below the top folders, relative to root, sorted."""
    root = pathlib.Path(root)
    found = (p for top in TOP_FOLDERS for p in (root / top).rglob("*") if p.suffix in suffixes and p.is_file())
    return sorted(p.relative_to(root) for p in found)


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^()\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.S)


def code_of(text, keep_strings=True):
    """The text with comments (and, if asked, string literals) blanked; line numbers stay."""

    def blank(match):
        token = match[0]
        if keep_strings and not token.startswith(("//", "/*")):
            return token
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(blank, text)


def report(name, problems, cure):
    """Prints `path:line: problem` lines and ends the process: status 1 if there are any."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"\n{name}: {len(problems)} found. {cure}")
        sys.exit(1)
    print(f"{name}: clean")
