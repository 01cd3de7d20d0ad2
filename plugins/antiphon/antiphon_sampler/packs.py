"""Packs: folders of sounds in the performer's library that `antiphon sounds add` brought, and where they come from.

A pack is NAME/SOUND/FILE as Dirt-Samples, with a file `MARK` that says its source.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from antiphon.api.backends.files import library_folder

MARK = ".pack.json"
"""File of a pack: an object with its `source`, and the names of its `licences`."""
MAX_MARK = 1 << 16


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack of the library. `source`: what it was added by; `licences`: files in it, by name."""

    folder: Path
    source: str
    licences: tuple[str, ...]


def packs() -> list[Pack]:
    """The packs of the library, by name."""
    found = []
    for mark in sorted(library_folder().glob(f"*/{MARK}")):
        try:
            with mark.open("rb") as file:
                said = json.loads(file.read(MAX_MARK))
            found.append(Pack(mark.parent, str(said["source"]), tuple(map(str, said["licences"]))))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no pack, then
    return found
