"""Onset strength of a hop: what separates a note from the same note repeated.

Two parts: the mean over bands of the rise in decibels (a spectral flux on a logarithmic scale, as in Böck and Widmer,
2013; a consonant or a breath is soft above 1 kHz where the vowel after it is loud, so all bands have the same weight),
and the dip in level before it. Both are divided by 1 + the mean rise of recent hops.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.signal import HOP
from antiphon.api.kernels import f32p, f64, f64p, i64, i64p, kernel

I64 = NDArray[np.int64]
SIZE = 512
BANDS = 24
LOW, HIGH = 150.0, 9000.0
BACK = 2
"""Hops between the two spectra that are compared."""
MOST_RISE = 20.0
UNDER = 60.0
"""dB below the loudest recent band under which a level is treated as silence."""
FALL = 20.0
"""dB a second by which the memory of the loudest band decays."""
BEFORE, AFTER = 5, 2
"""Hops before a peak that must be lower, and after it that must not be higher."""
DELAY = 1
"""Hops after a dip within which a rise may follow."""
LAG = DELAY + AFTER
DIP = 0.4
"""Weight of a dB of dip relative to a dB of rise."""
CLEAR = 10.0
"""dB of a dip that count in full; beyond these at most three times the rise."""
CALM = 0.04
"""Weight of a hop's rise in the running mean of rises."""
_LEVELS = 32
# places in `state`: dB of the loudest band of late; memory of rises
_TOP, _MEAN, _SIZE = 0, 1, 2


class FluxState(NamedTuple):
    """The bank of filters and the hops so far."""

    edges: i64p  # `[BANDS + 1]` first bin of each band, and the end
    bank: f64p  # `[rows, BANDS]` ring of band levels, dB
    rows: i64
    state: f64p  # `[2]` level of the loudest recent band, dB, which decays by `fall` a hop; running mean of rises
    rises: f64p  # `[2, _LEVELS]` ring of rises and of the running mean, hop `hop` newest
    levels: f64p  # `[_LEVELS]` ring of levels, dB
    fall: f64  # see `state`
    scale: f64


@kernel
def hum_onset_flux(bins: f32p, s: FluxState, row: i64, hop: i64, power: f64) -> f64:
    """Onset strength `DELAY` hops before the newest: rise and weighted dip in dB, over 1 + the recent mean rise.

    `power`: mean square of hop number `hop`.
    """
    s.state[_TOP] = s.state[_TOP] - s.fall
    for b in range(BANDS):
        total = f64(1e-12)
        for k in range(s.edges[b], s.edges[b + 1]):
            re = f64(bins[2 * k])
            im = f64(bins[2 * k + 1])
            total = total + re * re + im * im
        level = 4.342944819 * math.log(total * s.scale / f64(s.edges[b + 1] - s.edges[b]))
        s.bank[row * BANDS + b] = level
        s.state[_TOP] = level if level > s.state[_TOP] else s.state[_TOP]
    floor = s.state[_TOP] - UNDER
    before = row - BACK
    before = before + s.rows if before < 0 else before
    rise = f64(0.0)
    for b in range(BANDS):
        now = s.bank[row * BANDS + b]
        then = s.bank[before * BANDS + b]
        now = floor if now < floor else now
        then = floor if then < floor else then
        step = now - then
        step = MOST_RISE if step > MOST_RISE else step
        rise = rise + step if step > 0.0 else rise
    rise = rise / f64(BANDS)
    place = hop % _LEVELS
    s.rises[place] = rise / (1.0 + s.state[_MEAN])
    s.rises[_LEVELS + place] = s.state[_MEAN]
    capped = 6.0 if rise > 6.0 else rise
    s.state[_MEAN] = s.state[_MEAN] + CALM * (capped - s.state[_MEAN])
    s.levels[place] = 4.342944819 * math.log(power + 1e-9)
    # the lowest level of late, and the highest before it and after it
    least = f64(99.0)
    least_at = i64(DELAY)
    for n in range(DELAY, DELAY + 11):
        v = s.levels[(hop + _LEVELS - n) % _LEVELS]
        if v < least:
            least = v
            least_at = n
    after = f64(-99.0)
    for n in range(least_at):
        v = s.levels[(hop + _LEVELS - n) % _LEVELS]
        after = v if v > after else after
    earlier = f64(-99.0)
    for n in range(least_at + 1, least_at + 11):
        v = s.levels[(hop + _LEVELS - n) % _LEVELS]
        earlier = v if v > earlier else earlier
    edge = after if after < earlier else earlier
    dip = edge - least
    dip = 0.0 if dip < 0.0 else dip
    place = (hop + _LEVELS - DELAY) % _LEVELS
    calmness = 1.0 + s.rises[_LEVELS + place]
    most_dip = 3.0 * s.rises[place] * calmness + CLEAR
    dip = most_dip if dip > most_dip else dip
    return f64(s.rises[place] + DIP * dip / calmness)


class OnsetFlux:
    """Onset strength `LAG` hops before the newest where it has a peak, 0 elsewhere."""

    def __init__(self, rate: float) -> None:
        self._recent: list[float] = [0.0] * (BEFORE + AFTER + 1)
        self._window: F32 = np.hanning(SIZE + 1)[:-1].astype(np.float32)
        self._scale = 4.0 / float(self._window.sum()) ** 2
        self._framed: F32 = np.zeros(SIZE, np.float32)
        self._bins = np.zeros(SIZE // 2 + 1, np.complex64)
        self._pairs = self._bins.view(np.float32)
        hz = LOW * (min(HIGH, 0.4 * rate) / LOW) ** (np.arange(BANDS + 1) / BANDS)
        edges = np.round(hz * SIZE / rate).astype(np.int64)
        for b in range(1, BANDS + 1):
            edges[b] = max(edges[b], edges[b - 1] + 1)
        self._edges: I64 = edges
        self._rows = BACK + 1
        self._bank: F64 = np.zeros((self._rows, BANDS), np.float64)
        self._rises: F64 = np.zeros((2, _LEVELS), np.float64)
        self._levels: F64 = np.zeros(_LEVELS, np.float64)
        self._state: F64 = np.zeros(_SIZE, np.float64)
        self._fall = FALL * HOP / rate
        self.reset()

    def reset(self) -> None:
        """Clears the past and sets all levels to silence."""
        self._bank.fill(-90.0)
        self._rises.fill(0.0)
        self._levels.fill(-90.0)
        self._state[_TOP] = -30.0
        self._state[_MEAN] = 0.0
        self._row = self._hop = 0
        self._recent[:] = [0.0] * len(self._recent)

    def step(self, frame: F32, power: float) -> float:
        """Takes a hop of the newest `SIZE` samples: onset strength in dB at a peak `LAG` hops before, else 0."""
        np.multiply(frame, self._window, out=self._framed)
        np.fft.rfft(self._framed, out=self._bins)  # type: ignore[arg-type]  # single precision is right at run time
        self._row = (self._row + 1) % self._rows
        self._hop += 1
        recent = self._recent
        recent.pop(0)
        flux = FluxState(
            self._edges, self._bank, self._rows, self._state, self._rises, self._levels, self._fall, self._scale
        )
        value: float = hum_onset_flux(self._pairs, flux, self._row, self._hop, power)
        recent.append(value)
        peak = float(recent[BEFORE])
        return peak if peak >= max(recent) else 0.0
