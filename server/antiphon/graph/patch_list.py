"""The patches and sets there are: their names, what each is for, where it lies, and which hides which."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from antiphon.runtime import paths, resources
from antiphon.wire.text import printable

SUFFIX = ".toml"
PREVIOUS = "~"
"""Behind a patch's name: what it was before it was saved over. It loads by that name and is not listed."""
SETS = "live"
"""The folder of set lists, inside the folders of patches."""
LISTED = "listed"
"""The key of a patch's file: `listed = false` keeps it out of lists. It loads by its name all the same."""
HEAD = 4096
"""Characters of a file that are read: its first comment and its keys stand at its top."""
LINE = 400
"""Characters of what a patch is for that a list shows."""
_SENTENCE = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, slots=True)
class PatchEntry:
    """One file. line: what it is for, in a sentence.  own: the performer's, not shipped.  hides: a shipped one."""

    name: str
    line: str
    own: bool
    hides: bool
    listed: bool
    path: Path


def entries(part: str = "") -> list[PatchEntry]:
    """Every patch, or every file of the folder `part` of the patches, in order of names; of two of a name the own."""
    found: dict[str, PatchEntry] = {}
    for own, folder in ((False, resources.patches() / part), (True, paths.patches() / part)):
        for path in _files(folder):
            text = _head(path)
            found[path.stem] = PatchEntry(path.stem, line(text), own, path.stem in found, listed(text), path)
    return [found[name] for name in sorted(found)]


def names(part: str = "") -> list[str]:
    """The names that lists hold."""
    return [entry.name for entry in entries(part) if entry.listed]


def line(text: str) -> str:
    """The first sentence of the comment that a file begins with; without one the name in it, or ""."""
    comment: list[str] = []
    for each in text.split("\n"):
        if not each.startswith("#"):
            break
        comment.append(each.lstrip("# ").rstrip())
    said = " ".join(comment).strip()
    if said:
        return printable(_SENTENCE.split(said, 1)[0])[:LINE]
    named = re.search(r'^name\s*=\s*"([^"\n]*)"', text, re.MULTILINE)
    return printable(named[1])[:LINE] if named else ""


def listed(text: str) -> bool:
    """Whether lists hold it. What is no patch is listed: who loads it is told what is wrong with it."""
    top = text.partition("\n[")[0]
    if LISTED not in top:
        return True
    try:
        return tomllib.loads(top).get(LISTED) is not False
    except (ValueError, RecursionError):
        return True


def _files(folder: Path) -> Iterable[Path]:
    if not folder.is_dir():
        return []
    return [
        path
        for path in folder.glob(f"*{SUFFIX}")
        if path.is_file() and not path.name.startswith(".") and not path.stem.endswith(PREVIOUS)
    ]


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(HEAD).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except OSError:
        return ""
