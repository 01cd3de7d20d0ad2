"""Bars that are kept, written to a file; and why a file ends before it should."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from antiphon.engine.recording.take import TakeFile
from antiphon.errors import AntiphonError, FileError, RequestError
from antiphon.io.capture_memory import CaptureMemory
from antiphon.runtime import paths


def capture(message: dict[str, Any], kept: CaptureMemory | None) -> dict[str, Any]:
    """Writes the bars that a message asks for to a new file; returns the answer, with the reason as error or ""."""
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
        why = str(reason_of_end(path, error))
    return {"capture": message["number"], "path": str(path), "error": why}


def reason_of_end(path: Path, error: Exception) -> Exception:
    """An error that names the reason; libsndfile reports only that writing failed, so the disk's space is checked."""
    if isinstance(error, OSError):
        return FileError(f"{path} ends here: {paths.why(error)}")
    try:
        free = os.statvfs(path if path.is_dir() else path.parent).f_bavail
    except OSError as gone:
        return FileError(f"{path} ends here: {paths.why(gone)}")
    if free == 0:
        return FileError(f"{path} ends here: {paths.why(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))}")
    text = " ".join(str(error).split()) or "it cannot be written on"
    return FileError(f"{path} ends here: {text}; record to another place")
