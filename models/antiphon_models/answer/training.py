"""Counts the prior of `answer` in POP909 and JSB: python -m antiphon_models.answer.training DATA."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_answer.form import HALVES, halves_of
from antiphon_answer.memory import INTERVALS, TIMES, WIDEST, interval_and_time_symbols
from antiphon_answer.prior import INTERVAL_CLASSES, MODEL, PLACES, TIME_CLASSES, interval_class, time_class
from antiphon_models.answer.foreseeing import SlotMelody, melodies
from antiphon_models.material.wheels import make_and_write_weights

DETAILS = {
    "plugin": "answer",
    "licence": "MIT",
    "trained_on": "counts in melodies of POP909, songs whose number ends in 1 to 6, and of JSB's training part",
}


def count(given: Iterable[SlotMelody]) -> dict[str, NDArray[np.float64]]:
    """Arrays of the prior by name, from melodies in 4/4."""
    times, intervals = np.zeros((PLACES, TIME_CLASSES, TIMES)), np.zeros((2, 12, INTERVAL_CLASSES, INTERVALS))
    degrees, rhythms = np.ones((2, 12)), np.zeros((2, HALVES, HALVES))
    for song in given:
        if song.meter != 4:
            continue
        mode, tonic = divmod(song.key, 12)
        bars = [list[int]() for _ in range(song.notes[-1].slot // PLACES + 1)]
        for note in song.notes:
            bars[note.slot // PLACES].append(note.slot % PLACES)
        halves = [half for slots in bars for half in halves_of(slots)]
        first = next(n for n, half in enumerate(halves) if half)
        for n in range(first + 1, len(halves)):
            # of longer rests as of those of a bar
            rhythms[n % 2, halves[n - 1], halves[n]] += any(halves[max(0, n - 2) : n + 1])
        step, wait = 0, 4
        for before, note in zip(song.notes, song.notes[1:], strict=False):
            interval, time = interval_and_time_symbols(note.pitch - before.pitch, note.slot - before.slot)
            times[before.slot % PLACES, time_class(wait), time] += 1
            intervals[mode, (before.pitch - tonic) % 12, interval_class(step), interval] += 1
            degrees[mode, (note.pitch - tonic) % 12] += min(8.0, note.length)
            step, wait = interval - WIDEST, time
    return {
        "times": _smooth_by_two_contexts(times, times.sum(axis=0)[None], times.sum(axis=1)[:, None]),
        "intervals": _smooth_by_two_contexts(
            intervals, intervals.sum(axis=2)[:, :, None], intervals.sum(axis=(0, 1))[None, None]
        ),
        "rhythms": _smooth_witten_bell(
            rhythms, _smooth_witten_bell(rhythms.sum(axis=1), np.full(HALVES, 1.0 / HALVES))[:, None]
        ),
        "degrees": np.log(degrees / degrees.sum(axis=1, keepdims=True)),
    }


def _smooth_by_two_contexts(
    counts: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities over the last axis, smoothed by wider contexts, which are smoothed by the marginal."""
    size = counts.shape[-1]
    every = _smooth_witten_bell(counts.reshape(-1, size).sum(axis=0), np.full(size, 1.0 / size))
    means = [_smooth_witten_bell(context, every) for context in (one, other)]
    return _smooth_witten_bell(counts, np.add(*means) / 2)


def _smooth_witten_bell(counts: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Applies Witten-Bell smoothing to counts, with `base` as the prior."""
    total, kinds = counts.sum(axis=-1, keepdims=True), np.maximum(1, (counts > 0).sum(axis=-1, keepdims=True))
    blended: NDArray[np.float64] = (counts + kinds * base) / (total + kinds)
    return blended


def count_prior(data: Path) -> dict[str, NDArray[np.float16]]:
    """Counts the arrays of the prior; returns them in half precision."""
    return {name: array.astype(np.float16) for name, array in count(melodies(data, "train")).items()}


if __name__ == "__main__":
    make_and_write_weights(MODEL, count_prior, DETAILS, __doc__, "data")
