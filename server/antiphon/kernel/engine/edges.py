"""Fades at the graph's two ends, so that a start, a gap, a panic or a stop within running sound does not click."""

from __future__ import annotations

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.native import dsp

RISE = 0.010
"""Seconds of the fade-in."""
FALL = 0.020
"""Seconds of the fade-out before the device is closed."""


class Edges:
    """Fade-in at an engine's first plan, after missed blocks and a panic; fade-out once, at the end.

    The input fades in at once, so that its first frame makes no step in an echo either. The output fades in `wait`
    frames later, after the plan's latency: a source without an input behind a delay line begins only then. `wait`:
    frames of silence before the output's fade-in.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._rise, self._fall = max(1, round(RISE * spec.rate)), max(1, round(FALL * spec.rate))
        self._lead = -self._fall % spec.block
        self._steps = np.arange(1, spec.block + 1, dtype=np.float32)
        self._curve, self._cube = np.zeros((2, spec.block), np.float32)
        self.rising = self.wait = 0  # frames until the output has its full level; 0 when no fade-in is under way
        self._falling = -1

    def rise(self, wait: int = 0) -> None:
        """Starts a fade-in with the next block. `wait` is the plan's latency in frames."""
        self.rising, self.wait = wait + self._rise, wait

    def fall(self) -> None:
        """Starts the fade-out with the next block; it reaches silence with the last frame of a block."""
        if self._falling < 0:
            self._falling = self._lead + self._fall

    @property
    def over(self) -> bool:
        """True once the fade-out has ended; the output is silent from here."""
        return self._falling == 0

    @property
    def rests(self) -> bool:
        """True while no fade is active."""
        return not self.rising and self._falling < 0

    def into(self, x: Samples, frames: int) -> None:
        """Applies the fade-in to a block of input `[channels, frames]`, in place."""
        elapsed = self.wait + self._rise - self.rising
        if self.rising and elapsed < self._rise:
            self._apply_rise(x, elapsed, frames)

    def out(self, x: Samples, frames: int) -> None:
        """Applies both fades to a block of output `[channels, frames]`, in place; once a block, after `into`."""
        if self.rising:
            self._apply_rise(x, self._rise - self.rising, frames)
            self.rising = max(0, self.rising - frames)
        if self._falling >= 0:
            curve = np.subtract(self._falling, self._steps[:frames], out=self._curve[:frames])
            self._scale(x, np.divide(curve, self._fall, out=curve))
            self._falling = max(0, self._falling - frames)

    def _apply_rise(self, x: Samples, elapsed: int, frames: int) -> None:
        """Scales `x` by the fade-in. `elapsed` is frames since its start; negative before it."""
        curve = np.add(self._steps[:frames], elapsed, out=self._curve[:frames])
        self._scale(x, np.divide(curve, self._rise, out=curve))

    def _scale(self, x: Samples, line: Samples) -> None:
        """Scales by 3c² - 2c³ of a line c from 0 to 1: a fade with a corner at either end is heard as a tick."""
        np.minimum(np.maximum(line, 0.0, out=line), 1.0, out=line)
        square = np.multiply(line, line, out=self._cube[: line.size])
        np.subtract(3.0, np.multiply(line, 2.0, out=line), out=line)
        dsp.scale(x, np.multiply(square, line, out=line), line.size)
