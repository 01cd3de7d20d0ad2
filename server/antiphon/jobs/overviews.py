"""Cache of file overviews (`antiphon.jobs.overview`), computed once, by one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from antiphon.jobs.errors import Unreadable
from antiphon.jobs.overview import HEADER
from antiphon.jobs.process import perform
from antiphon.kernel.runtime.paths import PRIVATE_FOLDER, make_folder

MODULE = "antiphon.jobs.overview"


class Overviews:
    """Folder of overviews, a JSON file each."""

    def __init__(self, folder: Path) -> None:
        """Creates a missing folder; raises `FileError` on failure."""
        self._folder = make_folder(folder, PRIVATE_FOLDER)
        self._turn = asyncio.Lock()

    async def get(self, key: str, path: Path) -> dict[str, Any]:
        """Result of `overview` for the file of that key, computed if missing.

        Raises Unreadable: the file cannot be read; the text is the reader's.
        """
        async with self._turn:
            kept = self._kept(key)
            if kept is not None:
                return kept
            outcome = await perform((str(path),), module=MODULE)
            if outcome.status:
                lines = outcome.complaint.splitlines()
                raise Unreadable(lines[-1] if lines else "the file cannot be read")
            found: dict[str, Any] = json.loads(outcome.printed)
            # one not written, because of a full disk, is computed again
            with contextlib.suppress(OSError):
                self._path(key).write_text(outcome.printed)
            return found

    async def check(self, path: Path, name: str) -> None:
        """Checks the header of an uploaded file, by the suffix of `name`.

        Raises Unreadable: it is no sound, or no MIDI file; the text is the reader's.
        """
        outcome = await perform((str(path), HEADER), module=MODULE)
        if outcome.status:
            lines = outcome.complaint.splitlines()
            reason = lines[-1] if lines else f"{name} cannot be read"
            raise Unreadable(reason.replace(str(path), name).replace(path.name, name))

    def remove(self, key: str) -> None:
        """Removes an overview, if there is one."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _kept(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._path(key).read_text())
        except (OSError, ValueError):
            return None  # there is none, or it was written in part
        return found

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"
