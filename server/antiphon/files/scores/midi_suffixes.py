"""Suffixes of MIDI files, and of scores that are read as MIDI files."""

import os

MIDI_WRITTEN = (".mid", ".midi")
"""Suffixes of MIDI files that can be written."""
SCORES_READ = (".musicxml", ".xml", ".mxl")
"""Suffixes of MusicXML."""
MIDI_READ = (*MIDI_WRITTEN, ".kar", ".rmi", *SCORES_READ)
"""Suffixes of files that are read as MIDI files."""


def is_midi(path: str | os.PathLike[str], *, written: bool = False) -> bool:
    """True if a file is read as notes, by its suffix; with `written`, by the suffixes of files that are written."""
    return os.path.splitext(path)[1].lower() in (MIDI_WRITTEN if written else MIDI_READ)
