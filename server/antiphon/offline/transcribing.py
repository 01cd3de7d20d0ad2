"""The notes of a recording for plugins that start from notes: by the processor that transcribes."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from antiphon.contract.params import Value
from antiphon.errors import UsageError
from antiphon.io.midifile import read
from antiphon.offline.file_job import FileJob
from antiphon.plugins.loader import load

TRANSCRIBER = "hum"


def transcribe(source: Path, target: Path, settings: Mapping[str, Value]) -> Path:
    """Writes the notes of a recording of one voice as a MIDI file.

    Args:
        source: The recording.
        target: The MIDI file.
        settings: Parameters of `hum`.

    Returns:
        `target`.

    Raises:
        UsageError: Nothing transcribes it, or no note was found.
    """
    known = load(check=False).catalog.get(TRANSCRIBER)
    if known is None or not known.on_files.job:
        raise UsageError(
            f"the notes of a recording are found by the plugin {TRANSCRIBER}, which is not here; give a MIDI file"
        )
    module, _, function = known.on_files.job.partition(":")
    job = FileJob(TRANSCRIBER, source, target, settings, complain=lambda sentence: None)
    getattr(importlib.import_module(module), function)(job)
    if not any(track.notes for track in read(target).tracks):
        raise UsageError(f"no note was found in {source.name}; use a recording of one voice or instrument")
    return target
