"""Gate arithmetic per bin, its limit by the power removed so far, and `threshold` in the learned modes.

All levels are natural logarithms of power; white noise of variance 1 has power 1 in every bin. The gate that the
`full` parameter switches is open during a phrase of music or speech, and closed between phrases.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from antiphon.api import F32
from antiphon.api.kernels import f32, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_denoise.bands import BINS, COUNT, places

HARMLESS_SHARE = 10.0**-2.5
"""Removed power over recent level, -25 dB, below which a removal is always allowed."""
MIN_LIMIT, LIMIT_FROM_DB, LIMIT_RANGE_DB = 0.3, -16.0, 8.0
"""While the recently removed share rises from -16 dB to -8 dB, the limit rises from `MIN_LIMIT` to 1."""
MAX_SHARE, SHARE_FADE = 0.75, 0.25
"""Above the floor the limit falls from 1 to 0 while the share removed over the long memory rises from 0.5 to 0.75."""
STEADY_RATIO = 3.0
"""Ratio of level to floor above which the sound counts as changing."""
SHORT_MEMORY, LONG_MEMORY, FLOOR_HOPS = 0.99, 0.999, 150
"""In hops of 13.3 ms: decay of the two running shares, and half the time over which the floor is a minimum."""
FILL_HOPS = 4
_QUIET = 1e-10
_DECIBEL = 10.0 / math.log(10.0)
_NEVER = 1e300
# places in a running share of power removed: how many hops it stands for, level, power removed
_COUNT, _LEVEL, _REMOVED = 0, 1, 2
# places in the state: the shares of short and long memory, the smoothed level and its minima, hops
_LIMIT_SHORT, _LIMIT_LONG, _SMOOTH, _LOWEST, _BEFORE, _HOPS = 0, 3, 6, 7, 8, 9


@kernel
def denoise_removed_share(share: f64p, keep: f64, level: f64, removed: f64) -> f64:
    """Running share of power removed, 0 to 1: a plain mean at first, then with a memory of 1 / (1 - keep) hops."""
    share[_COUNT] = share[_COUNT] * keep + 1.0
    share[_LEVEL] = share[_LEVEL] + (level - share[_LEVEL]) / share[_COUNT]
    share[_REMOVED] = share[_REMOVED] + (removed - share[_REMOVED]) / share[_COUNT]
    return f64(share[_REMOVED] / (share[_LEVEL] + _QUIET))


@kernel
def denoise_limit_floor(state: f64p, level: f64) -> f64:
    """The minimum of the smoothed level over the last two to four seconds."""
    hops = i64(state[_HOPS]) + 1
    state[_HOPS] = hops
    if hops <= FILL_HOPS:
        # frames that reach back before the start contain silence
        state[_SMOOTH] = level
        return level
    state[_SMOOTH] = 0.5 * (state[_SMOOTH] + level)
    if hops % FLOOR_HOPS == 0:
        state[_BEFORE] = state[_LOWEST]
        state[_LOWEST] = _NEVER
    state[_LOWEST] = min(state[_LOWEST], state[_SMOOTH])
    return f64(min(state[_BEFORE], state[_LOWEST]))


@kernel
def denoise_limit(state: f64p, level: f64, removed: f64) -> f64:
    """Returns the allowed share, 0 to 1, of the gate's removal in a frame. level, removed: mean powers."""
    short_share = denoise_removed_share(offset(state, _LIMIT_SHORT), SHORT_MEMORY, level, removed)
    long_share = denoise_removed_share(offset(state, _LIMIT_LONG), LONG_MEMORY, level, removed)
    floor = denoise_limit_floor(state, level)
    limit = 1.0
    harmless = HARMLESS_SHARE * state[_LIMIT_SHORT + _LEVEL]
    if removed > harmless:
        short_share_db = _DECIBEL * math.log(short_share + _QUIET)
        by_share = MIN_LIMIT + (1.0 - MIN_LIMIT) * (short_share_db - LIMIT_FROM_DB) / LIMIT_RANGE_DB
        limit = min(1.0, max(max(by_share, MIN_LIMIT), math.sqrt(harmless / removed)))
    if level > STEADY_RATIO * floor:
        limit = min(limit, max(0.0, (MAX_SHARE - long_share) / SHARE_FADE))
    return limit


