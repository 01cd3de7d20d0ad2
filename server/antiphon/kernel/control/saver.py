"""Saves the changed structure, at the end of a turn and before its answers are sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from antiphon.kernel.control.state import StateFolder
from antiphon.kernel.errors import FileError

log = logging.getLogger("antiphon.control")


class StateSaver:
    """Saves control's state. `trouble`: why the last attempt failed, "" if it succeeded."""

    def __init__(self, folder: StateFolder, contents: Callable[[], dict[str, Any]]) -> None:
        """Creates a saver without changes. `contents` returns the whole state as JSON."""
        self._folder, self._contents = folder, contents
        self._changed = False
        self.trouble = ""

    def soon(self) -> None:
        """Marks the state as changed, to be saved at the end of this turn."""
        self._changed = True

    def flush(self) -> None:
        """Saves a changed state; a failure is logged once and shown in the status, and nothing is raised."""
        if not self._changed:
            return
        self._changed = False
        try:
            self._folder.save(self._contents())
            self.trouble = ""
        except FileError as error:
            if not self.trouble:
                log.warning("%s", error)
            self.trouble = str(error)
