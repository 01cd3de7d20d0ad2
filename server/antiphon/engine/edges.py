"""The gain of the output where sound begins or ends amid a wave."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.native import dsp

RISE = 0.010
"""Seconds in which sound comes in."""
FALL = 0.020
"""Seconds in which it goes out before the device is closed."""


class Edges:
    """Rises where a running sound is cut in: an engine's first plan, a panic. Falls once, at the end.

    The input rises at once, so that its first frame makes no step in an echo either; the output rises once the
    plan has caught up, `wait` frames later, for what has no input (an oscillator behind a delay line) begins then.

    rising: frames until the output has its full level.  wait: frames of silence the rise begins with.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._rise, self._fall = max(1, round(RISE * spec.rate)), max(1, round(FALL * spec.rate))
        self._lead = -self._fall % spec.block
        self._steps = np.arange(1, spec.block + 1, dtype=np.float32)
        self._curve = np.zeros(spec.block, np.float32)
        self.rising = self.wait = 0
        self._falling = -1

    def rise(self, wait: int = 0) -> None:
        """From the coming block. wait: the plan's latency, frames."""
        self.rising, self.wait = wait + self._rise, wait

    def fall(self) -> None:
        """From the coming block: full silence is reached with the last frame of a block."""
        if self._falling < 0:
            self._falling = self._lead + self._fall

    @property
    def over(self) -> bool:
        """Whether the fall has ended: silence from here."""
        return self._falling == 0

    def into(self, x: Samples, frames: int) -> None:
        """The input, in place."""
        gone = self.wait + self._rise - self.rising
        if self.rising and gone < self._rise:
            self._risen(x, gone, frames)

    def out(self, x: Samples, frames: int) -> None:
        """The output, in place; after `into`, once a block."""
        if self.rising:
            self._risen(x, self._rise - self.rising, frames)
            self.rising = max(0, self.rising - frames)
        if self._falling >= 0:
            curve = np.subtract(self._falling, self._steps[:frames], out=self._curve[:frames])
            self._scale(x, np.divide(curve, self._fall, out=curve), frames)
            self._falling = max(0, self._falling - frames)

    def _risen(self, x: Samples, gone: int, frames: int) -> None:
        """gone: frames since the rise began; below 0 it has yet to."""
        curve = np.add(self._steps[:frames], gone, out=self._curve[:frames])
        self._scale(x, np.divide(curve, self._rise, out=curve), frames)

    def _scale(self, x: Samples, curve: Samples, frames: int) -> None:
        np.minimum(np.maximum(curve, 0.0, out=curve), 1.0, out=curve)
        dsp.scale(x, curve, frames)
