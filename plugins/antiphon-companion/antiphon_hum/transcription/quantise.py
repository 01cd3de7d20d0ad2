"""Quantisation of a whole sound's notes to the grid of one constant tempo, found from their onsets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from antiphon.api import F64
from antiphon_hum.scale_snap import GRIDS


@dataclass(frozen=True, slots=True)
class Note:
    """A note of MIDI number `number` from frame `start` to `end`, after it; velocity above 0 to 1.

    `pitch`: the MIDI number with its fraction, as sung; -1 where it is not known.
    """

    start: int
    end: int
    number: int
    velocity: float
    pitch: float = -1.0


SLOWEST, FASTEST = 60.0, 180.0
"""Range of tempos searched, bpm."""
LIKELY, WIDTH, WEIGHT = 110.0, 1.0, 0.05
"""Prior over tempo: its maximum in bpm, its width in octaves and its weight. It decides between equally good tempos."""
MIN_NOTES = 5
"""Minimum notes for a tempo."""
PLAIN = 120.0


def timing(starts: Sequence[float], quantise: str, bpm: float) -> tuple[float, float]:
    """bpm, 0 to find it, and seconds of a grid line, at most one beat, by onsets in seconds."""
    if bpm > 0.0:
        return bpm, 0.0
    if len(starts) < MIN_NOTES:
        return PLAIN, 0.0
    t = np.asarray(starts, np.float64)
    # a tempo a step from the best one drifts by a tenth of a line over all notes
    step = 0.1 * GRIDS[quantise] / max(1.0, float(t[-1] - t[0])) * 60.0
    tempos = np.arange(SLOWEST, FASTEST, min(0.5, step))
    fits = np.array([_fit(t, tempo, quantise) for tempo in tempos])
    best = float(tempos[int(fits.argmax())])
    line = 60.0 / best * GRIDS[quantise]
    turn = np.angle(np.exp(2j * np.pi * t / line).sum()) / (2.0 * np.pi)
    return best, float(turn % 1.0) * line


def _fit(t: F64, tempo: float, quantise: str) -> float:
    """Score of onsets `t` (seconds) on the grid and beats of a tempo, prior included."""
    beats = t * tempo / 60.0
    on_lines = abs(np.exp(2j * np.pi * beats / GRIDS[quantise]).mean())
    on_beats = abs(np.exp(2j * np.pi * beats).mean())
    return float(on_lines + 0.3 * on_beats - WEIGHT * (np.log2(tempo / LIKELY) / WIDTH) ** 2)


def on_grid(notes: Sequence[Note], rate: int, quantise: str, bpm: float, beat: float, frames: int) -> list[Note]:
    """Moves notes to the nearest grid line with their length unchanged, in order and without overlap.

    Of two notes on one line the later goes to the next line; where that is taken too, or beyond the sound, it is left
    out. `beat`: seconds of a grid line.
    """
    line = GRIDS[quantise] * 60.0 / bpm * rate
    moved: list[Note] = []
    taken = -1
    for note in notes:
        place = max(0, round((note.start - beat * rate) / line))
        if place <= taken:
            if place < taken:
                continue
            place += 1
        start = max(0, round(place * line + beat * rate))
        if start >= frames:
            continue
        taken = place
        if moved and moved[-1].end > start:
            moved[-1] = replace(moved[-1], end=start)
        moved.append(replace(note, start=start, end=min(frames, start + max(1, note.end - note.start))))
    return moved
