"""From the network's answers to notes: hop by hop as a performer needs them, or at once over a whole file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from antiphon_hum.learned import spec

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Found = tuple[float, float, int]
"""Seconds from and to, MIDI number."""
SECONDS = spec.HOP / spec.RATE


@dataclass(frozen=True, slots=True)
class Live:
    """Thresholds, probabilities; and times in hops.

    onset, note: that a note begins, that there is one.  wait: after a beginning, before its pitch is said; then it
    is said as soon as it is as sure as `sure` and moves by less than `settled` semitones a hop, after `patience` as
    it is if it is as sure as `guess`.  again: waited where the pitch is still that of the note before, which sounds
    on while the next begins; it is remembered for `recent`.  apart: between two beginnings.  quiet: below `off`, at
    first `young`, until a note is ended.  moved: on another key, or at rest
    with a note as likely as `late`, until that is a note.
    """

    onset: float = 0.25
    note: float = 0.3
    wait: int = 1
    sure: float = 0.8
    settled: float = 0.08
    patience: int = 10
    guess: float = 0.4
    again: int = 4
    recent: int = 15
    apart: int = 7
    quiet: int = 3
    off: float = 0.3
    young: float = 0.08
    moved: int = 5
    late: float = 0.6


class NoteDecoder:
    """One answer after another. After each `step`: `ended`, and `begun`, a MIDI number or None; `began` hops ago."""

    def __init__(self, live: Live, up: float = 0.0) -> None:
        """up: semitones that the sound is higher than the network takes it for."""
        self.live, self._up = live, up
        self.reset()

    def reset(self) -> None:
        self.number = -1
        self.begun: float | None = None
        self.ended = False
        self.began = 0
        self._since = self._rested = self._age = 99
        self._waiting = -1
        self._quiet = self._away = 0
        self._before = -1
        self._key = 0.0
        self._armed = True

    def step(self, a: F32, patience: int | None = None, odds: float = 0.0) -> None:
        """a: an answer `[ANSWER]`.  patience: instead of the one in `live`.  odds: added to the log odds of a
        beginning and of a note.
        """
        live = self.live
        most = live.patience if patience is None else patience
        self.begun, self.ended = None, False
        self._since += 1
        self._age += 1
        self._rested += 1
        onset, note = moved(float(a[spec.ONSET]), odds), moved(float(a[spec.NOTE]), odds)
        sure = float(a[spec.KEY_SURE])
        key = spec.pitch(float(a[spec.KEY])) + self._up
        moving, self._key = abs(key - self._key), key
        if onset < 0.5 * live.onset:
            self._armed = True
        if onset >= live.onset and self._armed and self._since >= live.apart:
            self._waiting, self._armed, self._since = 0, False, 0
        elif self._waiting >= 0:
            self._waiting += 1
        if self._waiting >= min(live.wait, most) and note >= live.note:
            last = self._before if self._rested < live.recent else self.number
            settled = sure >= live.sure and moving <= live.settled
            if (settled and (round(key) != last or self._waiting >= min(live.again, most))) or (
                self._waiting >= most and sure >= live.guess
            ):
                self._begin(key, self._waiting)
        if self._waiting >= max(live.patience, most):
            self._waiting = -1
        if self.begun is not None:
            return
        if self.number < 0:
            # a note that was not believed in when it began
            there = note >= live.late and sure >= live.sure and moving <= live.settled
            there = there and (self._rested >= live.recent or round(key) != self._before)
            self._away = self._away + 1 if there else 0
            if self._away >= live.moved and self._waiting < 0:
                self._begin(key, 0)
            return
        off = live.young if self._age < live.recent else live.off
        self._quiet = self._quiet + 1 if note < off else 0
        away = note >= live.note and abs(key - self.number) > 0.6 and sure >= live.sure
        self._away = self._away + 1 if away else 0
        if self._quiet >= live.quiet:
            self._before, self._rested = self.number, 0
            self.ended, self.number = True, -1
        elif self._away >= live.moved and self._waiting < 0:
            self._begin(key, 0)

    def _begin(self, key: float, ago: int) -> None:
        self.ended = self.number >= 0
        self.begun = key
        self.number = round(key)
        self.began = self._since = ago
        self._age = 0
        self._waiting = -1
        self._quiet = self._away = 0
        self._rested = 99

    def all(self, answers: F32) -> list[Found]:
        """Notes of answers `[hops, ANSWER]`, in seconds of the sound; starts are where the beginning was heard."""
        found: list[Found] = []
        start, number = -1.0, -1
        for hop, a in enumerate(answers):
            self.step(a)
            now = (hop + 1 - spec.NEAR) * SECONDS
            if self.ended and number >= 0:
                found.append((start, max(now, start + SECONDS), number))
                number = -1
            if self.begun is not None:
                start, number = now - self.began * SECONDS, round(self.begun)
        if number >= 0:
            found.append((start, len(answers) * SECONDS, number))
        return found


def moved(chance: float, odds: float) -> float:
    """The probability with so much more log odds."""
    return chance if odds == 0.0 else chance / (chance + (1.0 - chance) * math.exp(-odds) + 1e-9)


@dataclass(frozen=True, slots=True)
class PathCosts:
    """Of the path through a file. onset: probability at which beginning a note costs nothing.  begin: what it costs
    besides.  key, note: weights of what is heard of key and of there being a note.  least: hops of a note.
    """

    onset: float = 0.2
    begin: float = 1.2
    key: float = 0.4
    note: float = 1.0
    bias: float = 0.0
    least: int = 6


def filed(answers: F32, how: PathCosts | None = None) -> list[Found]:
    """The likeliest notes of a whole sound: rest, or a key with two copies so that it can begin again (Viterbi)."""
    how = how or PathCosts()
    p = np.clip(answers.astype(np.float64), 1e-4, 1.0 - 1e-4)
    hops, keys = len(p), spec.SEMITONES
    odds = how.note * (np.log(p[:, spec.FAR_NOTE]) - np.log(1.0 - p[:, spec.FAR_NOTE])) + how.bias
    key = how.key * (np.log(np.clip(p[:, spec.FAR_KEYS :], 1e-3, 1.0)))
    onset = p[:, spec.FAR_ONSET]
    begin = np.log(onset / (1.0 - onset)) - np.log(how.onset / (1.0 - how.onset)) - how.begin
    best = np.full(2 * keys + 1, -1e9)
    best[-1] = 0.0
    back = np.zeros((hops, 2 * keys + 1), np.int32)
    own = np.arange(2 * keys + 1)
    for n in range(hops):
        top = int(best.argmax())
        other = best.copy()
        other[top] = -1e18
        second = int(other.argmax())
        come = np.where(own == top, second, top)
        entering = best[come] + begin[n]
        # to rest there is no beginning to be paid for
        entering[-1] = best[come[-1]]
        better = entering > best
        back[n] = np.where(better, come, own)
        best = np.where(better, entering, best)
        best[:keys] += odds[n] + key[n]
        best[keys:-1] += odds[n] + key[n]
    path = np.empty(hops, np.int32)
    at = int(best.argmax())
    for n in range(hops - 1, -1, -1):
        path[n] = at
        at = int(back[n, at])
    return _notes(path, keys, how.least)


def _notes(path: NDArray[np.int32], keys: int, least: int) -> list[Found]:
    edges = np.concatenate([[0], np.flatnonzero(np.diff(path)) + 1, [len(path)]])
    return [
        ((a + 1 - spec.FAR) * SECONDS, (b + 1 - spec.FAR) * SECONDS, spec.LOWEST + int(path[a]) % keys)
        for a, b in pairwise(edges)
        if path[a] < 2 * keys and b - a >= least
    ]
