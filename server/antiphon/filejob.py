"""What `antiphon run` hands a plugin whose files are not sound in, sound out: notes, MIDI, a library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from antiphon.params import Value


@dataclass(frozen=True, slots=True)
class FileJob:
    """One file to be made. A plugin's `Processor.files` names the function that takes it and writes `target`.

    source: a sound file, a MIDI file or a folder, as the plugin has it.  settings: its parameters' values, checked.
    midi_out, analysis: further files that were asked for, or None; a plugin that has none to give says so with a
    `UsageError`.  progress: told a part from 0 to 1.
    """

    plugin: str
    source: Path
    target: Path
    settings: Mapping[str, Value] = field(default_factory=dict)
    block: int = 256
    midi_out: Path | None = None
    analysis: Path | None = None
    progress: Callable[[float], None] = lambda part: None
