"""Sequence memory: all played notes, each with the length of its match to the newest context.

No tables grow: a note is a row of arrays of fixed size, and three numbers per row count the latest notes that agree
with the notes up to the row: by interval and time, by interval alone, by time alone. So each order is counted on
demand, from the rows that match so far.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f64p, i64, i64p, kernel

ROWS = 4096
"""Maximum number of notes; beyond it the older half is dropped."""
WIDEST, LONGEST = 24, 32
"""Maximum intervals in semitones, and maximum times in sixteenths; larger ones are clipped."""
INTERVALS, TIMES = 2 * WIDEST + 1, LONGEST + 1
SYMBOLS = INTERVALS * TIMES
ORDERS = 8
"""Maximum context length in notes."""
TRUST = np.array([20.0, 16.0, 12.0, 12.0, 10.0, 6.0, 4.0, 3.0, 2.0])
"""Weight of each context order relative to the lower ones: chosen on validation songs."""
_FULL = 64
"""Maximum match length; longer ones are clipped."""
NO_SYMBOL = -1
"""Symbol of a piece's first note, which has no predecessor."""


@kernel
def answer_extend_matches(symbols: i64p, matches: i64p, count: i64, symbol: i64) -> None:
    """matches[i] ← length of the common suffix of the history, `symbol` the newest, and the rows up to i."""
    i = count - 1
    while i > 0:
        before = matches[i - 1] + 1
        matches[i] = min(before, _FULL) if symbols[i] == symbol else 0
        i -= 1
    if count > 0:
        matches[0] = 1 if symbols[0] == symbol else 0


class BlendSource(NamedTuple):
    """Rows of the memory, with their matches to the newest context."""

    symbols: i64p
    matches: i64p
    weights: f64p
    rows: i64


@kernel
def answer_blend_continuations(
    m: BlendSource, trust: f64p, orders: i64, chances: f64p, size: i64, counts: f64p
) -> None:
    """chances ← blended with the continuations of matching rows, order by order (Witten-Bell weights)."""
    for order in range(orders + 1):
        for n in range(size):
            counts[n] = 0.0
        total = 0.0
        kinds = 0.0
        for i in range(m.rows - 1):
            if m.matches[i] >= order:
                symbol = m.symbols[i + 1]
                if symbol >= 0:
                    if counts[symbol] == 0.0:
                        kinds += 1.0
                    counts[symbol] = counts[symbol] + m.weights[i + 1]
                    total += m.weights[i + 1]
        if total <= 0.0:
            break
        kinds = kinds * trust[order]
        for n in range(size):
            chances[n] = (counts[n] + kinds * chances[n]) / (total + kinds)


@kernel
def answer_joint_probabilities(intervals: f64p, times: f64p, chances: f64p) -> None:
    """chances ← joint probabilities of independent intervals and times."""
    for interval in range(INTERVALS):
        for time in range(TIMES):
            chances[interval * TIMES + time] = intervals[interval] * times[time]


class Matches:
    """Match lengths of a history with each memory row: jointly, by interval, by time."""

    def __init__(self) -> None:
        self.joint, self.intervals, self.times = (np.zeros(ROWS, np.int64) for _ in range(3))

    def copy(self, other: Matches) -> None:
        """Copies the matches of another history."""
        self.joint[:], self.intervals[:], self.times[:] = other.joint, other.intervals, other.times

    def clear(self) -> None:
        for rows in (self.joint, self.intervals, self.times):
            rows.fill(0)

    def shift(self, by: int) -> None:
        """Shifts the matches after the memory dropped its first `by` rows."""
        for rows in (self.joint, self.intervals, self.times):
            rows[:-by] = rows[by:]


