"""What a recorder is told to keep when it starts, and when it follows one that was killed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from antiphon.engine import recorder, session_header
from antiphon.errors import UsageError
from antiphon.runtime import paths
from antiphon.runtime.settings import ServeSettings

SET = ("session.jsonl", "input.wav", "output.wav")
"""The files of a kept set."""
BYTES_A_SAMPLE = 3
"""Of a recording, which has 24 bits."""


def check(settings: ServeSettings, folder: Path) -> None:
    """Raises UsageError where what is to be kept would go over what is there already, or over the input.

    folder: the server's own. What a server before it there broke off is no obstacle: `begun` moves it aside.
    """
    record, session = settings.record, settings.session
    if record and settings.input_file is not None and paths.same(record, settings.input_file):
        raise UsageError(f"--record and --input are the same file, {record}; give --record another name")
    if record and os.path.lexists(record) and not settings.force and not _broken_off(record, folder):
        raise UsageError(
            f"--record: there is a {record} already; give another name, for example {recorder.beside(Path(record))}, "
            "or --force to replace it"
        )
    held = [name for name in SET if session and os.path.lexists(os.path.join(session, name))]
    if held and not _broken_off(session, folder):
        raise UsageError(
            f"--session: {session} holds a set already ({', '.join(held)}); give another name, or move that one away"
        )


def _broken_off(path: str, folder: Path) -> bool:
    """Whether a server that died was writing there, or at a name that followed from it: take-2.wav of take.wav."""
    asked = recorder.series(Path(path).absolute())
    return any(found and recorder.series(Path(found)) == asked for found in recorder.interrupted(folder))


def begun(settings: ServeSettings, folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """What the command line asks for. folder: the server's own; notes: takes what the performer should know."""
    for path in (settings.record, settings.session):
        if path and os.path.exists(path) and _broken_off(path, folder):
            here = Path(path).absolute()
            notes.append(f"what was kept before the restart is in {here.rename(recorder.beside(here))}")
    recorder.forget(folder)
    begin: list[dict[str, Any]] = []
    if settings.session:
        begin.append({"do": "session", "path": settings.session, "header": session_header.header(settings)})
    if settings.record:
        begin.append({"do": "record", "path": settings.record})
    return begin


def taken_up(folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """After a recorder that was killed: the sound goes on in a new file, a set has ended. notes: as for `begun`."""
    record, session = recorder.interrupted(folder)
    if session:
        notes.append(f"the set kept in {session} ends here; /session/record begins another")
    if not record:
        return []
    path = recorder.beside(Path(record))
    notes.append(f"the recording goes on in {path}")
    return [{"do": "record", "path": str(path)}]


def undo(begin: list[dict[str, Any]]) -> None:
    """Takes away what was begun by a start that failed: nothing was played yet."""
    for message in begin:
        path = Path(message["path"])
        with contextlib.suppress(OSError):
            if message["do"] == "record":
                path.unlink()
                continue
            for name in SET:
                (path / name).unlink(missing_ok=True)
            path.rmdir()  # one that holds other things stays


def growth(settings: ServeSettings) -> str:
    """How fast `--record` grows: "1.0 GB an hour". For wav, the largest of its formats."""
    an_hour = 3600 * settings.rate * settings.channels * BYTES_A_SAMPLE
    return f"{an_hour / 1e9:.1f} GB an hour"
