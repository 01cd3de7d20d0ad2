"""How much of what the gate would take may be taken, judged by what has been taken so far.

The network errs now and then. Three rules keep an error small; none holds once the noise is learned.
A frame's removal that is small against the sound is always right: it can do no harm. The less noise
there has been, the more an error costs: with little so far, a frame in which much would go is mostly
let through. And what changes in level and is nearly all that sounds is the sound itself.
"""

from __future__ import annotations

import math

HARMLESS = 10.0**-2.5
LEAST, SURE_FROM, SURE_OVER = 0.3, -16.0, 8.0
MOST, DOUBT = 0.75, 0.25
STEADY = 3.0
# in hops of 13.3 ms: how long the two shares remember, and half the reach of the floor
SOON, LASTING, WINDOW = 0.99, 0.999, 150
FILLING = 4
_QUIET = 1e-10


class _Share:
    """A running share of power taken: the plain mean at first, then with a memory of 1 / (1 - keep) hops."""

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self.reset()

    def reset(self) -> None:
        self._count = self.whole = self._taken = 0.0

    def update(self, level: float, taken: float) -> float:
        self._count = self._count * self._keep + 1.0
        self.whole += (level - self.whole) / self._count
        self._taken += (taken - self._taken) / self._count
        return self._taken / (self.whole + _QUIET)


class Care:
    """One stream's; levels are mean powers of a frame."""

    def __init__(self) -> None:
        self._soon, self._lasting = _Share(SOON), _Share(LASTING)
        self.reset()

    def reset(self) -> None:
        self._soon.reset()
        self._lasting.reset()
        self._smooth = 0.0
        self._lowest = self._before = math.inf
        self._hops = 0

    def update(self, level: float, taken: float) -> float:
        """One hop of this level, of which the gate would take this much: how much of that it may, 0..1."""
        share = 10.0 * math.log10(self._soon.update(level, taken) + _QUIET)
        most = self._lasting.update(level, taken)
        floor = self._floor(level)
        care = 1.0
        harmless = HARMLESS * self._soon.whole
        if taken > harmless:
            sure = LEAST + (1.0 - LEAST) * (share - SURE_FROM) / SURE_OVER
            care = min(1.0, max(sure, LEAST, math.sqrt(harmless / taken)))
        if level > STEADY * floor:
            care = min(care, max(0.0, (MOST - most) / DOUBT))
        return care

    def _floor(self, level: float) -> float:
        """The lowest of the smoothed level in the last two to four seconds."""
        self._hops += 1
        if self._hops <= FILLING:
            # frames that reach back before the start are too quiet to go by
            self._smooth = level
            return level
        self._smooth = 0.5 * (self._smooth + level)
        if self._hops % WINDOW == 0:
            self._before, self._lowest = self._lowest, math.inf
        self._lowest = min(self._lowest, self._smooth)
        return min(self._before, self._lowest)
