"""What a recorder is told to keep when it starts, and when it follows one that was killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from antiphon import lifeline, paths, sessionlog
from antiphon.errors import UsageError
from antiphon.settings import ServeSettings

SET = ("session.jsonl", "input.wav", "output.wav")
"""The files of a kept set."""


def check(settings: ServeSettings) -> None:
    """Raises UsageError where what is to be kept would go over an earlier set, or over the input."""
    if settings.record and settings.input_file is not None and paths.same(settings.record, settings.input_file):
        raise UsageError(f"--record and --input are the same file, {settings.record}; give --record another name")
    held = [name for name in SET if settings.session and os.path.lexists(os.path.join(settings.session, name))]
    if held and not _broken_off(settings):
        raise UsageError(
            f"--session: {settings.session} holds a set already ({', '.join(held)}); give another name, or move that "
            "one away"
        )


def _broken_off(settings: ServeSettings) -> bool:
    """Whether the set that is there is one that `begun` moves aside: of a server on these ports, which died."""
    from antiphon.engine import recorder

    if not settings.osc_port:
        return False  # its runtime folder is new
    return recorder.interrupted(lifeline.folder(settings))[1] == str(Path(settings.session).absolute())


def begun(settings: ServeSettings, folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """What the command line asks for. folder: the server's own; notes: takes what the performer should know."""
    from antiphon.engine import recorder

    asked = {str(Path(p).absolute()) for p in (settings.record, settings.session) if p}
    for path in recorder.interrupted(folder):
        if path in asked and Path(path).exists():
            aside = Path(path).rename(recorder.beside(Path(path)))
            notes.append(f"what was kept before the restart is in {aside}")
    recorder.forget(folder)
    begin: list[dict[str, Any]] = []
    if settings.session:
        begin.append({"do": "session", "path": settings.session, "header": sessionlog.header(settings)})
    if settings.record:
        begin.append({"do": "record", "path": settings.record})
    return begin


def taken_up(folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """After a recorder that was killed: the sound goes on in a new file, a set has ended."""
    from antiphon.engine import recorder

    record, session = recorder.interrupted(folder)
    if session:
        say(f"the set kept in {session} ends here; /session/record begins another")
    if not record:
        return []
    path = recorder.beside(Path(record))
    say(f"the recording goes on in {path}")
    return [{"do": "record", "path": str(path)}]
