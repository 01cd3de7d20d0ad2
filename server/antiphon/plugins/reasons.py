"""An exception from a plugin, as one sentence."""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path

from antiphon.errors import AntiphonError

_NOT_THEIRS = (str(Path(__file__).parents[1]), f"{Path(importlib.__file__).parent}", "<frozen")
"""Files that may raise an exception whose cause is in a plugin."""


def reason_of(error: BaseException) -> str:
    """An exception as one sentence, with file and line in the plugin where it was raised."""
    text = " ".join(str(error).split())[:300]
    if isinstance(error, AntiphonError):
        return text
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_NOT_THEIRS)]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"
