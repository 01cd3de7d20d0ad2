"""The sounds that ship, which are in the performer's own library from the first time it is opened.

`library/analysed.json.gz` has what was found in each, and its place on the map; `tools/shipped_sounds.py` writes it.
"""

import gzip
import json
import os
import sqlite3
import zlib
from typing import Any

from antiphon.api.backends.files import built_in_folder
from antiphon_library.records import json_of, words_of

FILE = "analysed.json.gz"
FOLDERS = ("library", "demo")
"""The folders with sounds that ship; a name in the file begins with one of them."""


def shipped_folders() -> list[bytes]:
    """Beginnings of the paths of all sounds that ship."""
    return [os.fsencode(built_in_folder(name)) + os.fsencode(os.sep) for name in FOLDERS]


class ShippedSounds:
    """Adds the sounds to a database, and refreshes them where they have changed or moved with an update.

    The database keeps a number of their content and folder as its `application_id`: each sound that was forgotten stays
    out.
    """

    def __init__(self) -> None:
        folder = built_in_folder("library")
        self._data = (folder / FILE).read_bytes()
        self._number = zlib.crc32(self._data, zlib.crc32(os.fsencode(folder))) & 0x7FFFFFFF or 1

    def are_in(self, base: sqlite3.Connection) -> bool:
        """Whether these sounds were added already."""
        return _number_of(base) == self._number

    def add_to(self, base: sqlite3.Connection) -> None:
        """Adds the sounds with their results, within a transaction; later those that are known, where no file is."""
        sounds = json.loads(gzip.decompress(self._data))
        first = not _number_of(base)
        base.execute(f"PRAGMA application_id={self._number}")
        known: dict[str, list[bytes]] = {}
        for digest, at in base.execute("SELECT sounds.digest, path FROM sounds JOIN files ON files.sound = sounds.id"):
            known.setdefault(digest, []).append(at)
        paths = {at for each in known.values() for at in each}
        for sound in sounds:
            folder, _, name = sound["name"].partition("/")
            path = built_in_folder(folder) / name
            held = known.get(sound["sound"][0], [])
            # those of another installation stay as they are
            moved = bool(held) and not any(map(os.path.lexists, held))
            if path.is_file() and (first or moved or os.fsencode(path) in paths):
                _add(base, sound, os.fsencode(path), path.stat())


def _number_of(base: sqlite3.Connection) -> int:
    return int(base.execute("PRAGMA application_id").fetchone()[0])


def _add(base: sqlite3.Connection, sound: dict[str, Any], path: bytes, state: os.stat_result) -> None:
    base.execute("INSERT OR IGNORE INTO sounds (digest, duration, rate, channels) VALUES (?, ?, ?, ?)", sound["sound"])
    ((number,),) = base.execute("SELECT id FROM sounds WHERE digest = ?", sound["sound"][:1])
    for (other,) in base.execute("SELECT path FROM files WHERE sound = ?", (number,)).fetchall():
        if not os.path.lexists(other):
            base.execute("DELETE FROM files WHERE path = ?", (other,))
    base.execute(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, '', 0)",
        (path, state.st_size, state.st_mtime_ns, sound["digest"], number, json_of(sound["tags"]),
         words_of(path, sound["tags"])),
    )  # fmt: skip
    base.executemany(
        "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?)",  # what was analysed here is kept
        [(number, name, version, json_of(data), why) for name, (version, data, why) in sound["results"].items()],
    )
    if sound["place"]:
        base.execute("INSERT OR IGNORE INTO places VALUES (?, ?, ?)", (number, *sound["place"]))
