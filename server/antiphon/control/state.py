"""What outlives the control process: a folder with the structure as JSON and the numbers as mapped memory.

A number written to the map is in the kernel's page cache at once: a killed process loses none. The
structure is small and rewritten whole, by rename, before anything that depends on it is answered.
No fsync: the folder has to survive this process, not the machine.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

from antiphon.errors import FileError
from antiphon.runtime import paths
from antiphon.session.node_state import SLOTS

COUNTERS = 16
"""Numbers before the session's: this server's counters."""
FORMAT = 2
FILES = ("state.json", "state.json.part", "values.bin")
"""What control itself keeps in the folder."""
_TRANSPORT = "transport-"


class StateFolder:
    """`counters` and `numbers` are float64 views into the map; `load` and `save` the structure."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        size = (COUNTERS + SLOTS) * 8
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(folder / "values.bin", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if self.load() is None:
                    # numbers of another Antiphon's, in other places, or of nothing that can be taken up
                    os.ftruncate(handle, 0)
                os.ftruncate(handle, size)
                if hasattr(os, "posix_fallocate"):
                    # a page the disk has no room for would be a SIGBUS when it is written
                    os.posix_fallocate(handle, 0, size)
                self._map = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        except OSError as error:
            raise FileError(f"the state folder {folder} cannot be used: {paths.why(error)}") from None
        self._view = memoryview(self._map).cast("d")
        self.counters = self._view[:COUNTERS]
        self.numbers = self._view[COUNTERS:]

    def load(self) -> dict[str, Any] | None:
        """What was saved; None where there is nothing that can be used."""
        try:
            data = json.loads((self.folder / "state.json").read_bytes())
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) and data.get("format") == FORMAT else None

    def save(self, data: dict[str, Any]) -> None:
        """Writes the structure; raises `FileError` when the disk is full or gone."""
        part = self.folder / "state.json.part"
        try:
            part.write_text(json.dumps({"format": FORMAT, **data}))
            part.replace(self.folder / "state.json")
        except OSError as error:
            part.unlink(missing_ok=True)
            raise FileError(f"the state cannot be saved in {self.folder}: {paths.why(error)}") from None

    def close(self) -> None:
        for view in (self.counters, self.numbers, self._view):
            view.release()
        self._map.close()


def transport_file(transport: str, name: str) -> str:
    """The name of a transport's file in the folder."""
    return f"{_TRANSPORT}{transport}-{name}"


def files(folder: Path) -> tuple[str, ...]:
    """The names of all that control and its transports keep in a folder."""
    return (*FILES, *sorted(path.name for path in folder.glob(f"{_TRANSPORT}*")))


def clear(folder: Path) -> None:
    """Forgets what was kept in a folder: the next start is a fresh one."""
    for name in files(folder):
        (folder / name).unlink(missing_ok=True)
