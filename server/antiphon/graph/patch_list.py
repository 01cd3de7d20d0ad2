"""Lists patches and set lists: name, description, what to do first, file, and which ones hide a built-in one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.runtime import paths, resources
from antiphon.wire.text import printable

SUFFIX = ".toml"
PREVIOUS = "~"
"""Suffix of the name of a patch's previous version, before it was saved over. It can be loaded and is not listed."""
SETS = "live"
"""Folder of the set lists, inside a folder of patches."""
LISTED = "listed"
"""Key of a patch file: `listed = false` leaves it out of lists. It can be loaded all the same."""
TOOLS = "tools"
"""Group of the patches that check a rig and are not played: lists show them last."""
HEAD = 4096
"""Bytes read of a file: enough for its first comment and its first keys."""
LINE = 400
"""Most characters of a description, and of a hint."""
GROUP = 40
"""Most characters of a group's name."""
_SENTENCE = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, slots=True)
class PatchEntry:
    """One patch file or set list.

    Attributes:
        name: Name to load it by.
        line: Description, one sentence.
        hint: What to do first, one sentence, or "".
        group: The heading under which lists show it, or "".
        own: Whether it is the performer's, not a built-in one.
        hides: Whether it hides a built-in one of the same name.
        listed: Whether lists show it.
        path: The file.
    """

    name: str
    line: str
    hint: str
    group: str
    own: bool
    hides: bool
    listed: bool
    path: Path

    def plain(self) -> dict[str, object]:
        """The entry as data for JSON."""
        return {
            "name": self.name,
            "line": self.line,
            "hint": self.hint,
            "group": self.group,
            "from": "yours" if self.own else "shipped",
            "hides_shipped": self.hides,
            "listed": self.listed,
            "file": str(self.path),
        }


def entries(part: str = "") -> list[PatchEntry]:
    """All patches, or all files in their folder `part`, by name, tools last; one of yours hides a built-in one."""
    by_name: dict[str, PatchEntry] = {}
    for own, folder in ((False, resources.patches() / part), (True, paths.patches() / part)):
        for path in _files(folder):
            text = _head(path)
            top = _top(text)
            by_name[path.stem] = PatchEntry(
                name=path.stem,
                line=line(text),
                hint=_text(top, "hint", LINE),
                group=_text(top, "group", GROUP),
                own=own,
                hides=path.stem in by_name,
                listed=top.get(LISTED) is not False,
                path=path,
            )
    return sorted(by_name.values(), key=lambda entry: (entry.group == TOOLS, entry.name))


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


def hint(path: Path) -> str:
    """What to do first with a patch, as its file says; "" where it says nothing or cannot be read."""
    return _text(_top(_head(path)), "hint", LINE)


def listed(text: str) -> bool:
    """Whether lists show a file. An invalid one is listed, so that loading it reports what is wrong."""
    return _top(text).get(LISTED) is not False


def _top(text: str) -> dict[str, Any]:
    """The keys before the first table; none of an invalid file."""
    try:
        return tomllib.loads(text.partition("\n[")[0])
    except (ValueError, RecursionError):
        return {}


def _text(top: dict[str, Any], key: str, most: int) -> str:
    """The value of a key that holds text, as a printable line; else ""."""
    value = top.get(key)
    return printable(value)[:most] if isinstance(value, str) else ""


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
