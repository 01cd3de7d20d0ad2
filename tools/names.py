"""Fails when a public function is named by a bare participle, and not by a verb in the imperative or what it returns.

`make lint` runs it. A property that is true or false may be an adjective of state, such as `ended`. `tools/names.txt`
lists, as PATH:NAME, what users of the plugin API, of Python and of OSC type, and what is still to be renamed. A line
that names nothing any more fails too, so that the list only shrinks.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTED = Path(__file__).with_suffix(".txt")
IRREGULAR = """
    asked begun bent bound broken brought built chosen dealt done drawn driven fed felt forgotten found frozen given
    gone grown heard held hidden kept known laid led left lent lost made meant met paid said sent shown sold spoken
    struck sung swung taken thought thrown told torn understood won worn wound written
"""
"""Participles that do not end in -ed."""
NOT_PARTICIPLES = frozenset(("bleed", "embed", "feed", "need", "seed", "speed"))
OUTSIDE = ("tests/", "examples/", "findings/", "lessons/", "patches/")


def is_participle(name: str) -> bool:
    """Whether a name is one word, and a participle or a past form."""
    regular = name.endswith("ed") and "_" not in name and name not in NOT_PARTICIPLES
    return regular or name in IRREGULAR.split()


def public(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    """Yields the public functions and methods that are named so, each after `prefix`."""
    for item in body:
        if isinstance(item, ast.ClassDef) and not item.name.startswith("_"):
            yield from public(item.body, f"{prefix}{item.name}.")
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and is_participle(item.name):
            marks = {ast.unparse(mark) for mark in item.decorator_list}
            if not (marks & {"property", "cached_property"} and item.returns and ast.unparse(item.returns) == "bool"):
                yield prefix + item.name


def main() -> int:
    """Names what is new, and lines of the list that are done; returns the exit status."""
    done = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [file for file in done.stdout.split() if not file.startswith(OUTSIDE) and "/tests/" not in file]
    paths = {file: ROOT / file for file in files if (ROOT / file).is_file()}
    there = {name for file, path in paths.items() for name in public(ast.parse(path.read_bytes()).body, f"{file}:")}
    listed = {line for line in LISTED.read_text().splitlines() if line and not line.startswith("#")}
    for each in sorted(there - listed):
        print(f"{each}: name it by a verb in the imperative, or by the noun that it returns")
    for each in sorted(listed - there):
        print(f"{each} is in {LISTED.name} and not in the code: take the line out")
    return int(there != listed)


if __name__ == "__main__":
    sys.exit(main())