class SuppressionLimit:
    """Limits the suppression of one stream by mean powers of frames. `state`: of `denoise_limit`."""

    def __init__(self) -> None:
        self.state = np.zeros(10, np.float64)
        self.reset()

    def reset(self) -> None:
        self.state.fill(0.0)
        self.state[_LOWEST] = self.state[_BEFORE] = _NEVER

    def update(self, level: float, removed: float) -> float:
        """Returns the allowed share, 0 to 1, of the gate's removal in a frame. level, removed: mean powers."""
        return denoise_limit(self.state, level, removed)


RISE_LOG_POWER = 6.0 * math.log(10.0) / 10.0
"""Natural log of power, 6 dB: a band this far above the threshold has gain 1; below, the gain falls linearly."""


class ThresholdOpener:
    """Raises gains `[bins]` of loud bands. `open` allocates nothing."""

    def __init__(self, bins: int) -> None:
        self._below, self._fraction = places(bins)
        below, fraction = places(BINS)
        spread: F32 = np.zeros((COUNT, BINS), np.float32)
        spread[below, np.arange(BINS)] += 1 - fraction
        spread[below + 1, np.arange(BINS)] += fraction
        self._mean: F32 = spread / spread.sum(axis=1, keepdims=True)
        self._level: F32 = np.zeros(COUNT, np.float32)
        self._open: F32 = np.zeros(bins, np.float32)
        self._next: F32 = np.zeros(bins, np.float32)

    def open(self, power: F32, ceiling: float, gain: F32) -> None:
        """gain `[bins]` ← raised towards 1 in bands above a threshold, the natural log of power, in place."""
        np.dot(self._mean, power[:BINS], out=self._level)
        np.add(self._level, 1e-12, out=self._level)
        np.log(self._level, out=self._level)
        np.subtract(self._level, ceiling, out=self._level)
        np.multiply(self._level, 1.0 / RISE_LOG_POWER, out=self._level)
        np.clip(self._level, 0.0, 1.0, out=self._level)
        np.take(self._level, self._below, out=self._open, mode="clip")
        np.take(self._level[1:], self._below, out=self._next, mode="clip")
        np.subtract(self._next, self._open, out=self._next)
        np.multiply(self._next, self._fraction, out=self._next)
        np.add(self._open, self._next, out=self._open)
        np.subtract(1.0, gain, out=self._next)
        np.multiply(self._next, self._open, out=self._next)
        np.add(gain, self._next, out=gain)


MIN_POWER = 1e-10
"""Minimum power of a bin."""
_SHORT, _LONG = 0.6, 0.97


@kernel
def denoise_power(spectrum: f32p, channels: i64, bins: i64, unit: f32, power: f32p) -> None:
    """power `[bins]` ← squared magnitude of complex `[channels, bins]`, summed over channels, times unit."""
    for k in range(bins):
        power[k] = f32(MIN_POWER)
    for c in range(channels):
        at = 2 * c * bins
        for k in range(bins):
            re = spectrum[at + 2 * k]
            im = spectrum[at + 2 * k + 1]
            power[k] = power[k] + (re * re + im * im) * unit


@kernel
def denoise_smooth_log_power(log_power: f32p, short: f32p, long: f32p, bins: i64) -> None:
    """Smooths log power `[bins]` with time constants of some 30 ms (short) and 400 ms (long), in place."""
    for k in range(bins):
        short[k] = f32(_SHORT) * short[k] + f32(1.0 - _SHORT) * log_power[k]
        long[k] = f32(_LONG) * long[k] + f32(1.0 - _LONG) * log_power[k]


