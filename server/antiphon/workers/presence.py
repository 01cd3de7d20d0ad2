"""What is heard while a worker's hops are there, or are not: equal-power fades of 10 ms, hop by hop."""

from __future__ import annotations

import math

import numpy as np

from antiphon.block import Samples

FADE = 0.010


class Presence:
    """Plays hops of answers, and what stands in for them: the dry sound, or silence where there is none.

    When an answer is missing, the sound before it goes on as its own mirror image while it fades; it leaves
    without a step, and goes on fading when answers are back before it is gone. All gains follow a quarter of a
    sine, and the dry sound has the power that is left, so that unrelated sounds keep theirs.
    """

    def __init__(self, channels: int, hop: int, rate: int) -> None:
        self.fade = max(1, round(FADE * rate))
        place = np.arange(self.fade + 1) / self.fade * (math.pi / 2.0)
        self._rising: Samples = np.sin(place).astype(np.float32)
        self._rising[self.fade] = 1.0
        self._falling: Samples = self._rising[::-1].copy()
        self._hop = hop
        self._wet = np.zeros((channels, hop), np.float32)
        self._part = np.zeros((channels, min(hop, self.fade)), np.float32)
        self._tail = np.zeros((channels, self.fade), np.float32)
        self._keep = np.zeros((channels, self.fade), np.float32)
        self._ghost = np.zeros((channels, self.fade), np.float32)
        self._share = np.zeros(hop, np.float32)
        self._power = 0.0
        self._rise = self._gone = self.fade
        self._there = True

    def clear(self) -> None:
        """As at the start: no past, and nothing missing."""
        self._tail.fill(0.0)
        self._rise = self._gone = self.fade
        self._there = True

    @property
    def there(self) -> bool:
        """Whether the last hop was an answer."""
        return self._there

    def play(self, answer: Samples | None, dry: Samples | None, out: Samples) -> None:
        """One hop into `out` `[channels, hop]`. answer: None when it is missing; dry: delayed alike, or None."""
        if answer is None and self._there:
            self._leave()
        self._there = answer is not None
        risen = min(self.fade - self._rise, self._hop) if answer is not None else 0
        fallen = min(self.fade - self._gone, self._hop)
        if answer is not None and not risen and not fallen:
            out[:] = answer
            self._remember(answer)
            return
        wet = self._wet
        if answer is not None:
            _scaled(answer[:, :risen], self._gains(self._rising, self._rise, risen), wet[:, :risen])
            wet[:, risen:] = answer[:, risen:]
        else:
            wet.fill(0.0)
        if fallen:
            part = self._part[:, :fallen]
            ghost = self._ghost[:, self._gone : self._gone + fallen]
            _scaled(ghost, self._gains(self._falling, self._gone, fallen), part)
            np.add(wet[:, :fallen], part, out=wet[:, :fallen])
        if dry is None:
            out[:] = wet
        else:
            self._left(risen, fallen, answer is not None)
            _scaled(dry, self._share, out)
            np.add(out, wet, out=out)
        self._rise += risen
        self._gone += fallen
        self._remember(wet)

    def _leave(self) -> None:
        """What sounded last becomes the ghost of it, with the power it had."""
        rise, fall = float(self._rising[self._rise]), float(self._falling[self._gone])
        self._power = min(1.0, rise * rise + self._power * fall * fall)
        self._ghost[:] = self._tail[:, ::-1]
        self._rise = self._gone = 0

    def _gains(self, curve: Samples, done: int, count: int) -> Samples:
        """The first frame has moved already."""
        gains: Samples = curve[done + 1 : done + count + 1]
        return gains

    def _left(self, risen: int, fallen: int, there: bool) -> None:
        """The dry sound's gain: the root of the power that answer and ghost leave."""
        share, rise, gone = self._share, self._rise, self._gone
        share.fill(1.0 if there else 0.0)
        if risen:
            gains = self._gains(self._rising, rise, risen)
            np.multiply(gains, gains, out=share[:risen])
        if fallen:
            gains, part = self._gains(self._falling, gone, fallen), self._part[0, :fallen]
            np.multiply(gains, gains, out=part)
            np.multiply(part, self._power, out=part)
            np.add(share[:fallen], part, out=share[:fallen])
        np.subtract(1.0, share, out=share)
        np.maximum(share, 0.0, out=share)
        np.sqrt(share, out=share)

    def _remember(self, wet: Samples) -> None:
        if self._hop >= self.fade:
            self._tail[:] = wet[:, self._hop - self.fade :]
        else:
            self._keep[:, : self.fade - self._hop] = self._tail[:, self._hop :]
            self._keep[:, self.fade - self._hop :] = wet
            self._tail[:] = self._keep


def _scaled(x: Samples, gains: Samples, out: Samples) -> None:
    """out ← x · gains, row by row: broadcast, numpy would make a buffer."""
    for row, into in zip(x, out, strict=True):
        np.multiply(row, gains, out=into)
