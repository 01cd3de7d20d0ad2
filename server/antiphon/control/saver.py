"""Saves the structure when it changed: at the end of the turn, before the answers are sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from antiphon.control.state import StateFolder
from antiphon.errors import FileError

log = logging.getLogger("antiphon.control")


class StateSaver:
    """trouble: why the last attempt failed, "" where it did not.

    Args:
        folder: Where it is saved.
        contents: Gives all that is saved, as JSON.
    """

    def __init__(self, folder: StateFolder, contents: Callable[[], dict[str, Any]]) -> None:
        self._folder, self._contents = folder, contents
        self._changed = False
        self.trouble = ""

    def soon(self) -> None:
        """Something changed: it is saved at the end of this turn."""
        self._changed = True

    def flush(self) -> None:
        """Saves if something changed. A full disk is logged once and shown in the status; the set goes on."""
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
