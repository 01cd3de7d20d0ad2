"""What a recorder is told to keep when it starts, and when it follows one that was killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from antiphon import sessionlog
from antiphon.settings import ServeSettings


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
