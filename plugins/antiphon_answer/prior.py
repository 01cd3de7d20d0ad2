"""Prior of melodies: shipped counts, and simple defaults if they are not installed."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon_answer.memory import INTERVALS, TIMES, WIDEST

MODEL = "answer-prior"
PLACES = 16
"""Sixteenths of the bar positions of times; in another meter modulo this."""
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
TIME_CLASSES, INTERVAL_CLASSES = len(_STEPS), 7
_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
KEYS = (*_NAMES, *(f"{name}m" for name in _NAMES))
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_DEGREES = (np.arange(12)[None, :] - np.arange(12)[:, None]) % 12
"""Degree by `[tonic, pitch class]`."""
_log = logging.getLogger("antiphon.answer")


def time_class(sixteenths: int) -> int:
    """Class of an inter-onset time: the nearest of 1, 2, 3, 4, 6, 8, 12 and 16 sixteenths, by ratio."""
    return min(range(TIME_CLASSES), key=lambda n: abs(math.log(max(0.5, sixteenths) / _STEPS[n])))


def interval_class(semitones: int) -> int:
    """Class of an interval: repeated; up by a step, a third, more; down likewise."""
    size = abs(semitones)
    return 0 if not size else (1 if size < 3 else 2 if size < 6 else 3) + (0 if semitones > 0 else 3)


@dataclass(frozen=True)
class Prior:
    """Probabilities of a melody's next note, in modes major and minor.

    `times`: `[PLACES, TIME_CLASSES, TIMES]` to the next onset, by place in the bar and the time before; `intervals`:
    `[2, 12, INTERVAL_CLASSES, INTERVALS]`, by mode, degree and the interval before; `degrees`: `[2, 12]`, log share of
    each degree, by which keys are estimated.
    """

    times: F64
    intervals: F64
    degrees: F64

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Prior:
        """Prior of arrays by name, in any precision. Raises `ModelError`: they do not fit."""
        shapes: dict[str, tuple[int, ...]] = {
            "times": (PLACES, TIME_CLASSES, TIMES),
            "intervals": (2, 12, INTERVAL_CLASSES, INTERVALS),
            "degrees": (2, 12),
        }
        tables = {name: find_array(arrays, name, *shape).astype(np.float64) for name, shape in shapes.items()}
        for name in ("times", "intervals"):
            # what half precision has rounded to 0 stays possible
            tables[name] = np.maximum(tables[name], 1e-7)
            tables[name] /= tables[name].sum(axis=-1, keepdims=True)
        return cls(**tables)

    def fits(self, sounds: F64) -> F64:
        """Log-likelihood `[24]` of each key, given the durations of the pitch classes (`[12]`)."""
        return (self.degrees[:, _DEGREES] @ sounds).reshape(24)

    def key(self, sounds: F64) -> int:
        """Most likely key, 0 to 23, given the durations of the pitch classes (`[12]`)."""
        return int(np.argmax(self.fits(sounds)))


@cache
def installed_prior() -> Prior:
    """The installed prior; defaults, with a warning, if it is missing or changed."""
    try:
        return Prior.of(read_weights(MODEL))
    except ModelError as error:
        _log.warning("%s; answer begins with plain guesses", error)
        return plain()


def plain() -> Prior:
    """Default prior: small intervals within the scale, times that end on strong places."""
    times = np.full((PLACES, TIME_CLASSES, TIMES), 1e-4)
    for place in range(PLACES):
        for time in range(1, TIMES):
            to = (place + time) % PLACES
            strong = 4.0 if to % 4 == 0 else 2.0 if to % 2 == 0 else 0.3
            times[place, :, time] += strong * math.exp(-time / 4.0)
    times /= times.sum(axis=-1, keepdims=True)
    intervals, degrees = np.full((2, 12, INTERVAL_CLASSES, INTERVALS), 1e-4), np.full((2, 12), 0.01)
    for mode, scale in enumerate(SCALES):
        degrees[mode, list(scale)] = 0.1
        degrees[mode, list(scale)[::2]] += 0.05
        for degree in range(12):
            for semitones in range(-12, 13):
                if (degree + semitones) % 12 in scale:
                    intervals[mode, degree, :, semitones + WIDEST] += math.exp(-abs(semitones) / 3.0)
    intervals /= intervals.sum(axis=-1, keepdims=True)
    return Prior(times, intervals, np.log(degrees / degrees.sum(axis=1, keepdims=True)))
