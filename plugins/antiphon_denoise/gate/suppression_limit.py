"""Limits how much of the removal the gate asks for is applied, by what it has removed so far.

The network errs now and then. Three rules bound the damage; none applies once the noise has been learned. A removal
that is small against the recent level is always allowed, since it is inaudible as damage. The smaller the share removed
recently, the lower the limit on a large removal: where there was little noise, it is more likely an error. And where
the level is well above its floor and nearly all of it would be removed, it is taken for the wanted sound.
"""

from __future__ import annotations

import math

import numpy as np

from antiphon.api.kernels import f64, f64p, i64, kernel, offset

HARMLESS_SHARE = 10.0**-2.5
"""Removed power over recent level, -25 dB, below which a removal is always allowed."""
MIN_LIMIT, LIMIT_FROM_DB, LIMIT_RANGE_DB = 0.3, -16.0, 8.0
"""The limit rises from `MIN_LIMIT` to 1 while the share removed recently rises from -16 dB to -8 dB."""
MAX_SHARE, SHARE_FADE = 0.75, 0.25
"""Above the floor the limit falls from 1 to 0 while the share removed over the long memory rises from 0.5 to 0.75."""
STEADY_RATIO = 3.0
"""Level over floor above which the sound counts as changing."""
SHORT_MEMORY, LONG_MEMORY, FLOOR_HOPS = 0.99, 0.999, 150
"""In hops of 13.3 ms: decay of the two running shares, and half the time over which the floor is a minimum."""
FILL_HOPS = 4
_QUIET = 1e-10
_DECIBEL = 10.0 / math.log(10.0)
_NEVER = 1e300
# places in a running share of power removed: how many hops it stands for, level, power removed
_COUNT, _LEVEL, _REMOVED = 0, 1, 2
# places in the state: the shares of short and long memory, the smoothed level and its minima, hops
_SHORT, _LONG, _SMOOTH, _LOWEST, _BEFORE, _HOPS = 0, 3, 6, 7, 8, 9


@kernel
def denoise_share(share: f64p, keep: f64, level: f64, removed: f64) -> f64:
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
    """The share, 0 to 1, of the gate's removal that is allowed in a frame; both are mean powers."""
    short_share = denoise_share(offset(state, _SHORT), SHORT_MEMORY, level, removed)
    long_share = denoise_share(offset(state, _LONG), LONG_MEMORY, level, removed)
    floor = denoise_limit_floor(state, level)
    limit = 1.0
    harmless = HARMLESS_SHARE * state[_SHORT + _LEVEL]
    if removed > harmless:
        short_share_db = _DECIBEL * math.log(short_share + _QUIET)
        by_share = MIN_LIMIT + (1.0 - MIN_LIMIT) * (short_share_db - LIMIT_FROM_DB) / LIMIT_RANGE_DB
        limit = min(1.0, max(max(by_share, MIN_LIMIT), math.sqrt(harmless / removed)))
    if level > STEADY_RATIO * floor:
        limit = min(limit, max(0.0, (MAX_SHARE - long_share) / SHARE_FADE))
    return limit


class SuppressionLimit:
    """The limit of one stream; levels are mean powers of a frame. `state`: what `denoise_limit` works on."""

    def __init__(self) -> None:
        self.state = np.zeros(10, np.float64)
        self.reset()

    def reset(self) -> None:
        self.state.fill(0.0)
        self.state[_LOWEST] = self.state[_BEFORE] = _NEVER

    def update(self, level: float, removed: float) -> float:
        """The share, 0 to 1, of the gate's removal that is allowed in a frame; both are mean powers."""
        return denoise_limit(self.state, level, removed)
