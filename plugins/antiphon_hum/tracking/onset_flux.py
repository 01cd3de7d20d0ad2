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
from antiphon.api.kernels import f32p, f64, f64p, i64, i64p, kernel
from antiphon.api.pitch import HOP

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
BEFORE = 5
"""Hops before a peak that must be lower."""
DIP = 0.4
"""Weight of a dB of dip relative to a dB of rise."""
CLEAR = 10.0
"""dB of a dip that count in full; beyond these at most three times the rise."""
CALM = 0.04
"""Weight of a hop's rise in the running mean of rises."""
_LEVELS = 32
# places in `state`: dB of the loudest band of late; memory of rises
_TOP, _MEAN, _SIZE = 0, 1, 2


class FluxWeights(NamedTuple):
    """The learned numbers of the detector.

    Attributes:
        under: See `UNDER`.
        fall: dB a hop by which the loudest level decays.
        most: Bound on a band's rise, dB.
        scale: Factor from squared magnitude to power.
        dip_weight: See `DIP`.
        calm: See `CALM`.
        clear: See `CLEAR`.
    """

    under: f64
    fall: f64
    most: f64
    scale: f64
    dip_weight: f64
    calm: f64
    clear: f64


class FluxState(NamedTuple):
    """The bank of filters and the hops so far.

    Attributes:
        edges: `[bands + 1]` first bin of each band, and the end.
        bands: Number of bands.
        bank: `[rows, bands]` ring of band levels, dB.
        rows: Rows of the ring.
        back: Hops between the two spectra compared.
        state: `[2]` level of the loudest recent band, dB; running mean of rises.
        rises: `[2, size]` ring of rises and of the running mean, hop `hop` newest.
        levels: `[size]` ring of levels, dB.
        hop: Number of the hop.
        size: Length of the rings.
        delay: Hops by which the result is late.
    """

    edges: i64p
    bands: i64
    bank: f64p
    rows: i64
    back: i64
    state: f64p
    rises: f64p
    levels: f64p
    hop: i64
    size: i64
    delay: i64


@kernel
def hum_onset_flux(bins: f32p, s: FluxState, row: i64, w: FluxWeights, power: f64) -> f64:
    """Onset strength `delay` hops before the newest: rise and weighted dip in dB, over 1 + the recent mean rise.

    Args:
        bins: Complex spectrum as pairs.
        row: Row of the newest hop.
        power: Mean square of the hop.
    """
    s.state[_TOP] = s.state[_TOP] - w.fall
    for b in range(s.bands):
        total = f64(1e-12)
        for k in range(s.edges[b], s.edges[b + 1]):
            re = f64(bins[2 * k])
            im = f64(bins[2 * k + 1])
            total = total + re * re + im * im
        level = 4.342944819 * math.log(total * w.scale / f64(s.edges[b + 1] - s.edges[b]))
        s.bank[row * s.bands + b] = level
        s.state[_TOP] = level if level > s.state[_TOP] else s.state[_TOP]
    floor = s.state[_TOP] - w.under
    before = row - s.back
    before = before + s.rows if before < 0 else before
    rise = f64(0.0)
    for b in range(s.bands):
        now = s.bank[row * s.bands + b]
        then = s.bank[before * s.bands + b]
        now = floor if now < floor else now
        then = floor if then < floor else then
        step = now - then
        step = w.most if step > w.most else step
        rise = rise + step if step > 0.0 else rise
    rise = rise / f64(s.bands)
    place = s.hop % s.size
    s.rises[place] = rise / (1.0 + s.state[_MEAN])
    s.rises[s.size + place] = s.state[_MEAN]
    capped = 6.0 if rise > 6.0 else rise
    s.state[_MEAN] = s.state[_MEAN] + w.calm * (capped - s.state[_MEAN])
    s.levels[place] = 4.342944819 * math.log(power + 1e-9)
    # the lowest level of late, and the highest before it and after it
    least = f64(99.0)
    least_at = i64(s.delay)
    for n in range(s.delay, s.delay + 11):
        v = s.levels[(s.hop + s.size - n) % s.size]
        if v < least:
            least = v
            least_at = n
    after = f64(-99.0)
    for n in range(least_at):
        v = s.levels[(s.hop + s.size - n) % s.size]
        after = v if v > after else after
    earlier = f64(-99.0)
    for n in range(least_at + 1, least_at + 11):
        v = s.levels[(s.hop + s.size - n) % s.size]
        earlier = v if v > earlier else earlier
    edge = after if after < earlier else earlier
    dip = edge - least
    dip = 0.0 if dip < 0.0 else dip
    place = (s.hop + s.size - s.delay) % s.size
    calmness = 1.0 + s.rises[s.size + place]
    most_dip = 3.0 * s.rises[place] * calmness + w.clear
    dip = most_dip if dip > most_dip else dip
    return f64(s.rises[place] + w.dip_weight * dip / calmness)


class OnsetFlux:
    """Onset strength `lag` hops before the newest where it has a peak, 0 elsewhere."""

    def __init__(self, rate: float, delay: int = 3, after: int = 4) -> None:
        """Allocates buffers.

        `delay`: hops after a dip within which a rise may follow; `after`: hops after a peak that must not be higher.
        """
        self.lag = delay + after
        self._delay, self._after = delay, after
        self._recent: list[float] = [0.0] * (BEFORE + after + 1)
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
        """Takes a hop of the newest `SIZE` samples: onset strength in dB at a peak `lag` hops before, else 0."""
        np.multiply(frame, self._window, out=self._framed)
        np.fft.rfft(self._framed, out=self._bins)  # type: ignore[arg-type]  # single precision is right at run time
        self._row = (self._row + 1) % self._rows
        self._hop += 1
        recent = self._recent
        recent.pop(0)
        value: float = hum_onset_flux(
            self._pairs,
            FluxState(
                self._edges,
                BANDS,
                self._bank,
                self._rows,
                BACK,
                self._state,
                self._rises,
                self._levels,
                self._hop,
                _LEVELS,
                self._delay,
            ),
            self._row,
            FluxWeights(UNDER, self._fall, MOST_RISE, self._scale, DIP, CALM, CLEAR),
            power,
        )
        recent.append(value)
        peak = float(recent[BEFORE])
        return peak if peak >= max(recent) else 0.0
