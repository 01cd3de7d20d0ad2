"""The phrase gate of `full`: open while something is played or said, shut in between."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32, f32p, i64, kernel
from antiphon_denoise.bands import BINS

F32 = NDArray[np.float32]

_SILENT = 10.0 ** (-66.0 / 10.0)
_FAR, _NEAR = 10.0 ** (-24.0 / 10.0), 10.0 ** (-12.0 / 10.0)
_AT_FLOOR = 10.0 ** (6.0 / 10.0)
_STANDS_OUT = 10.0 ** (9.0 / 10.0)
_WORTH = 10.0 ** (-20.0 / 10.0)
# a hop is 13.3 ms
_FADE_OPEN, _FADE_SHUT = 10.0 ** (-0.05 / 10.0), 10.0 ** (-0.015 / 10.0)
_WINDOW, _WARM = 150, 80
_SMOOTH = 0.5
_REST = 0.25
_HOLD = 3


@kernel
def denoise_kept(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean power of what the gate lets through."""
    total = f32(0.0)
    for k in range(bins):
        total = total + power[k] * gain[k] * gain[k]
    return total / f32(bins)


class PhraseGate:
    """Shuts when the sound is back at the level of the noise, well below the phrase; opens on the next.

    It compares what the gate keeps with the phrase's peak, and the whole level with the lowest lately.
    """

    def __init__(self, pace: float = 1.0) -> None:
        """pace: hops in 13.3 ms."""
        self._fade_open, self._fade_shut = _FADE_OPEN ** (1.0 / pace), _FADE_SHUT ** (1.0 / pace)
        self._window, self._warm, self._hold = round(_WINDOW * pace), round(_WARM * pace), round(_HOLD * pace)
        self._smooth, self._rise = 1.0 - (1.0 - _SMOOTH) ** (1.0 / pace), 1.0 - (1.0 - _REST) ** (1.0 / pace)
        self.reset()

    def reset(self) -> None:
        self._peak = 0.0
        self._level = -1.0
        self._lowest = self._before = math.inf
        self._hops = 0
        self._rest = 0.0
        self._quiet = 0
        self._shut = True

    def update(self, power: F32, gain: F32, level: float) -> float:
        """One hop, its power and gain by bin and its mean power: 1 where the gate is open, 0 where it is shut."""
        kept = denoise_kept(power, gain, BINS)
        floor = self._floor(level)
        if self._shut:
            self._peak *= self._fade_shut
            if kept > max(_SILENT, self._rest * _STANDS_OUT, self._peak * _WORTH):
                self._shut = False
                self._quiet = 0
            self._rest += self._rise * (kept - self._rest)
        else:
            near = self._hops > self._warm and kept < self._peak * _NEAR and self._level < floor * _AT_FLOOR
            self._quiet = self._quiet + 1 if near or kept < max(_SILENT, self._peak * _FAR) else 0
            if self._quiet >= self._hold:
                self._shut = True
                self._rest = kept
            self._peak = max(kept, self._peak * self._fade_open)
        # frames overlap: the step from one hop to the next is heard as a fade of 13 ms
        return 0.0 if self._shut else 1.0

    def _floor(self, level: float) -> float:
        """The lowest of the smoothed level in the last two to four seconds."""
        self._level = level if self._level < 0.0 else self._level + self._smooth * (level - self._level)
        self._hops += 1
        if self._hops % self._window == 0:
            self._before, self._lowest = self._lowest, math.inf
        self._lowest = min(self._lowest, self._level)
        return min(self._before, self._lowest)
