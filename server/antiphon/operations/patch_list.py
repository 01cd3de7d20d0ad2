"""Lists patches and set lists: name, description, first-step hint, file, and which ones override a built-in one."""

import os
import re
import time
import tomllib
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from antiphon.kernel.graph.names import MAX_GROUP_LETTERS, MAX_LINE_LETTERS, OPTIONAL_KEY, PREVIOUS, SUFFIX
from antiphon.kernel.runtime import extras, paths, resources
from antiphon.kernel.runtime.shortening import composed, escape_unprintable

SETS = "live"
"""Folder of the set lists, inside a folder of patches."""
LISTED_KEY = "listed"
"""Key of a patch file: `listed = false` leaves it out of lists. It can still be loaded."""
TOOLS = "tools"
"""Group of the rig-check patches, which are not performed: lists show them last."""
HEAD = 4096
"""Bytes read of a file: enough for its first comment and its first keys."""
FRESH_NS, SHARE = 250_000_000, 20
"""Lifetime of a cached list while its folders are unchanged: nanoseconds, and a multiple of the time it took to build.
Files may be edited in place, and frequent requests must not block control."""
TICK_NS = 50_000_000
"""Coarsest timestamp step of a file system's clock, by which a change is detected."""
MAX_ENTRIES = 20_000
"""Maximum cached file entries."""
_SENTENCE = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, slots=True)
class PatchEntry:
    """List entry of one patch file or set list."""

    name: str
    line: str
    hint: str  # what to do first, one sentence, or ""
    group: str  # the heading under which lists show it, or ""
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


_entries: dict[Path, tuple[tuple[int, int, int], PatchEntry]] = {}
_listings: dict[tuple[Path, Path], tuple[tuple[tuple[int, int, int] | None, ...], int, list[PatchEntry]]] = {}


def entries(part: str = "") -> list[PatchEntry]:
    """All patches, or all files in subfolder `part`, by name, tools last; own ones override built-in ones."""
    folders = resources.patches() / part, paths.patches() / part
    now, stamps = time.time_ns(), tuple(map(_stamp, folders))
    known = _listings.get(folders)
    if known is not None and known[0] == stamps and now < known[1]:
        return list(known[2])
    by_name: dict[str, PatchEntry] = {}
    lacking = extras.absent().keys()
    for own, folder in enumerate(folders):
        for path in files_in(folder):
            entry = _describe_patch(path)
            shown = entry.listed and (bool(own) or _is_playable(path, lacking))
            by_name[entry.name] = replace(entry, own=bool(own), hides=entry.name in by_name, listed=shown)
    found = sorted(by_name.values(), key=lambda entry: (entry.group == TOOLS, entry.name))
    # a folder that has just changed may change again within the same tick of its clock
    if all(stamp is None or now - stamp[1] > TICK_NS for stamp in stamps):
        took = time.time_ns() - now
        _listings[folders] = stamps, now + took + max(FRESH_NS, SHARE * took), found
    return list(found)


def playable(name: str) -> bool:
    """Whether the distributions with the nodes of a shipped patch are installed."""
    return _is_playable(resources.patches() / f"{name}{SUFFIX}", extras.absent().keys())


def _is_playable(path: Path, lacking: Set[str]) -> bool:
    """Whether a shipped patch, or each of a set list's patches, has no node of the types that are `lacking`."""
    if not lacking:
        return True
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return True  # loading it reports the error
    needed = {body.get("type", name) for name, body in data.get("nodes", {}).items() if not body.get(OPTIONAL_KEY)}
    patches = (resources.patches() / f"{name}{SUFFIX}" for name in data.get("patches", ()))
    return not needed & lacking and all(_is_playable(patch, lacking) for patch in patches)


def _describe_patch(path: Path) -> PatchEntry:
    """A file's entry, read again where the file has changed."""
    stamp = _stamp(path)
    known = _entries.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    text = head_of(path)
    top = _top(text)
    entry = PatchEntry(
        name=composed(path.stem),
        line=line(text),
        hint=_text(top, "hint", MAX_LINE_LETTERS),
        group=_text(top, "group", MAX_GROUP_LETTERS),
        own=False,
        hides=False,
        listed=top.get(LISTED_KEY) is not False,
        path=path,
    )
    if stamp is not None and time.time_ns() - stamp[1] > TICK_NS:
        if len(_entries) >= MAX_ENTRIES:
            _entries.clear()
        _entries[path] = stamp, entry
    return entry


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Change stamp of a file or a folder's listing: inode, change time in ns, bytes."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


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
        return escape_unprintable(_SENTENCE.split(description, 1)[0])[:MAX_LINE_LETTERS]
    named = re.search(r'^name\s*=\s*"([^"\n]*)"', text, re.MULTILINE)
    return escape_unprintable(named[1])[:MAX_LINE_LETTERS] if named else ""


def hint(path: Path) -> str:
    """First-step hint of a patch file; "" if it has none or cannot be read."""
    return _text(_top(head_of(path)), "hint", MAX_LINE_LETTERS)


def _top(text: str) -> dict[str, Any]:
    """Keys before the first table; empty for an invalid file."""
    try:
        return tomllib.loads(text.partition("\n[")[0])
    except (ValueError, RecursionError):
        return {}


def _text(top: dict[str, Any], key: str, most: int) -> str:
    """Text value of a key as one printable line; "" for any other value."""
    value = top.get(key)
    return escape_unprintable(value)[:most] if isinstance(value, str) else ""


def files_in(folder: Path, suffix: str = SUFFIX) -> list[Path]:
    """Files of a folder with that suffix, without hidden ones and previous versions; none where it cannot be read."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(suffix)]
    except OSError:
        return []
    shown = (folder / name for name in names if name[0] != "." and not name.endswith(PREVIOUS + suffix))
    return [path for path in shown if os.path.isfile(path)]  # a link that leads nowhere is none


def head_of(path: Path) -> str:
    """First `HEAD` bytes of a file as text; "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except OSError:
        return ""
