"""Suffixes of MIDI files."""

import os

MIDI_WRITTEN = (".mid", ".midi")
"""Suffixes of MIDI files that can be written."""
MIDI_READ = (*MIDI_WRITTEN, ".kar", ".rmi")
"""Suffixes of readable MIDI files."""


def is_midi(path: str | os.PathLike[str], *, written: bool = False) -> bool:
    """True if a file is a MIDI file, by its suffix; with `written`, by the suffixes of files that are written."""
    return os.path.splitext(path)[1].lower() in (MIDI_WRITTEN if written else MIDI_READ)
