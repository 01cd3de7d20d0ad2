"""Lists patches and set lists: name, description, file, and which ones hide a built-in one."""

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
"""Suffix of the name of a patch's previous version, before it was saved over. It can be loaded and is not listed."""
SETS = "live"
"""Folder of the set lists, inside a folder of patches."""
LISTED = "listed"
"""Key of a patch file: `listed = false` leaves it out of lists. It can be loaded all the same."""
HEAD = 4096
"""Bytes read of a file: enough for its first comment and its first keys."""
LINE = 400
"""Most characters of a description."""
_SENTENCE = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, slots=True)
class PatchEntry:
    """One patch file or set list.

    Attributes:
        name: Name to load it by.
        line: Description, one sentence.
        own: Whether it is the performer's, not a built-in one.
        hides: Whether it hides a built-in one of the same name.
        listed: Whether lists show it.
        path: The file.
    """

    name: str
    line: str
    own: bool
    hides: bool
    listed: bool
    path: Path


def entries(part: str = "") -> list[PatchEntry]:
    """All patches, or all files in their folder `part`, sorted by name; the performer's instead of a built-in one."""
    by_name: dict[str, PatchEntry] = {}
    for own, folder in ((False, resources.patches() / part), (True, paths.patches() / part)):
        for path in _files(folder):
            text = _head(path)
            by_name[path.stem] = PatchEntry(path.stem, line(text), own, path.stem in by_name, listed(text), path)
    return [by_name[name] for name in sorted(by_name)]


def names(part: str = "") -> list[str]:
    """Names of the entries that lists show."""
    return [entry.name for entry in entries(part) if entry.listed]


def line(text: str) -> str:
    """The first sentence of the comment at the beginning of a file; without one the value of `name`, or ""."""
    comment: list[str] = []
    for each in text.split("\n"):
        if not each.startswith("#"):
            break
        comment.append(each.lstrip("# ").rstrip())
    description = " ".join(comment).strip()
    if description:
        return printable(_SENTENCE.split(description, 1)[0])[:LINE]
    named = re.search(r'^name\s*=\s*"([^"\n]*)"', text, re.MULTILINE)
    return printable(named[1])[:LINE] if named else ""


def listed(text: str) -> bool:
    """Whether lists show a file. An invalid one is listed, so that loading it reports what is wrong."""
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
