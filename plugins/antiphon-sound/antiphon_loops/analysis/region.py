"""Loop region of a file, and its number of bars.

The region is the file's stated one (`labels`), or all of it, without initial silence unless that is a rest.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from antiphon.api import F32
from antiphon_loops.analysis import tables, tempo
from antiphon_loops.analysis.reading import SHORTEST, TempoLabel
from antiphon_loops.analysis.spectrum import LOWEST, RATE, Picture, picture
from antiphon_loops.analysis.tables import BarCount, LoopTables

SILENCE = -50.0
"""Silence threshold at the beginning of a file, dB below the loudest piece of `_PIECE` seconds."""
KEPT_SILENCE = 0.03
"""Initial silence in seconds that is kept: an mp3's padding is as long."""
_PIECE = 0.005
_OFF, _WHOLE, _WORSE, _BETTER = 0.1, 0.1, 0.1, 0.1
"""Thresholds of a rest: maximum offset of its end in eighths, and minimum score of a loop that begins with one,
absolute and relative to the part behind it; and minimum score gain of the whole, if it has whole bpm. By the first
three 35 of 45 rendered loops with a rest keep it, and 1 of 202 loops behind a silence of 0.05 to 1.5 s, and 4 of 100
excerpts of recordings. By all, 113 of 118 rendered loops of 60 to 160 bpm, of half seconds, keep a gap of 0.03 to 0.6 s
(23 by the first three), and 6 of 120 that a silence makes as long as half seconds (none).
"""
_MAX_CUT = 0.5
"""Maximum share of a file cut away to make whole bars of a stated tempo."""


@dataclass(frozen=True, slots=True)
class LoopReading:
    """Region of a file, and its bars."""

    first: int  # its first frame
    last: int  # the frame after its last
    seen: Picture
    role: str  # one of `ROLES`
    count: BarCount  # its bars
    origin: str = "sound"  # where its tempo is from: "sound", or the label's origin


def read_region(samples: F32, mono: F32, rate: int, label: TempoLabel) -> LoopReading:
    """Loop in a file `[channels, frames]`, `[frames]` of peak 1, by the shipped tables."""
    known = tables.load()
    first, last = _stated_part(samples.shape[1], rate, label)
    starts = [first]
    lead = silence_before(samples[:, first:last], rate)
    if lead > KEPT_SILENCE * rate and (last - first - lead) > SHORTEST * rate:
        starts.append(first + lead)
    readings = [_read(mono, rate, at, last, known) for at in starts]
    stated = _stated_reading(readings, mono, rate, label, known)
    if stated is not None:
        return stated
    return readings[0] if len(readings) == 1 or _is_rest(lead / rate, *readings) else readings[1]


def _is_rest(seconds: float, whole: LoopReading, rest: LoopReading) -> bool:
    """True if the silence at the beginning of the whole belongs to its bars.

    It does if it ends on an 8th and the whole scores about as high as the part behind the silence; if the whole has the
    length of bars of a round tempo; or if that length also fits an excerpt and the whole scores higher.
    """
    length, bars = whole.seen.seconds, whole.count.bars
    if tempo.is_round(length, bars):
        return True
    if tempo.has_whole_bpm(length, bars) and whole.count.score > rest.count.score + _BETTER:
        return True
    eighths = seconds / length * bars * 8.0
    on_eighth = abs(eighths - round(eighths)) <= _OFF and round(eighths) >= 1
    return on_eighth and whole.count.score > max(_WHOLE, rest.count.score - _WORSE)


def silence_before(samples: F32, rate: int) -> int:
    """Frames of initial silence in `[channels, frames]`."""
    step = max(1, round(_PIECE * rate))
    count = samples.shape[1] // step
    if not count:
        return 0
    pieces = samples[:, : count * step].reshape(samples.shape[0], count, step)
    level = np.sqrt((pieces.astype(np.float64) ** 2).mean(axis=2).max(axis=0))
    return int(np.argmax(level >= level.max() * 10 ** (SILENCE / 20))) * step


def _stated_part(frames: int, rate: int, label: TempoLabel) -> tuple[int, int]:
    """Region between the file's own loop points, if that is at least half of it: else the whole."""
    if label.first is None or label.last is None:
        return 0, frames
    first, last = round(label.first * rate), min(frames, round(label.last * rate))
    enough = max(SHORTEST * rate, _MAX_CUT * frames)
    return (first, last) if last - first >= enough else (0, frames)


def _read(mono: F32, rate: int, first: int, last: int, known: LoopTables) -> LoopReading:
    import soxr

    part = mono[first:last]
    seen = picture(np.asarray(soxr.resample(part, rate, RATE), np.float32), len(part) / rate)
    role = known.role(seen)
    count = known.bars(seen, role)
    if not tempo.beats(seen):
        count = BarCount(count.bars, 0.0, count.other, count.score)
    return LoopReading(first, last, seen, role, count)


