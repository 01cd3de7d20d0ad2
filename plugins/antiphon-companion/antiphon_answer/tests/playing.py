"""A phrase, and a clock to play it to the improviser on."""

from collections.abc import Iterable, Sequence

from tests.clock import played_live

from antiphon.api import Event, StreamSpec, Value
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
    """Plays notes live. Returns events and reports with their beats. changes: as of `played_live`, by beats."""
    beat = RATE * 60.0 / tempo
    told = [Event("off", round(end * beat), pitch, 0.0) for _, end, pitch in notes]
    told += [Event("on", round(start * beat), pitch, 0.7) for start, _, pitch in notes]
    moved = [(round(at * beat), what, to) for at, what, to in changes]
    spec = StreamSpec(RATE, 512, 1)
    events, reports = played_live(node or Answer(), spec, told, round(beats * beat), settings, moved, blocks, tempo)
    return [(event.offset / beat, event) for event in events], [(at / beat, said) for at, said in reports]
