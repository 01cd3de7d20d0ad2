"""Writes the last bars of a node to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from antiphon.kernel.engine.recording.take import TakeFile
from antiphon.kernel.errors import AntiphonError, RequestError
from antiphon.kernel.io.capture_memory import CaptureMemory
from antiphon.kernel.runtime import paths


def write_capture(message: dict[str, Any], kept: CaptureMemory | None) -> dict[str, Any]:
    """Writes the requested bars to a new file; returns the answer, with the reason as error or ""."""
    path, why = Path(message["path"]), ""
    try:
        if kept is None:
            raise RequestError("nothing is kept, since this machine has little memory free; use /record/start")
        sound = kept.cut(message["node"], message["bars"], message["bar"])
        take = TakeFile(path, kept.shape.rate, sound.shape[1], "FLOAT")
        try:
            take.write(sound)
        finally:
            take.close()
    except AntiphonError as error:
        why = str(error)
    except Exception as error:
        why = f"{path}: {paths.why(error) if isinstance(error, OSError) else error}"
    return {"capture": message["number"], "path": str(path), "error": why}
