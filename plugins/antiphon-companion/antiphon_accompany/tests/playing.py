"""A melody, and a clock to play it to the accompanist on."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import mido
from tests.clock import left as notes_left, played_live

from antiphon.api import Event, StreamSpec, Value
from antiphon_accompany.band.parts import BeatNote
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

    changes: (beat, what, value), as of `played_live`.
    """
    per_beat = rate * 60.0 / tempo
    told = [Event("off", round(n.end * per_beat), n.pitch, 0.0) for n in notes]
    told += [Event("on", round(n.start * per_beat), n.pitch, n.velocity) for n in notes]
    moved = [(round(beat * per_beat), what, value) for beat, what, value in changes]
    spec = StreamSpec(rate, 512, 1)
    events, _ = played_live(node or Accompany(), spec, told, round(beats * per_beat), settings, moved, blocks, tempo)
    return [(event.offset / per_beat, event) for event in events]


def left(events: Sequence[tuple[float, Event]]) -> set[int]:
    return {number for _, number in notes_left(event for _, event in events)}


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
