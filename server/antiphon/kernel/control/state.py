"""State that outlives control, but not the machine's run (no fsync): structure as JSON, numbers as mapped memory."""

import json
import logging
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.node_state import SLOTS

COUNTERS = 16
"""Floats before the session's numbers: this server's counters, as `counters.KEPT`."""
FORMAT = 3
FILES = ("state.json", "state.json.part", "values.bin")
"""Control's own files in the folder."""
CATALOG = "catalog.json"
"""Catalog file of the plugins, in the same folder: written by the supervisor, and by control with every version."""
VERSIONS = "versions"
"""Folder of the plugins' versions in the same folder: `NUMBER/PLUGIN`."""
_TRANSPORT = "transport-"


class StateFolder:
    """The folder of one server's state."""

    def __init__(self, folder: Path) -> None:
        """Creates or opens the folder and maps its numbers; zeroes them if no structure belongs to them."""
        self.folder = folder
        size = (COUNTERS + SLOTS) * 8
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(folder / "values.bin", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if self.load() is None:
                    # numbers without a structure of this format cannot be assigned to parameters
                    os.ftruncate(handle, 0)
                os.ftruncate(handle, size)
                if hasattr(os, "posix_fallocate"):
                    # writing to a page that the disk has no room for would raise SIGBUS
                    os.posix_fallocate(handle, 0, size)
                self._map = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        except OSError as error:
            raise FileError(f"the state folder {folder} cannot be used: {paths.os_error_text(error)}") from None
        self._view = memoryview(self._map).cast("d")
        self.counters = self._view[:COUNTERS]  # `COUNTERS` float64, a view into the map
        self.numbers = self._view[COUNTERS:]  # `SLOTS` float64, a view into the map; see `Session`

    def load(self) -> dict[str, Any] | None:
        """Loads the saved structure; None if there is none, or it is damaged or of another format."""
        try:
            data = json.loads((self.folder / "state.json").read_bytes())
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) and data.get("format") == FORMAT else None

    def save(self, data: dict[str, Any]) -> None:
        """Writes the structure; `FileError` if the disk is full or not writable."""
        try:
            replace_text(self.folder / "state.json", json.dumps({"format": FORMAT, **data}))
        except OSError as error:
            raise FileError(f"the state cannot be saved in {self.folder}: {paths.os_error_text(error)}") from None

    def close(self) -> None:
        """Unmaps the numbers; the files remain."""
        for view in (self.counters, self.numbers, self._view):
            view.release()
        self._map.close()


def replace_text(path: Path, text: str) -> None:
    """Writes a file so that a killed process leaves the whole text or the one before. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def transport_file(transport: str, name: str) -> str:
    """The name of a transport's file in the folder."""
    return f"{_TRANSPORT}{transport}-{name}"


def files(folder: Path) -> tuple[str, ...]:
    """The names of all files of control and its transports in a folder."""
    return (*FILES, *sorted(path.name for path in folder.glob(f"{_TRANSPORT}*")))


def clear(folder: Path) -> None:
    """Removes the state from a folder, so that the next start restores nothing."""
    for name in files(folder):
        (folder / name).unlink(missing_ok=True)


log = logging.getLogger("antiphon.control")


class StateSaver:
    """Saves control's state, if it has `changed`. `trouble`: why the last attempt failed, "" if it succeeded."""

    def __init__(self, folder: StateFolder, contents: Callable[[], dict[str, Any]]) -> None:
        """Creates a saver without changes. `contents` returns the whole state as JSON."""
        self._folder, self._contents = folder, contents
        self.changed = False
        self.trouble = ""

    def mark_changed(self) -> None:
        """Marks the state as changed, to be saved at the end of this turn."""
        self.changed = True

    def flush(self) -> None:
        """Saves a changed state; a failure is logged once and shown in the status, and nothing is raised."""
        if not self.changed:
            return
        self.changed = False
        try:
            self._folder.save(self._contents())
            self.trouble = ""
        except FileError as error:
            if not self.trouble:
                log.warning("%s", error)
            self.trouble = str(error)