class Memory:
    """Note rows in playing order, `count` in use; arrays `[ROWS]`.

    `intervals`: semitones from the note before, from 0 (a fall by `WIDEST`); `times`: sixteenths from the onset before;
    `joint`: both as one symbol; the three are `NO_SYMBOL` for a first note. `pitches`: MIDI numbers; `bars`: equal for
    notes of one bar; `places`, `late`, `lengths`: in sixteenths, the distance from the bar line, the delay from that
    place, and the note's length; `velocities`: above 0 to 1; `weights`: weight of each row.
    """

    def __init__(self) -> None:
        self.count = 0
        self.intervals, self.times, self.joint, self.pitches, self.places, self.bars = (
            np.full(ROWS, NO_SYMBOL, np.int64) for _ in range(6)
        )
        self.lengths, self.velocities, self.weights, self.late = (np.ones(ROWS) for _ in range(4))
        self._counts, self._by_interval, self._by_time = np.zeros(SYMBOLS), np.zeros(INTERVALS), np.zeros(TIMES)

    def clear(self, keep: int = 0) -> None:
        """Drops all rows but the first `keep`."""
        self.count = keep

    def add(self, pitch: int, time: int, place: int, velocity: float, matches: Matches, first: bool = False) -> None:
        """Adds a note, and updates the matches of its history.

        time, place: sixteenths from the previous onset, and from the bar line; first: no note precedes this one.
        """
        if self.count == ROWS:
            half = ROWS // 2
            for rows in (self.intervals, self.times, self.joint, self.pitches, self.places, self.bars):
                rows[:half] = rows[half:]
            for numbers in (self.lengths, self.velocities, self.weights, self.late):
                numbers[:half] = numbers[half:]
            matches.shift(half)
            self.count = half
        n = self.count
        self.count = n + 1
        self.pitches[n], self.places[n], self.velocities[n], self.lengths[n] = pitch, place, velocity, 1.0
        self.weights[n], self.late[n], self.bars[n] = 1.0, 0.0, 0
        if first or n == 0:
            self.intervals[n] = self.times[n] = self.joint[n] = NO_SYMBOL
            matches.clear()
            return
        self.intervals[n], self.times[n] = interval_and_time_symbols(pitch - int(self.pitches[n - 1]), time)
        self.joint[n] = self.intervals[n] * TIMES + self.times[n]
        self.follow(int(self.intervals[n]), int(self.times[n]), matches)

    def follow(self, interval: int, time: int, matches: Matches) -> None:
        """Extends a history by an interval and a time, as symbols."""
        answer_extend_matches(self.joint, matches.joint, self.count, interval * TIMES + time)
        answer_extend_matches(self.intervals, matches.intervals, self.count, interval)
        answer_extend_matches(self.times, matches.times, self.count, time)

    def predict(
        self,
        matches: Matches,
        by_interval: NDArray[np.float64],
        by_time: NDArray[np.float64],
        chances: NDArray[np.float64],
        *,
        memory: bool = True,
    ) -> None:
        """chances `[SYMBOLS]` ← probabilities of the next note, `interval * TIMES + time`, given a history's matches.

        by_interval `[INTERVALS]`, by_time `[TIMES]`: probabilities of the prior, used alone without `memory`.
        """
        np.copyto(self._by_interval, by_interval)
        np.copyto(self._by_time, by_time)
        if memory:
            self._blend_continuations(self.intervals, matches.intervals, self._by_interval)
            self._blend_continuations(self.times, matches.times, self._by_time)
        answer_joint_probabilities(self._by_interval, self._by_time, chances)
        if memory:
            self._blend_continuations(self.joint, matches.joint, chances)

    def _blend_continuations(
        self, symbols: NDArray[np.int64], matches: NDArray[np.int64], chances: NDArray[np.float64]
    ) -> None:
        answer_blend_continuations(
            BlendSource(symbols, matches, self.weights, self.count), TRUST, ORDERS, chances, len(chances), self._counts
        )


def interval_and_time_symbols(semitones: int, sixteenths: int) -> tuple[int, int]:
    """Symbols of an interval and a time."""
    return min(WIDEST, max(-WIDEST, semitones)) + WIDEST, min(LONGEST, max(0, sixteenths))
