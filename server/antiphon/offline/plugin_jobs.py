"""The file jobs of plugins for other plugins: the notes of a recording, a melody that goes on."""

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


def run_job(plugin: str, source: Path, target: Path, settings: Mapping[str, Value]) -> Path:
    """Does what `antiphon run PLUGIN` does, for a plugin whose files are not sound in, sound out.

    Args:
        plugin: The type of its processor.
        source: IN.
        target: OUT, which is replaced.
        settings: Its parameters.

    Returns:
        `target`.

    Raises:
        UsageError: There is no such plugin here, or it says so.
        FileError: A file cannot be read or written.
    """
    known = load(check=False).catalog.get(plugin)
    if known is None or not known.on_files.job:
        raise UsageError(f"this needs the plugin {plugin}, which is not here; antiphon plugins lists what is")
    module, _, function = known.on_files.job.partition(":")
    job = FileJob(plugin, source, target, settings, complain=lambda sentence: None)
    getattr(importlib.import_module(module), function)(job)
    return target


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
    run_job(TRANSCRIBER, source, target, settings)
    if not any(track.notes for track in read(target).tracks):
        raise UsageError(f"no note was found in {source.name}; use a recording of one voice or instrument")
    return target
