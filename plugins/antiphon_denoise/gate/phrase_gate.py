"""The gate that the `full` parameter switches: open during a phrase of music or speech, closed between phrases."""

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
_OVER_NOISE = 10.0 ** (9.0 / 10.0)
_OVER_PEAK = 10.0 ** (-20.0 / 10.0)
# a hop is 13.3 ms
_FADE_OPEN, _FADE_CLOSED = 10.0 ** (-0.05 / 10.0), 10.0 ** (-0.015 / 10.0)
_WINDOW, _WARM_UP = 150, 80
_SMOOTH = 0.5
_NOISE_FALL, _NOISE_RISE = 0.25, 0.01
"""Share of the way that the noise goes in a hop while the gate is closed. It rises slowly, within about a second, so
that a voice that comes in over some hundred ms is above it, and opens."""
_HOLD = 3


@kernel
def denoise_passed_power(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean over bins of the power that the gain passes: power * gain²."""
    total = f32(0.0)
    for k in range(bins):
        total = total + power[k] * gain[k] * gain[k]
    return total / f32(bins)


class PhraseGate:
    """Closes when the level is back at the noise floor and well below the phrase's peak; opens on the next phrase.

    It compares the power that the spectral gate passes with the peak of the phrase, and the total level with its lowest
    value of the last two to four seconds.
    """

    def __init__(self, pace: float = 1.0) -> None:
        """Scales all time constants to a hop of which `pace` take 13.3 ms."""
        self._fade_open, self._fade_closed = _FADE_OPEN ** (1.0 / pace), _FADE_CLOSED ** (1.0 / pace)
        self._window, self._warm_up, self._hold = round(_WINDOW * pace), round(_WARM_UP * pace), round(_HOLD * pace)
        self._smooth = 1.0 - (1.0 - _SMOOTH) ** (1.0 / pace)
        self._fall, self._rise = (1.0 - (1.0 - share) ** (1.0 / pace) for share in (_NOISE_FALL, _NOISE_RISE))
        self.reset()

    def reset(self) -> None:
        """Closes the gate and clears all levels."""
        self._peak = 0.0
        self._level = -1.0
        self._lowest = self._before = math.inf
        self._hops = 0
        self._noise = 0.0
        self._quiet = 0
        self._closed = True

    def update(self, power: F32, gain: F32, level: float) -> float:
        """Takes a hop of power `[bins]` and the spectral gate's gains, 0 to 1; 1.0 where open, else 0.0."""
        passed = denoise_passed_power(power, gain, BINS)
        floor = self._floor(level)
        if self._closed:
            self._peak *= self._fade_closed
            if passed > max(_SILENT, self._noise * _OVER_NOISE, self._peak * _OVER_PEAK):
                self._closed = False
                self._quiet = 0
            self._noise += (self._rise if passed > self._noise else self._fall) * (passed - self._noise)
        else:
            near = self._hops > self._warm_up and passed < self._peak * _NEAR and self._level < floor * _AT_FLOOR
            self._quiet = self._quiet + 1 if near or passed < max(_SILENT, self._peak * _FAR) else 0
            if self._quiet >= self._hold:
                self._closed = True
                self._noise = passed
            self._peak = max(passed, self._peak * self._fade_open)
        # frames overlap, so that a step from one hop to the next sounds as a fade of 13 ms
        return 0.0 if self._closed else 1.0

    def _floor(self, level: float) -> float:
        """The minimum of the smoothed level over the last two to four seconds."""
        self._level = level if self._level < 0.0 else self._level + self._smooth * (level - self._level)
        self._hops += 1
        if self._hops % self._window == 0:
            self._before, self._lowest = self._lowest, math.inf
        self._lowest = min(self._lowest, self._level)
        return min(self._before, self._lowest)
