"""Plugin file jobs for other plugins: their jobs, notes of a recording, a sound through a node."""

import importlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from antiphon.files.midifile import read
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import UsageError
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime.distributions import advice
from antiphon.offline.file_job import FileJob
from antiphon.offline.runner import PlanRunner, process_stream

TRANSCRIBER = "hum"
BLOCK = 1024


def run_job(
    plugin: str,
    source: Path,
    target: Path,
    settings: Mapping[str, Value],
    given: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Runs `antiphon run PLUGIN`, for a plugin that is not sound in, sound out.

    `given`: options of their own: `FileJob.given`. Raises UsageError: there is no such plugin here, or it says so.
    Raises FileError: a file cannot be read or written.
    """
    known = load(check=False).catalog.get(plugin)
    if known is None or not known.on_files.job:
        lacking = advice("node", plugin) or "antiphon plugins lists what is"
        raise UsageError(f"this needs the plugin {plugin}, which is not here; {lacking}")
    module, _, function = known.on_files.job.partition(":")
    job = FileJob(plugin, source, target, settings, given=given, complain=lambda sentence: None)
    getattr(importlib.import_module(module), function)(job)
    return target


def transcribe(source: Path, target: Path, settings: Mapping[str, Value]) -> Path:
    """Writes the notes of a monophonic recording as a MIDI file.

    `target`: the MIDI file. `settings`: parameters of `hum`. Raises UsageError: nothing transcribes it, or no note was
    found.
    """
    run_job(TRANSCRIBER, source, target, settings)
    if not any(track.notes for track in read(target).tracks):
        raise UsageError(f"no note was found in {source.name}; use a recording of one voice or instrument")
    return target


def play_through(plugin: str, sound: Samples, rate: int, values: Mapping[str, Value]) -> NDArray[np.float32]:
    """Processes a sound through a node as `antiphon run PLUGIN`, with its latency removed.

    `sound`: float32 `[channels, frames]`. Raises AntiphonError: it cannot be prepared, or fails.
    """
    loaded = load(check=False)
    made = np.zeros_like(sound)
    runner = PlanRunner(plugin, loaded.catalog, loaded.make, StreamSpec(rate, BLOCK, len(sound)), values)
    with closing(runner):
        at = 0
        for part in process_stream([sound], runner):
            made[:, at : at + part.shape[1]] = part
            at += part.shape[1]
    return made