@kernel
def denoise_gain_from_exponentials(gate_exp: f32p, floor_exp: f32p, bins: i64, gain: f32p) -> None:
    """gain `[bins]` ← floor + (1 - floor) * opening, given the exponentials of `denoise_gate_logits`' two results."""
    for k in range(bins):
        floor = f32(1.0) / (f32(1.0) + floor_exp[k])
        gain[k] = floor + (f32(1.0) - floor) / (f32(1.0) + gate_exp[k])


@kernel
def denoise_removed_power(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean over bins of the power that the gain removes: power * (1 - gain)²."""
    total = f32(0.0)
    for k in range(bins):
        removed = f32(1.0) - gain[k]
        total = total + power[k] * removed * removed
    return total / f32(bins)


@kernel
def denoise_apply_trust(gain: f32p, bins: i64, below: i64p, fraction: f32p, trust: f32p) -> None:
    """gain `[bins]` ← interpolated towards 1 by the `trust` in each band, `[COUNT]`.

    below, fraction: the band centre below each bin, and how far the bin lies towards the next, 0 to 1.
    """
    for k in range(bins):
        share = (f32(1.0) - fraction[k]) * trust[below[k]] + fraction[k] * trust[below[k] + 1]
        gain[k] = f32(1.0) - share * (f32(1.0) - gain[k])


_SILENT = 10.0 ** (-66.0 / 10.0)
_FAR, _NEAR = 10.0 ** (-24.0 / 10.0), 10.0 ** (-12.0 / 10.0)
_AT_FLOOR = 10.0 ** (6.0 / 10.0)
_OVER_NOISE = 10.0 ** (9.0 / 10.0)
_OVER_PEAK = 10.0 ** (-20.0 / 10.0)
# a hop is 13.3 ms
_FADE_OPEN, _FADE_CLOSED = 10.0 ** (-0.05 / 10.0), 10.0 ** (-0.015 / 10.0)
_WINDOW, _WARM_UP = 150, 80
_SMOOTH_LEVEL = 0.5
_NOISE_FALL, _NOISE_RISE = 0.25, 0.01
"""Weights of a new hop in the noise while the gate is closed, for a fall and for a rise. The rise takes about a second,
so that a voice with an attack of some hundred ms exceeds it and opens the gate."""
_HOLD = 3


@kernel
def denoise_passed_power(power: f32p, gain: f32p, bins: i64) -> f32:
    """Mean over bins of the power that the gain passes: power * gain²."""
    total = f32(0.0)
    for k in range(bins):
        total = total + power[k] * gain[k] * gain[k]
    return total / f32(bins)


class PhrasePlace(IntEnum):
    """Indices of a phrase gate's values: its pace, then its state."""

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
    """Opens or closes the gate by a hop; returns 1.0 if it is open, else 0.0.

    `power`: `[bins]`; `gain`: the spectral gate's, 0 to 1, `[bins]`; `level`: mean of `power` over the bins.
    """
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
    value of the last two to four seconds. `numbers`: state of `denoise_phrase`, indexed by `PhrasePlace`.
    """

    def __init__(self, pace: float = 1.0) -> None:
        """Scales all time constants to hops of which `pace` take 13.3 ms."""
        hops = [round(count * pace) for count in (_WINDOW, _WARM_UP, _HOLD)]
        fades = [fade ** (1.0 / pace) for fade in (_FADE_OPEN, _FADE_CLOSED)]
        shares = [1.0 - (1.0 - share) ** (1.0 / pace) for share in (_SMOOTH_LEVEL, _NOISE_FALL, _NOISE_RISE)]
        self.numbers = np.zeros(len(PhrasePlace), np.float64)
        self.numbers[: PhrasePlace.PEAK] = *fades, *hops, *shares
        self.reset()

    def reset(self) -> None:
        """Closes the gate and clears all levels."""
        self.numbers[PhrasePlace.PEAK :] = 0.0, -1.0, _NEVER, _NEVER, 0.0, 0.0, 0.0, 1.0

    def update(self, power: F32, gain: F32, level: float) -> float:
        """Opens or closes the gate by a hop, as `denoise_phrase`; returns 1.0 if it is open, else 0.0."""
        return denoise_phrase(self.numbers, power, gain, level)
