"""A phrase, and a clock to play it to the improviser on."""

from collections.abc import Iterable, Sequence
from itertools import cycle

from antiphon.api import IO, BlockTime, Event, StreamSpec, Value
from antiphon.api.backends.rendering import prepare_processor
from antiphon.kernel.graph.clock import TempoMap
from antiphon_answer.processor import Answer

RATE = 4000
_PITCHES = (72, 74, 76, 72, 72, 74, 76, 72, 76, 77, 79, 76, 77, 79, 79, 81, 79, 77, 76, 72, 72, 67, 72)
_TIMES = (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1, 2)


def phrase(late: float = 0.0) -> list[tuple[float, float, int]]:
    """(start, end, pitch) in beats; 24 beats in C."""
    notes, at = [], late
    for pitch, time in zip(_PITCHES, _TIMES, strict=True):
        notes.append((at, at + 0.9 * time, pitch))
        at += time
    return notes


def play(
    notes: Sequence[tuple[float, float, int]],
    beats: float,
    settings: dict[str, Value] | None = None,
    blocks: Iterable[int] = (512,),
    tempo: float = 120.0,
    changes: Sequence[tuple[float, str, float]] = (),
    node: Answer | None = None,
) -> tuple[list[tuple[float, Event]], list[tuple[float, dict[str, float]]]]:
    """Plays notes live. Returns events and reports with their beats.

    changes: (beat, "stop", "play", "locate" or "reset", beat to go to).
    """
    node = node or Answer()
    cells = prepare_processor(node, StreamSpec(RATE, 512, 1), settings or {})
    clock, beat = TempoMap(RATE, tempo, end_bpm=tempo), RATE * 60.0 / tempo
    told = [(round(start * beat), 1, pitch) for start, _, pitch in notes]
    told = sorted(told + [(round(end * beat), 0, pitch) for _, end, pitch in notes])
    todo = sorted((round(at * beat), what, to) for at, what, to in changes)
    events, reports, at, sizes = [], [], 0, cycle(tuple(blocks))
    while at < beats * beat:
        while todo and todo[0][0] <= at:
            _, what, to = todo.pop(0)
            if what == "reset":
                node.reset()
            else:
                clock.set_transport(at, {"stop": False, "play": True}.get(what), to if what == "locate" else None)
        size = min(next(sizes), round(beats * beat) - at, *(when - at for when, _, _ in todo[:1]))
        io = IO((), (), cells, BlockTime(at, clock.beat_at(at), clock.tempo_at(at), clock.playing), size)
        while told and told[0][0] < at + size:
            when, begins, pitch = told.pop(0)
            io.events_in.append(Event("on" if begins else "off", when - at, pitch, 0.7 * begins))
        cells.render(at, size)
        node.process(io)
        cells.settle(at + size)
        events += [((at + event.offset) / beat, event) for event in io.events_out]
        if io.reports:
            reports.append(((at + size) / beat, dict(io.reports)))
        at += size
    return events, reports
