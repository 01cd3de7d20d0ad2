"""What a recorder notes of its files, for the one that replaces it, and their names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from antiphon.kernel.runtime.processes.pidfile import RECORDINGS

LIST = "tracks.json"
"""File with the list of the tracks in a folder."""


class RecordingNote(NamedTuple):
    """The recording, session folder and tracks folder that a recorder writes, "" for none. `since`, `tracks_since`:
    start of the recording and of the tracks, in seconds of the epoch. `last`: as for `OutputTake`.
    """

    record: str = ""
    session: str = ""
    tracks: str = ""
    since: float = 0.0
    tracks_since: float = 0.0
    last: float = 0.0


def read_note(folder: Path) -> RecordingNote:
    """Reads which files this server's recorder writes, or a killed one was writing."""
    try:
        note = json.loads((folder / RECORDINGS).read_bytes())
        # what those of older servers lack
        times = (float(note.get(name, 0.0)) for name in ("since", "tracks_since", "last"))
        return RecordingNote(str(note["record"]), str(note["session"]), str(note.get("tracks", "")), *times)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return RecordingNote()  # nothing is recorded, or the disk was full for the note, which was reported then


def forget(folder: Path) -> None:
    """Removes the file that names the running recordings, at a clean end."""
    (folder / RECORDINGS).unlink(missing_ok=True)


def first_of_series(path: Path) -> Path:
    """First file name of a continued recording: take.wav for take-2.wav."""
    # not the seconds of a name that is a time: 2026-11-20_10-00-05.wav
    return path.with_name(re.sub(r"(?<!_\d\d-\d\d)-\d+$", "", path.stem) + path.suffix)
