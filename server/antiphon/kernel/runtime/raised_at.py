"""File and line in a plugin where an exception was raised."""

from __future__ import annotations

import importlib
from pathlib import Path

_NOT_THEIRS = (str(Path(__file__).parents[2]), str(Path(importlib.__file__).parent), "<frozen")
"""Files that may raise an exception whose cause is in a plugin."""


def raised_at(error: BaseException) -> str:
    """The place as " (FILE, line N)", or "" where it is none of a plugin's. Reads no file: for the block path too.

    Args:
        error: As it was caught.
    """
    if isinstance(error, SyntaxError) and error.filename:
        # the line that cannot be read, not the one that imports it
        return f" ({Path(error.filename).name}, line {error.lineno})"
    place, installed, step = "", "", error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if not name.startswith(_NOT_THEIRS):
            found = f" ({name.rpartition('/')[2]}, line {step.tb_lineno})"
            # what a plugin calls, as numpy, is named only where the plugin is a package that was installed too
            place, installed = (place, found) if "/site-packages/" in name else (found, installed)
        step = step.tb_next
    return place or installed
