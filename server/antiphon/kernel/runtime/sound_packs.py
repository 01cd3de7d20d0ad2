"""Packs of sounds in the performer's library, as `antiphon sounds add` marks them."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths

MARK = ".pack.json"
"""File of a pack: an object with its `source`, and the names of its `licences`."""
_MAX_MARK = 1 << 16
_WORD = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class SoundPack:
    """A pack of the library. `source`: the address or path it was added from; `licences`: its licence files' names."""

    folder: Path
    source: str
    licences: tuple[str, ...]


def sound_packs() -> list[SoundPack]:
    """The packs of the library, by name."""
    found = []
    for mark in sorted(paths.library().glob(f"*/{MARK}")):
        try:
            pack = _read(mark, mark.stat().st_mtime_ns)
        except (OSError, FileError):  # it may be readable the next time
            continue
        if pack is not None:
            found.append(pack)
    return found


@lru_cache(256)
def _read(mark: Path, _changed: int) -> SoundPack | None:
    """The pack of a mark, or None: control's loop asks again and again, and reads none twice. Raises FileError."""
    content = paths.read_ordinary(mark, _MAX_MARK, "a mark")
    try:
        said = json.loads(content)
        return SoundPack(mark.parent, str(said["source"]), tuple(map(str, said["licences"])))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def in_pack(param: str, word: str) -> str:
    """End of a sentence on a sound that no node plays and an added pack has; "" for any other word of a parameter."""
    if param != "s" or _WORD.fullmatch(word) is None:
        return ""
    pack = next((pack.folder.name for pack in sound_packs() if (pack.folder / word).is_dir()), "")
    return (
        f'; the pack {pack} has it: write samples("{pack}") in the script, or packs = true at the node' if pack else ""
    )
