"""Note rendering: notes through the synth node and the live code to a sound of a given length."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import AntiphonError, NodeError
from antiphon.kernel.graph.graph import OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.session.commands import Command, NoteOff, NoteOn, NotePitch, Sample
from antiphon.offline.rendering import PlayerRunner
from antiphon.offline.runner import process_stream

NODE = "keys"


@dataclass(frozen=True, slots=True)
class TimedNote:
    """A note to be rendered.

    `start`, `end`: frames. `note`: 0 to 127. `velocity`: above 0 to 1. `pitches`: (frame, semitones from the note) of
    its pitch while it sounds, after `start` and in order.
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

    `channels`: 1 or 2. Yields float32 `[channels, n]`, `frames` in all; each block holds until the next is asked for.
    Raises WorkerError: the synth's worker cannot be had.
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

    `frames`: as for `sound`; so are the others. `channels`: 1 or 2. Yields as `sound`. Raises AntiphonError: a node
    cannot be prepared, for this reason.
    """
    names = [f"{NODE}{n}" for n in range(len(parts))]
    nodes = tuple(NodeSpec(name, kind, dict(values)) for name, (kind, values, _) in zip(names, parts, strict=True))
    graph = Graph(nodes, tuple(Wire(End(name, "out"), End(OUT, OUT)) for name in names))
    commands = [
        command for name, (_, _, notes) in zip(names, parts, strict=True) for command in _commands(name, notes, frames)
    ]
    spec = StreamSpec(rate, block, channels)
    try:
        runner = PlayerRunner(graph, loaded.catalog, loaded.make, spec, 120.0, commands)
    except NodeError as error:
        # the node's name is from here: the user, who reads the reason, has not given it
        raise error.__cause__ if isinstance(error.__cause__, AntiphonError) else error from None
    with closing(runner):
        yield from process_stream((), runner, frames)


def _commands(node: str, notes: Iterable[TimedNote], frames: int) -> Iterator[Command]:
    for note in notes:
        if note.start < frames:
            yield NoteOn(note.note, note.velocity, 1, node, Sample(note.start))
            for frame, semitones in note.pitches:
                yield NotePitch(note.note, semitones, 1, node, Sample(frame))
            yield NoteOff(note.note, 1, node, Sample(max(note.start + 1, min(note.end, frames - 1))))
