"""A melody, and a clock to play it to the accompanist on."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path

import mido

from antiphon.api import IO, BlockTime, Event, StreamSpec, Value
from antiphon.api.backends.rendering import prepare_processor
from antiphon.kernel.graph.clock import TempoMap
from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.processor import Accompany

RATE = 8000
_SCALE = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71}


def tune(text: str, up: int = 12) -> list[BeatNote]:
    """Words like C1 E.5 -2: a tone (or rest) and its beats, one after the other."""
    made, at = [], 0.0
    for word in text.split():
        length = float(word[1:])
        if word[0] != "-":
            made.append(BeatNote(at, at + length * 0.95, _SCALE[word[0]] + up, 0.7))
        at += length
    return made


TUNE = tune("E1 D1 C1 D1 E1 E1 E2 D1 D1 D2 E1 G1 G2 E1 D1 C1 D1 E1 E1 E1 E1 D1 D1 E1 D1 C4")


def play(
    notes: Sequence[BeatNote],
    beats: float,
    settings: dict[str, Value] | None = None,
    blocks: Iterable[int] = (256,),
    tempo: float = 120.0,
    changes: Sequence[tuple[float, str, object]] = (),
    rate: int = RATE,
    node: Accompany | None = None,
) -> list[tuple[float, Event]]:
    """Plays a melody live; what comes out, each with its beats of the engine's own clock, running or not.

    changes: (beat, what, value), what being a parameter, or "stop", "play", "locate", "reset", "tempo"; the block is
    cut there as the engine does.
    """
    node = node or Accompany()
    cells = prepare_processor(node, StreamSpec(rate, 512, 1), settings or {})
    clock = TempoMap(rate, tempo, end_bpm=tempo)
    per_beat = rate * 60.0 / tempo
    told = [(round(n.start * per_beat), "on", n) for n in notes] + [(round(n.end * per_beat), "off", n) for n in notes]
    told.sort(key=lambda item: (item[0], item[1]))
    todo = sorted((round(beat * per_beat), what, value) for beat, what, value in changes)
    last, at, made = round(beats * per_beat), 0, []
    sizes = cycle(tuple(blocks))
    while at < last:
        while todo and todo[0][0] <= at:
            _, what, value = todo.pop(0)
            match what:
                case "stop" | "play":
                    clock.set_transport(at, what == "play", None)
                case "locate":
                    clock.set_transport(at, None, float(value))  # type: ignore[arg-type]
                case "tempo":
                    clock.set_tempo(at, float(value))  # type: ignore[arg-type]
                case "reset":
                    node.reset()
                case _:
                    cells.change(what, value)
        size = min(next(sizes), last - at, *(when - at for when, _, _ in todo[:1]))
        io = IO((), (), cells, BlockTime(at, clock.beat_at(at), clock.tempo_at(at), clock.playing), size)
        while told and told[0][0] < at + size:
            when, kind, note = told.pop(0)
            io.events_in.append(Event(kind, when - at, note.pitch, note.velocity if kind == "on" else 0.0))
        cells.render(at, size)
        node.process(io)
        cells.settle(at + size)
        made += [((at + event.offset) / per_beat, event) for event in io.events_out]
        at += size
    return made


def left(events: Sequence[tuple[float, Event]]) -> set[int]:
    """Notes that were begun and never ended; raises when one is begun twice or ended without beginning."""
    sounding: set[tuple[int, int]] = set()
    for _, event in events:
        if event.kind == "on":
            assert (event.channel, event.number) not in sounding
            sounding.add((event.channel, event.number))
        elif event.kind == "off":
            sounding.remove((event.channel, event.number))
    return {number for _, number in sounding}


def accompaniment(path: Path) -> list[BeatNote]:
    """The last track of a file; raises when a note is begun twice, has no length, or is never ended."""
    at, made, sounding = 0, [], {}
    for message in mido.MidiFile(path).tracks[-1]:
        at += message.time
        if message.type == "note_on":
            assert message.note not in sounding
            sounding[message.note] = at
        elif message.type == "note_off":
            start = sounding.pop(message.note)
            assert at > start
            made.append(BeatNote(start / 480, at / 480, message.note))
    assert not sounding
    return made
