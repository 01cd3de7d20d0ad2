"""First requests to a recorder: at the start of a server, and after a recorder was killed.

This module is what a supervisor has of the room, as `Companions.recording`.
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.platform import PORTABLE
from antiphon.kernel.runtime.processes.forked import START_SECONDS
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.recording.note import LIST, first_of_series, forget, read_note
from antiphon.recording.recorder import run

__all__ = ["BEGIN_SECONDS", "check_begun", "first_requests", "resume_requests", "run", "undo"]
SET = ("session.jsonl", "input.wav", "output.wav")
"""The files of a recorded set."""
BEGIN_SECONDS = 10.0 + PORTABLE * START_SECONDS
"""Seconds within which a recording must begin, with a fresh interpreter's start; later a hanging disk is reported."""
BYTES_A_SAMPLE = 3
"""Bytes of one sample of one channel in a recording, which has 24 bits."""


def was_recording_to(path: str, folder: Path) -> bool:
    """Whether a crashed server was writing to `path` or to a numbered name derived from it (take.wav: take-2.wav)."""
    asked = first_of_series(Path(path).absolute())
    return any(interrupted and first_of_series(Path(interrupted)) == asked for interrupted in read_note(folder)[:3])


def first_requests(
    settings: ServeSettings, folder: Path, notes: list[str], header: Callable[[ServeSettings], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Messages for the first recorder, `session` first; unfinished files are renamed, with a line in `notes`.

    `header`: that of `Companions`.
    """
    for path in (settings.record, settings.session, settings.record_tracks):
        here = Path(path).absolute()
        # an empty file is this server's own: `play` has just made it
        if path and (here.is_dir() or (here.is_file() and here.stat().st_size)) and was_recording_to(path, folder):
            free = paths.claim(first_of_series(here), 2, folder=here.is_dir())
            notes.append(f"what the previous server recorded is now in {here.replace(free)}")
    forget(folder)
    if settings.record and not settings.force:
        paths.claim(Path(settings.record), numbered=False)  # another server may have begun it since `check`
    begin: list[dict[str, Any]] = []
    if settings.session:
        begin.append({"do": "session", "path": settings.session, "header": header(settings)})
    if settings.record_tracks:
        path = settings.record_tracks
        begin.append({"do": "tracks", "path": path, "header": header(settings)})
        notes.append(
            f"recording tracks in {path}: to {settings.record_limit:g} GB (--record-limit), or until a tenth of the "
            "disk is left"
        )
    if settings.record and (last := settings.extra.get("record_last")):
        begin.append({"do": "record", "path": settings.record, "last": last})
    elif settings.record:
        begin.append({"do": "record", "path": settings.record})
        notes.append(
            f"recording to {settings.record}: {growth(settings)}, to {settings.record_limit:g} GB (--record-limit), or "
            "until a tenth of the disk is left"
        )
    return begin


def resume_requests(folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The messages for a recorder that replaces a killed one: a recording continues in a new file, a set has ended.

    Lines for the performer are appended to `notes`.
    """
    note = read_note(folder)
    record, session, tracks, *_ = note
    begin = []
    if tracks:
        begin.append({"do": "tracks", "path": tracks, "resume": True})
        notes.append(f"the tracks in {tracks} go on")
    if session:
        notes.append(f"the set recorded in {session} ends here; begin another with /session/record")
    if not record:
        return begin
    path = paths.claim(first_of_series(Path(record)), 2)
    notes.append(f"the recording goes on in {path}")
    return [*begin, {"do": "record", "path": str(path), "last": note.last, "resume": True}]


def undo(begin: list[dict[str, Any]]) -> None:
    """Removes the files that a failed start created; no sound was written to them yet."""
    for message in begin:
        path = Path(message["path"])
        with contextlib.suppress(OSError):
            if message["do"] == "record":
                path.unlink()
                continue
            for name in (*SET, LIST):
                (path / name).unlink(missing_ok=True)
            path.rmdir()  # fails, and is suppressed, where it holds other files


def growth(settings: ServeSettings) -> str:
    """Growth rate of `--record`, for example "1.0 GB an hour"; computed for wav, the largest format."""
    an_hour = 3600 * settings.rate * settings.channels * BYTES_A_SAMPLE
    return f"{an_hour / 1e9:.1f} GB an hour"


def check_begun(begin: Sequence[dict[str, Any]], line: bytes | None) -> None:
    """Checks a recorder's answer to its first requests, None for no answer. Raises FileError: one cannot begin."""
    if line is None:
        where = " and ".join(message["path"] for message in begin)
        raise FileError(
            f"cannot write {where}: the disk has not answered for {BEGIN_SECONDS:g} s; record to another disk"
        )
    errors: list[str] = json.loads(line or b"[]")
    if errors:
        raise FileError(errors[0])