def _stated_reading(
    readings: list[LoopReading], mono: F32, rate: int, label: TempoLabel, known: LoopTables
) -> LoopReading | None:
    """Reading with the file's own tempo; None without one or without whole bars at it."""
    if label.bpm is None:
        return None
    near = tempo.NEAR if label.certain else tempo.NEAR_NUMBER
    counts = [tempo.bars_at(label.bpm, reading.seen.seconds, near) for reading in readings]
    fitting = [_stated(reading, n, label.origin) for reading, n in zip(readings, counts, strict=True) if n]
    if fitting:
        return min(fitting, key=partial(_tempo_distance, bpm=label.bpm))
    reading = readings[-1]
    bars = int(label.bpm * (reading.last - reading.first) / rate / 240.0)
    frames = round(bars * 240.0 / label.bpm * rate)
    if not label.certain or bars < 1 or frames < max(SHORTEST * rate, _MAX_CUT * (reading.last - reading.first)):
        return None
    return _stated(_read(mono, rate, reading.first, reading.first + frames, known), bars, label.origin)


def _tempo_distance(reading: LoopReading, bpm: float) -> float:
    """Distance in octaves of a reading's tempo from a stated one, or from twice that."""
    octaves = math.log2(240.0 * reading.count.bars / reading.seen.seconds / bpm)
    return abs(octaves - round(octaves))


def _stated(reading: LoopReading, bars: int, origin: str) -> LoopReading:
    count = BarCount(bars, 1.0, reading.count.bars, reading.count.score)
    return LoopReading(reading.first, reading.last, reading.seen, reading.role, count, origin)


# ---- Embedding of a loop's harmony and rhythm by its grid of 16ths; the product of two is their compatibility

BARS, STEPS = 4, 64
CLASSES, BEATS = 12, 16
WEIGHTS = (8.0, 1.6)
"""Weights of harmony and rhythm in the product of two vectors, chosen on songs of validation."""


def grid(seen: Picture, bars: int) -> F32:
    """Pitch classes, and onsets of low bands in the last row, float32 `[CLASSES + 1, STEPS]`, of 0 to 1.

    A loop of fewer bars is repeated; of a longer one the first four are used.
    """
    level = np.sqrt(seen.notes)
    classes = np.zeros((level.shape[1], CLASSES))
    for pitch, row in enumerate(level):
        classes[:, (pitch + LOWEST) % CLASSES] += row
    chroma = _steps(classes, bars, STEPS)
    onsets = _steps(seen.onsets[:1].T, bars, STEPS)
    return np.hstack([part / (part.max() + 1e-9) for part in (chroma, onsets)]).T.astype(np.float32)


def _steps(rows: np.ndarray[tuple[int, ...], np.dtype[np.floating]], bars: int, steps: int) -> F32:
    """Means of `[frames, n]`, a circle of `bars` bars, around each of `steps` positions in four bars."""
    frames = len(rows)
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(np.concatenate([rows, rows, rows]), axis=0)])
    width = frames * BARS / (bars * steps)
    # a step's place is its middle: an onset a little early or late stays in it
    middle = np.arange(steps) * width % frames + frames
    edges = np.stack([middle - width / 2, middle + width / 2]) + 0.5
    below = np.floor(edges).astype(int)
    part = (edges - below)[..., None]
    at = total[below] * (1 - part) + total[below + 1] * part
    return np.asarray((at[1] - at[0]) / width, np.float32)


def fit_values(reading: LoopReading) -> dict[str, Any]:
    """Quantities of a loop."""
    seen, bars = reading.seen, reading.count.bars
    loop = grid(seen, bars)
    register = None
    if reading.role == "drums":
        loop[:CLASSES] = 0.0
    else:
        level = np.sqrt(seen.notes).sum(axis=1)
        register = float(level @ (np.arange(len(level)) + LOWEST) / (level.sum() + 1e-12))
    onsets = seen.onsets[3]
    peaks = (onsets > np.roll(onsets, 1)) & (onsets >= np.roll(onsets, -1)) & (onsets > onsets.mean() + onsets.std())
    return {
        "fit_bpm": 240.0 * bars / seen.seconds,
        "fit_density": float(peaks.sum()) / (4.0 * bars),
        "fit_register": register,
        "fit": vector(loop),
    }


def vector(loop: F32) -> F32:
    """Embedding of a grid, float32 `[n]`: harmony `[12, BEATS]` row by row, then onsets."""
    beats = loop[:CLASSES].reshape(CLASSES, BEATS, -1).mean(axis=2)
    level = beats.sum(axis=0)
    harmony = beats / (level + 0.15 * level.max() + 1e-6)
    onsets = loop[CLASSES:]
    centred = (harmony - harmony.mean(axis=0), onsets - onsets.mean(axis=1, keepdims=True))
    parts = [
        np.sqrt(weight) / (np.linalg.norm(part) + 1e-9) * part.ravel()
        for part, weight in zip(centred, WEIGHTS, strict=True)
    ]
    return np.concatenate(parts).astype(np.float32)
