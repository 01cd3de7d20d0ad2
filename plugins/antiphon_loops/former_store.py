"""The store of loops before the catalogue had them, `loops.sqlite` among the caches: read, and never written."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

from antiphon.api.files import cache_folder
from antiphon_loops.record import Loop

VERSION = 3
"""Of the analysis whose results are taken over."""


def former_database() -> Path:
    """Where it is, if it is there."""
    return cache_folder() / "loops.sqlite"


class FormerStore:
    """Rows of it by path. One that is not there, or is damaged, has none."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, int, str]] = {}
        path = former_database()
        if not path.is_file():
            return
        with contextlib.suppress(sqlite3.Error):
            # immutable: neither a lock nor a file beside it is made
            base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            with contextlib.closing(base):
                rows = base.execute(
                    "SELECT path, size, mtime, found FROM loops WHERE version = ? AND problem = ''", (VERSION,)
                )
                self._rows = {path: (size, mtime, found) for path, size, mtime, found in rows}

    def loop(self, path: Path, name: str, state: os.stat_result) -> Loop | None:
        """The loop of a file.

        Args:
            path: The file.
            name: Its name within its folder.
            state: Its size and time.

        Returns:
            None where there is none, or the file has changed since.
        """
        size, mtime, found = self._rows.get(_text(path), (-1, -1, ""))
        if (size, mtime) != (state.st_size, state.st_mtime_ns):
            return None
        try:
            return Loop.from_json({**json.loads(found), "file": name})
        except (ValueError, TypeError, KeyError):
            return None


def _text(path: Path) -> str:
    """A path as text; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path.absolute()).decode(errors="backslashreplace")
