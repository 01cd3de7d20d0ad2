"""Notes to sound, as a file: played by the synth node through the live code, exactly as long as asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from antiphon.contract.block import Samples, StreamSpec
from antiphon.graph.graph import OUT, End, Graph, NodeSpec, Wire
from antiphon.offline.rendering import StageRunner
from antiphon.offline.runner import process_stream
from antiphon.plugins.loader import Loaded
from antiphon.session.commands import Command, NoteOff, NoteOn, Sample

NODE = "keys"


@dataclass(frozen=True, slots=True)
class TimedNote:
    """start, end: frames.  note: 0 to 127.  velocity: above 0 to 1."""

    start: int
    end: int
    note: int
    velocity: float = 0.8


def sound(
    notes: Sequence[TimedNote], frames: int, rate: int, loaded: Loaded, instrument: str = "piano", channels: int = 2,
    block: int = 256,
) -> Iterator[Samples]:  # fmt: skip
    """Blocks of float32 `[channels, n]`, `frames` in all; each holds until the next is asked for."""
    graph = Graph((NodeSpec(NODE, "synth", {"instrument": instrument}),), (Wire(End(NODE, "out"), End(OUT, OUT)),))
    commands = list(_commands(notes, frames))
    spec = StreamSpec(rate, block, channels)
    with closing(StageRunner(graph, loaded.catalog, loaded.make, spec, 120.0, commands)) as runner:
        yield from process_stream((), runner, frames)


def _commands(notes: Iterable[TimedNote], frames: int) -> Iterator[Command]:
    for note in notes:
        if note.start < frames:
            yield NoteOn(note.note, note.velocity, 1, NODE, Sample(note.start))
            yield NoteOff(note.note, 1, NODE, Sample(max(note.start + 1, min(note.end, frames - 1))))
