"""Tick tracking: tempo and beat of a MIDI clock from the times of its ticks.

    loop = TickLoop()
    for ns in times:
        loop.tick(ns)
    loop.bpm, loop.ticks_at(now)

It is a second-order loop that predicts each tick and corrects position and period by the prediction error. Its gains
are those of the least-squares line through the last k ticks: k grows from the first tick to `MEMORY`, so that the
estimate is optimal from the start, and then stays constant, so that a changing clock is followed. (E. Brookner,
"Tracking and Kalman Filtering Made Easy", 1998, section 1.2.10: the growing-memory g-h filter; F. Adriaensen, "Using a
DLL to filter time", 2005, for the loop.)

A tick far from its prediction is counted as an outlier and not used. After `SUSPECTS` outliers in a row a line is
fitted to them: with the same period, ticks were lost or doubled; with another, the tempo has changed.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

PPQN = 24
"""Ticks per quarter note, by the MIDI 1.0 specification."""
MEMORY = 4 * PPQN
"""Memory of the loop in ticks: four beats."""
MEMORY_SECONDS = 2.0
"""Minimum memory in seconds, for fast tempos."""
SUSPECTS, MAX_SUSPECTS = PPQN // 2, 2 * PPQN
WIDE = 6.0
"""Outlier limit: a tick is used if its error is below this many standard deviations, or `FLOOR`."""
FLOOR = 0.001
"""Minimum error limit in s, near the time of a MIDI byte on a cable (0.32 ms) and of a sender's loop."""
LEAN = 5.0
"""Mean error in standard deviations beyond which the loop's bandwidth is raised: a slow tempo change."""
SMOOTH = 1.0 / 12.0
SAME = 0.02
"""Relative difference below which two periods are one tempo."""
SHORTEST = 1e-4
"""Minimum period in seconds, for ticks that arrive all at once."""


class TickLoop:
    """Follows one clock. Times are CLOCK_MONOTONIC in ns; everything else is in seconds."""

    def __init__(self) -> None:
        """Creates a loop without ticks."""
        self.used = 0  # ticks that the present estimate rests on, at most those of its memory
        self.count = -1  # number of the last tick, from 0 on, lost ones included
        self.lost = 0
        self.period = 0.0  # seconds from tick to tick
        self._origin = 0
        self._at = 0.0
        self._spread = 0.0
        self._lean = 0.0
        self._suspects: list[float] = []

    @property
    def bpm(self) -> float:
        """The tempo in beats per minute; 0 before two ticks."""
        return 60.0 / (PPQN * self.period) if self.period > 0.0 else 0.0

    @property
    def jitter(self) -> float:
        """Standard deviation in seconds of the ticks from the fitted line."""
        return math.sqrt(self._spread)

    def ticks_at(self, ns: int) -> float:
        """The clock's position at a time, in ticks from its first one, by the current line."""
        if self.period <= 0.0:
            return float(max(self.count, 0))
        return self.count + ((ns - self._origin) / 1e9 - self._at) / self.period

    def ns_of(self, tick: float) -> int:
        """Time in ns of a tick, by the current line."""
        return self._origin + round((self._at + (tick - self.count) * self.period) * 1e9)

    def tick(self, ns: int) -> bool:
        """Processes a tick at `ns`; returns True if it was at its predicted time."""
        if self.count < 0:
            self._origin = ns
        t = (ns - self._origin) / 1e9
        self.count += 1
        expected = self._at + self.period
        error = t - expected
        if self.used >= 3 and abs(error) > self._error_limit():
            self._at = expected
            self._suspects.append(t)
            if len(self._suspects) >= SUSPECTS:
                self._judge()
            return False
        self._suspects.clear()
        self._correct(expected, error)
        return True

    def anchor(self, ns: int) -> None:
        """Resumes after a pause: the last tick, at `ns`, is the new origin, at the previous tempo."""
        self._at = (ns - self._origin) / 1e9
        self.used = min(self.used, SUSPECTS)
        self._lean = 0.0
        self._suspects.clear()

    def _error_limit(self) -> float:
        if self.used < PPQN:
            # the period is known roughly yet; a lost tick is a whole one off
            return (0.75 if self.used < SUSPECTS else 0.5) * self.period
        return min(0.5 * self.period, max(FLOOR, WIDE * self.jitter))

    def _correct(self, expected: float, error: float) -> None:
        memory = max(MEMORY, round(MEMORY_SECONDS / max(self.period, SHORTEST))) if self.used > 2 else MEMORY
        self.used = k = min(self.used + 1, min(memory, 8 * MEMORY))
        self._at = expected + error * 2.0 * (2 * k - 1) / (k * (k + 1))
        if k > 1:
            self.period = max(self.period + error * 6.0 / (k * (k + 1)), SHORTEST)
        if k > 3:
            # a line through n ticks predicts the next with (n+1)(n+2)/n(n-1) of a tick's variance; here n is k - 1
            own = error * error * (k - 1) * (k - 2) / (k * (k + 1))
            self._spread += (own - self._spread) * max(SMOOTH / 2.0, 1.0 / (k - 3))
            self._lean += SMOOTH * (error - self._lean)
            most = LEAN * math.sqrt(SMOOTH / (2.0 - SMOOTH)) * max(self.jitter, FLOOR / 10.0)
            if k > PPQN and abs(self._lean) > most:
                self.used, self._lean = PPQN, 0.0

    def _judge(self) -> None:
        """Handles a run of outliers: fits a new line once they lie on one."""
        rough = max(self.jitter, FLOOR / 10.0)
        line = _fit(self._suspects[-SUSPECTS:])
        if line.off > max(3.0 * rough, FLOOR):
            # a step among them: ticks are still being lost, or come again
            line = _fit(self._suspects[-SUSPECTS // 2 :])
            if line.off > max(3.0 * rough, FLOOR) and len(self._suspects) < MAX_SUSPECTS:
                return
        shift = round((line.last - self._at) / self.period)
        if shift and abs(line.period - self.period) < max(SAME * self.period, LEAN * rough / line.weight):
            # the count that fits the time: more ticks were sent than came, or fewer
            self.count += shift
            self.lost = max(0, self.lost + shift)
            self._at += shift * self.period
            if abs(line.last - self._at) > self._error_limit():
                self._at, self.used = line.last, SUSPECTS
        else:
            self._at, self.period, self.used = line.last, max(line.period, SHORTEST), SUSPECTS
        self._lean = 0.0
        self._suspects.clear()


class _Line(NamedTuple):
    """A least-squares line through n times."""

    last: float
    period: float
    off: float
    weight: float


def _fit(times: Sequence[float]) -> _Line:
    n, middle, mean = len(times), (len(times) - 1) / 2.0, sum(times) / len(times)
    squares = n * (n * n - 1) / 12.0
    period = sum((i - middle) * t for i, t in enumerate(times)) / squares
    off = math.sqrt(sum((t - mean - (i - middle) * period) ** 2 for i, t in enumerate(times)) / (n - 2))
    return _Line(mean + middle * period, period, off, math.sqrt(squares))
