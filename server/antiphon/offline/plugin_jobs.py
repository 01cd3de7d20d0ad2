"""Services for plugins: file jobs of other plugins, notes of a recording, a sound through a node.

The synth node and the live code render notes to a sound of a given length.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from antiphon.files.scores.midifile import read
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import AntiphonError, NodeError, UsageError
from antiphon.kernel.graph.graph import OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.plugins.loader import Loaded, load
from antiphon.kernel.runtime.extras import advice
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.session.commands import Command, Play, Sample
from antiphon.offline.file_job import FileJob
from antiphon.offline.player import FilePlayer, plugin_player

NODE = "keys"


@dataclass(frozen=True, slots=True)
class TimedNote:
    """A note to be rendered.

    `start`, `end`: frames. `note`: 0 to 127. `velocity`: above 0 to 1. `pitches`: pitch changes while it sounds,
    (frame, semitones from the note), after `start` and in order.
    """

    start: int
    end: int
    note: int
    velocity: float = 0.8
    pitches: tuple[tuple[int, float], ...] = ()


def sound(
    notes: Sequence[TimedNote],
    frames: int,
    rate: int,
    loaded: Loaded,
    instrument: str = "piano",
    channels: int = 2,
    block: int = 256,
) -> Iterator[Samples]:
    """Renders notes with the node `synth`, by the live code.

    `channels`: 1 or 2. Yields float32 `[channels, n]`, `frames` in all; each block is valid until the next is
    requested. Raises WorkerError: the synth's worker is not available.
    """
    yield from sounds([("synth", {"instrument": instrument}, notes)], frames, rate, loaded, channels, block)


def sounds(
    parts: Sequence[tuple[str, Mapping[str, Value], Sequence[TimedNote]]],
    frames: int,
    rate: int,
    loaded: Loaded,
    channels: int = 2,
    block: int = 256,
) -> Iterator[Samples]:
    """Renders several parts together, each with its own node, by the live code.

    Other arguments are those of `sound`. `channels`: 1 or 2. Yields like `sound`. Raises AntiphonError: a node cannot
    be prepared; the message has the reason.
    """
    names = [f"{NODE}{n}" for n in range(len(parts))]
    nodes = tuple(NodeSpec(name, kind, dict(values)) for name, (kind, values, _) in zip(names, parts, strict=True))
    graph = Graph(nodes, tuple(Wire(End(name, "out"), End(OUT, OUT)) for name in names))
    commands = [
        command for name, (_, _, notes) in zip(names, parts, strict=True) for command in _commands(name, notes, frames)
    ]
    spec = StreamSpec(rate, block, channels)
    try:
        player = FilePlayer(graph, loaded.catalog, loaded.make, spec, 120.0, commands)
    except NodeError as error:
        # the node's name is from here: the user, who reads the reason, has not given it
        raise error.__cause__ if isinstance(error.__cause__, AntiphonError) else error from None
    with closing(player):
        yield from player.play(frames=frames)


def _commands(node: str, notes: Iterable[TimedNote], frames: int) -> Iterator[Command]:
    for note in notes:
        if note.start < frames:
            yield Play(node, Event("on", 0, note.note, note.velocity), Sample(note.start))
            for frame, semitones in note.pitches:
                yield Play(node, Event("pitch", 0, note.note, semitones), Sample(frame))
            end = max(note.start + 1, min(note.end, frames - 1))
            yield Play(node, Event("off", 0, note.note), Sample(end))


TRANSCRIBER = "hum"
BLOCK = 1024


def run_job(
    plugin: str,
    source: Path,
    target: Path,
    settings: Mapping[str, Value],
    given: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Runs `antiphon run PLUGIN` for a plugin that is not sound in, sound out; returns the target.

    `given`: separate options, as in `FileJob.given`. Raises UsageError: the plugin is not installed, or refuses. Raises
    FileError: a file cannot be read or written.
    """
    known = load(check=False).catalog.get(plugin)
    if known is None or not known.on_files.job:
        lacking = advice("node", plugin) or "antiphon plugins lists what is"
        raise UsageError(f"this needs the plugin {plugin}, which is not here; {lacking}")
    job = FileJob(plugin, source, target, settings, given=given, complain=lambda sentence: None)
    import_object(known.on_files.job)(job)
    return target


def transcribe(source: Path, target: Path, settings: Mapping[str, Value]) -> Path:
    """Writes the notes of a monophonic recording as a MIDI file.

    `target`: the MIDI file. `settings`: parameters of `hum`. Raises UsageError: no plugin transcribes, or no note was
    found.
    """
    run_job(TRANSCRIBER, source, target, settings)
    if not any(track.notes for track in read(target).tracks):
        raise UsageError(f"no note was found in {source.name}; use a recording of one voice or instrument")
    return target


def play_through(plugin: str, sound: Samples, rate: int, values: Mapping[str, Value]) -> NDArray[np.float32]:
    """Processes a sound through a node like `antiphon run PLUGIN`, with its latency removed.

    `sound`: float32 `[channels, frames]`. Raises AntiphonError: the node cannot be prepared, or fails.
    """
    loaded = load(check=False)
    spec = StreamSpec(rate, BLOCK, len(sound))
    return plugin_player(plugin, loaded.catalog, loaded.make, spec, values).sound([sound])
