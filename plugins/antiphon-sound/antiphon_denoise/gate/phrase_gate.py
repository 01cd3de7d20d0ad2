"""The gate that the `full` parameter switches: open during a phrase of music or speech, closed between phrases."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from antiphon.api import F32
from antiphon.api.kernels import f32, f32p, f64, f64p, i64, kernel
from antiphon_denoise.bands import BINS

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
"""Weights of a new hop in the noise while the gate is closed, falling and rising: the rise is slow, about a second, so
that a voice with an attack of some hundred ms exceeds it and opens the gate."""
_HOLD = 3
_NEVER = 1e300


@kernel
def denoise_passed_power(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean over bins of the power that the gain passes: power * gain²."""
    total = f32(0.0)
    for k in range(bins):
        total = total + power[k] * gain[k] * gain[k]
    return total / f32(bins)


class PhrasePlace(IntEnum):
    """Indices of a phrase gate's numbers: its pace, then its state."""

    FADE_OPEN = 0
    FADE_CLOSED = 1
    WINDOW = 2
    WARM_UP = 3
    HOLD = 4
    SMOOTH = 5
    FALL = 6
    RISE = 7
    PEAK = 8
    LEVEL = 9
    LOWEST = 10
    BEFORE = 11
    HOPS = 12
    NOISE = 13
    QUIET = 14
    CLOSED = 15


@kernel
def denoise_phrase_floor(s: f64p, level: f64) -> f64:
    """The minimum of the smoothed level over the last two to four seconds."""
    before = s[PhrasePlace.LEVEL]
    s[PhrasePlace.LEVEL] = level if before < 0.0 else before + s[PhrasePlace.SMOOTH] * (level - before)
    hops = i64(s[PhrasePlace.HOPS]) + 1
    s[PhrasePlace.HOPS] = hops
    if hops % i64(s[PhrasePlace.WINDOW]) == 0:
        s[PhrasePlace.BEFORE] = s[PhrasePlace.LOWEST]
        s[PhrasePlace.LOWEST] = _NEVER
    s[PhrasePlace.LOWEST] = min(s[PhrasePlace.LOWEST], s[PhrasePlace.LEVEL])
    return f64(min(s[PhrasePlace.BEFORE], s[PhrasePlace.LOWEST]))


@kernel
def denoise_phrase(s: f64p, power: f32p, gain: f32p, level: f64) -> f64:
    """Processes a hop of power `[bins]` and the spectral gate's gains, 0 to 1; returns 1.0 if open, else 0.0."""
    passed = f64(denoise_passed_power(power, gain, BINS))
    floor = denoise_phrase_floor(s, level)
    peak = s[PhrasePlace.PEAK]
    noise = s[PhrasePlace.NOISE]
    if s[PhrasePlace.CLOSED] == 1.0:
        peak = peak * s[PhrasePlace.FADE_CLOSED]
        s[PhrasePlace.PEAK] = peak
        if passed > max(max(_SILENT, noise * _OVER_NOISE), peak * _OVER_PEAK):
            s[PhrasePlace.CLOSED] = 0.0
            s[PhrasePlace.QUIET] = 0.0
        share = s[PhrasePlace.RISE] if passed > noise else s[PhrasePlace.FALL]
        s[PhrasePlace.NOISE] = noise + share * (passed - noise)
    else:
        warm = s[PhrasePlace.HOPS] > s[PhrasePlace.WARM_UP]
        near = warm and passed < peak * _NEAR and s[PhrasePlace.LEVEL] < floor * _AT_FLOOR
        quiet = s[PhrasePlace.QUIET] + 1.0 if near or passed < max(_SILENT, peak * _FAR) else 0.0
        s[PhrasePlace.QUIET] = quiet
        if quiet >= s[PhrasePlace.HOLD]:
            s[PhrasePlace.CLOSED] = 1.0
            s[PhrasePlace.NOISE] = passed
        s[PhrasePlace.PEAK] = max(passed, peak * s[PhrasePlace.FADE_OPEN])
    # frames overlap, so that a step from one hop to the next sounds as a fade of 13 ms
    return f64(1.0 - s[PhrasePlace.CLOSED])


class PhraseGate:
    """Closes when the level is back at the noise floor and well below the phrase's peak; opens on the next phrase.

    It compares the power that the spectral gate passes with the peak of the phrase, and the total level with its lowest
    value of the last two to four seconds. `numbers`: what `denoise_phrase` works on, by `PhrasePlace`.
    """

    def __init__(self, pace: float = 1.0) -> None:
        """Scales all time constants to hops of which `pace` take 13.3 ms."""
        hops = [round(count * pace) for count in (_WINDOW, _WARM_UP, _HOLD)]
        fades = [fade ** (1.0 / pace) for fade in (_FADE_OPEN, _FADE_CLOSED)]
        shares = [1.0 - (1.0 - share) ** (1.0 / pace) for share in (_SMOOTH, _NOISE_FALL, _NOISE_RISE)]
        self.numbers = np.zeros(len(PhrasePlace), np.float64)
        self.numbers[: PhrasePlace.PEAK] = *fades, *hops, *shares
        self.reset()

    def reset(self) -> None:
        """Closes the gate and clears all levels."""
        self.numbers[PhrasePlace.PEAK :] = 0.0, -1.0, _NEVER, _NEVER, 0.0, 0.0, 0.0, 1.0

    def update(self, power: F32, gain: F32, level: float) -> float:
        """Takes a hop of power `[bins]` and the spectral gate's gains, 0 to 1; 1.0 where open, else 0.0."""
        return denoise_phrase(self.numbers, power, gain, level)
