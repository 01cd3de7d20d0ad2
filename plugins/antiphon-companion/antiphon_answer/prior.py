"""Prior of melodies: shipped counts, and simple defaults if they are not installed."""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon_answer.form import HALVES
from antiphon_answer.memory import INTERVALS, TIMES, WIDEST

MODEL = "answer-prior"
PLACES = 16
"""Number of bar positions of times, in sixteenths; other meters wrap around."""
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
TIME_CLASSES, INTERVAL_CLASSES = len(_STEPS), 7
_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
KEYS = (*_NAMES, *(f"{name}m" for name in _NAMES))
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_FADE = 0.98
"""Factor of the evidence for the key at each new note."""
_DEGREES = (np.arange(12)[None, :] - np.arange(12)[:, None]) % 12
"""Degree by `[tonic, pitch class]`."""
_OUTSIDERS = np.ones((2, 12))
"""Degrees outside major, and outside all kinds of minor."""
_OUTSIDERS[0, SCALES[0]] = _OUTSIDERS[1, (*SCALES[1], 9, 11)] = 0.0
_SOUND, _OUTSIDE = 0.15, -0.2
"""Weights of a key's log-likelihood for the duration of each degree, and for each sixteenth outside its scale."""
_TONIC = np.array((0.91, 0.535, 0.17, 0.24))
_TRIAD = np.array((0.96, 0.14, 0.27, 0.0))
"""Weights of each `Roles` row's notes that are a key's tonic, and its third or fifth.

All fitted to four bars each of POP909's songs whose numbers end in 1 to 6, and, at .18 of their weight, to generated
melodies that begin and end about their tonic, in major and in natural, harmonic and dorian minor.
"""
_MINOR, _DORIAN = -0.21, -0.5
"""Log-likelihood of minor relative to major, and of dorian minor (raised sixth) relative to other minor. The latter was
chosen on 300 generated melodies of each kind, and on POP909's songs ending in 7, where it costs .002.
"""
_RAISED = [*range(8), 9, 8, 10, 11]
"""Degrees of minor, indexed by degree in dorian minor."""
_log = logging.getLogger("antiphon.answer")


def time_class(sixteenths: int) -> int:
    """Class of an inter-onset time: the nearest of 1, 2, 3, 4, 6, 8, 12 and 16 sixteenths, by ratio."""
    return min(range(TIME_CLASSES), key=lambda n: abs(math.log(max(0.5, sixteenths) / _STEPS[n])))


def interval_class(semitones: int) -> int:
    """Class of an interval: repeated; up by a step, a third, more; down likewise."""
    size = abs(semitones)
    return 0 if not size else (1 if size < 3 else 2 if size < 6 else 3) + (0 if semitones > 0 else 3)


def degree_of(pitch: int, key: int) -> int:
    """Degree of a pitch, 0 the tonic next above MIDI number 0; outside the scale that of the next lower one."""
    octave, above = divmod(pitch - key % 12, 12)
    return 7 * octave + bisect_right(SCALES[key // 12], above) - 1


def pitch_of(degree: int, key: int) -> int:
    """Pitch of a degree."""
    return 12 * (degree // 7) + SCALES[key // 12][degree % 7] + key % 12


class Roles:
    """Note counts that tell the key, `counts[role, pitch class]`: first, last, long, reached from a semitone below."""

    FIRST, LAST, LONG, LED = range(4)
    _LONG_WAIT, _PHRASE_WAIT = 6, 16

    def __init__(self) -> None:
        self.counts = np.zeros((4, 12))
        self._pitch = -1

    def clear(self) -> None:
        self.counts.fill(0.0)
        self._pitch = -1

    def learn(self, pitch: int, time: int, *, first: bool) -> None:
        """Learns a note `time` sixteenths after the previous one; first: no note precedes it."""
        self.counts *= _FADE
        before = self._pitch
        if before >= 0:
            self.counts[self.LONG, before % 12] += first or time >= self._LONG_WAIT
            self.counts[self.LED, pitch % 12] += pitch - before == 1
        if first or before < 0 or time >= self._PHRASE_WAIT:
            self.counts[self.FIRST, pitch % 12] += 1.0
            if before >= 0:
                self.counts[self.LAST, before % 12] += 1.0
        self._pitch = pitch

    def current_counts(self) -> F64:
        """Counts `[4, 12]` with the newest note as the last."""
        counts = self.counts.copy()
        if self._pitch >= 0:
            counts[self.LAST : self.LONG + 1, self._pitch % 12] += 1.0
        return counts


@dataclass(frozen=True)
class Prior:
    """Probabilities of a melody's next note, in modes major and minor.

    `times`: `[PLACES, TIME_CLASSES, TIMES]` to the next onset, by place in the bar and previous time; `intervals`:
    `[2, 12, INTERVAL_CLASSES, INTERVALS]`, by mode, degree and previous interval; `degrees`: `[2, 12]`, log share of
    each degree, for estimating keys; `rhythms`: `[2, HALVES, HALVES]`, of the onsets of a bar's first and second half,
    by those of the half before.
    """

    times: F64
    intervals: F64
    degrees: F64
    rhythms: F64

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Prior:
        """Takes the arrays by name, in any precision. Raises `ModelError`: they do not fit."""
        shapes: dict[str, tuple[int, ...]] = {
            "times": (PLACES, TIME_CLASSES, TIMES),
            "intervals": (2, 12, INTERVAL_CLASSES, INTERVALS),
            "degrees": (2, 12),
            "rhythms": (2, HALVES, HALVES),
        }
        tables = {name: find_array(arrays, name, *shape).astype(np.float64) for name, shape in shapes.items()}
        for name in ("times", "intervals", "rhythms"):
            # what half precision has rounded to 0 stays possible
            tables[name] = np.maximum(tables[name], 1e-7)
            tables[name] /= tables[name].sum(axis=-1, keepdims=True)
        return cls(**tables)

    def fits(self, sounds: F64, roles: F64 | None = None) -> F64:
        """Returns the log-likelihood `[24]` of each key, from the pitch classes' durations (`[12]`) and `Roles.now`."""
        weights = _SOUND * self.degrees + _OUTSIDE * _OUTSIDERS
        fits = weights[:, _DEGREES] @ sounds
        dorian = weights[1, _RAISED][_DEGREES] @ sounds
        fits[1] = _MINOR + np.maximum(fits[1], dorian + _DORIAN)
        if roles is not None:
            tonic, triad = _TONIC @ roles, _TRIAD @ roles
            for mode, third in enumerate((4, 3)):
                fits[mode] += tonic + np.roll(triad, -third) + np.roll(triad, -7)
        return fits.reshape(24)

    def key(self, sounds: F64, roles: F64 | None = None) -> int:
        """Returns the most likely key, 0 to 23, from the arguments of `fits`."""
        return int(np.argmax(self.fits(sounds, roles)))


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
    onsets = np.arange(HALVES)[:, None] >> np.arange(8) & 1
    # quarters mostly, eighths often, sixteenths hardly
    likely = np.where(onsets, (0.7, 0.02, 0.4, 0.02) * 2, (0.3, 0.98, 0.6, 0.98) * 2).prod(axis=1)
    rhythms = np.broadcast_to(likely / likely.sum(), (2, HALVES, HALVES))
    return Prior(times, intervals, np.log(degrees / degrees.sum(axis=1, keepdims=True)), rhythms)
