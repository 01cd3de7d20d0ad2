"""Renders notes with the synth node and the live code to a sound of a given length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from antiphon.contract.block import Samples, StreamSpec
from antiphon.graph.graph import OUT, End, Graph, NodeSpec, Wire
from antiphon.offline.rendering import PlayerRunner
from antiphon.offline.runner import process_stream
from antiphon.plugins.loader import Loaded
from antiphon.session.commands import Command, NoteOff, NoteOn, Sample

NODE = "keys"


@dataclass(frozen=True, slots=True)
class TimedNote:
    """A note to be rendered.

    Attributes:
        start: Its first frame.
        end: The frame at which it ends.
        note: 0 to 127.
        velocity: Above 0 to 1.
    """

    start: int
    end: int
    note: int
    velocity: float = 0.8


def sound(
    notes: Sequence[TimedNote],
    frames: int,
    rate: int,
    loaded: Loaded,
    instrument: str = "piano",
    channels: int = 2,
    block: int = 256,
) -> Iterator[Samples]:
    """Plays notes with the node `synth`, by the code that plays live.

    Args:
        notes: In any order.
        frames: Length of the sound.
        rate: Frames per second.
        loaded: The plugins, of `load_plugins`.
        instrument: Instrument of the synth.
        channels: 1 or 2.
        block: Frames of a block.

    Yields:
        float32 `[channels, n]`, `frames` in all; each block holds until the next is asked for.

    Raises:
        WorkerError: The synth's worker cannot be had.
    """
    graph = Graph((NodeSpec(NODE, "synth", {"instrument": instrument}),), (Wire(End(NODE, "out"), End(OUT, OUT)),))
    commands = list(_commands(notes, frames))
    spec = StreamSpec(rate, block, channels)
    with closing(PlayerRunner(graph, loaded.catalog, loaded.make, spec, 120.0, commands)) as runner:
        yield from process_stream((), runner, frames)


def _commands(notes: Iterable[TimedNote], frames: int) -> Iterator[Command]:
    for note in notes:
        if note.start < frames:
            yield NoteOn(note.note, note.velocity, 1, NODE, Sample(note.start))
            yield NoteOff(note.note, 1, NODE, Sample(max(note.start + 1, min(note.end, frames - 1))))
