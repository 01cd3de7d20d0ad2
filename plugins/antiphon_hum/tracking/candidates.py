"""The pitch candidates of a hop, and the probability of each.

The difference function and its cumulative normalisation are those of YIN (de Cheveigné and Kawahara, 2002), computed
from an autocorrelation by FFT. The probabilities are those of pYIN (Mauch and Dixon, 2014): a threshold drawn from a
beta distribution chooses the first trough below it, so a trough's probability is that of the thresholds between its
depth and the deepest trough before it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f32p, f64, f64p, i64, kernel
from antiphon_hum.decimator import HISTORY

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
WINDOW = 624
"""Samples compared at each lag: the newest ones, so that high notes have less delay."""
LONGEST = HISTORY - WINDOW
"""Longest period considered, in samples."""
MOST = 64
"""Most candidates of one hop."""
STEPS = 1000
"""Steps of the table of the thresholds' cumulative distribution."""
PLAIN = 0.15
"""The single threshold of YIN."""
NO_TROUGH = 0.01
"""Weight of the deepest trough where no threshold reaches it."""
# places in `out` before the candidates: how many, the deepest trough's depth, its pitch, mean power
_COUNT, _DEPTH, _BEST, _POWER, HEAD = 0, 1, 2, 3, 4


@kernel
def hum_candidates(
    x: f32p, corr: f32p, window: i64, longest: i64, rate: f64, low: f64, high: f64, below: f64p, steps: i64,
    rest: f64, most: i64, d: f64p, out: f64p,
) -> None:  # fmt: skip
    """out ← header, then (pitch as MIDI number, probability) of each candidate between pitches `low` and `high`.

    Args:
        x: `window + longest` samples, newest last.
        corr: `[longest]` correlation of the newest `window` samples with those a lag earlier.
        window: Samples compared.
        longest: Longest lag.
        rate: Samples per second.
        low: Lowest pitch, MIDI number.
        high: Highest pitch, MIDI number.
        below: `[steps + 1]` probability that the threshold is below k / steps.
        steps: Steps of that table.
        rest: Weight of the deepest trough where no threshold reaches it.
        most: Most candidates.
        d: `[longest]` scratch, the normalised difference.
        out: `[HEAD + 2 * most]` result.
    """
    energy = f64(0.0)
    for n in range(window):
        v = f64(x[longest + n])
        energy = energy + v * v
    out[_POWER] = energy / f64(window)
    out[_COUNT] = 0.0
    out[_DEPTH] = 1.0
    out[_BEST] = 0.0
    earlier = energy
    total = f64(0.0)
    d[0] = 1.0
    for t in range(1, longest):
        a = f64(x[longest - t])
        b = f64(x[longest + window - t])
        earlier = earlier + a * a - b * b
        gap = energy + earlier - 2.0 * f64(corr[t])
        gap = 0.0 if gap < 0.0 else gap
        total = total + gap
        d[t] = gap * f64(t) / total if total > 1e-12 else 1.0
    first = i64(rate / (440.0 * math.exp2((high + 0.5 - 69.0) / 12.0)))
    first = 2 if first < 2 else first
    last = i64(rate / (440.0 * math.exp2((low - 0.5 - 69.0) / 12.0))) + 2
    last = longest - 1 if last > longest - 1 else last
    count = i64(0)
    lowest = f64(1.0)
    deepest = f64(1.0)
    deepest_at = i64(-1)
    for t in range(first, last):
        if d[t] < d[t - 1] and d[t] <= d[t + 1] and count < most:
            # refined on the longest multiple of the period that still is a trough: short periods are few samples
            period = f64(t)
            depth = f64(0.0)
            multiple = i64(1)
            going = i64(1)
            while going == 1:
                near = i64(period * f64(multiple) + 0.5)
                place = near
                for k in range(near - 1, near + 2):
                    if k < longest - 1:
                        place = k if d[k] < d[place] else place
                if place >= longest - 1 or place < 2:
                    break
                bend = d[place - 1] - 2.0 * d[place] + d[place + 1]
                slope = d[place - 1] - d[place + 1]
                shift = 0.0
                if bend > 1e-12:
                    shift = 0.5 * slope / bend
                shift = 1.0 if shift > 1.0 else shift
                shift = -1.0 if shift < -1.0 else shift
                if multiple == 1:
                    depth = d[place] - 0.25 * slope * shift
                if multiple > 1 and d[place] > depth + 0.1:
                    break
                if abs(shift) >= 1.0 and multiple > 1:
                    break
                period = (f64(place) + shift) / f64(multiple)
                multiple = multiple * 2
                if period * f64(multiple) > 100.0:
                    going = 0
            depth = 0.0 if depth < 0.0 else depth
            pitch = 69.0 + 12.0 * math.log2(rate / period / 440.0)
            if depth < deepest:
                deepest = depth
                out[_BEST] = pitch
            if depth < lowest:
                top = i64(lowest * f64(steps))
                bottom = i64(depth * f64(steps))
                out[HEAD + 2 * count] = pitch
                out[HEAD + 2 * count + 1] = below[top] - below[bottom]
                deepest_at = count
                count = count + 1
                lowest = depth
    if deepest_at >= 0:
        at = HEAD + 2 * deepest_at + 1
        out[at] = out[at] + rest * below[i64(lowest * f64(steps))]
    out[_COUNT] = f64(count)
    out[_DEPTH] = deepest


def thresholds(alpha: int = 2, beta: int = 24) -> F64:
    """`[STEPS + 1]` cumulative beta distribution at k / STEPS; `alpha` and `beta` are whole numbers."""
    n = alpha + beta - 1
    x = np.arange(STEPS + 1) / STEPS
    found = np.zeros(STEPS + 1)
    for k in range(alpha, n + 1):
        found += math.comb(n, k) * x**k * (1 - x) ** (n - k)
    return found


class Candidates:
    """The candidates of the newest hop. `find` allocates nothing.

    Attributes:
        out: `[HEAD + 2 * MOST]` result; see `hum_candidates`.
    """

    def __init__(self, rate: float, plain: bool = False) -> None:
        """Allocates buffers.

        Args:
            rate: Of the decimated stream, Hz.
            plain: Whether to use the single threshold of YIN in place of a distribution.
        """
        self._rate = rate
        self._below = (np.arange(STEPS + 1) > PLAIN * STEPS).astype(np.float64) if plain else thresholds()
        bins = HISTORY // 2 + 1
        self._newest: F32 = np.zeros(HISTORY, np.float32)
        self._one = np.zeros(bins, np.complex64)
        self._two = np.zeros(bins, np.complex64)
        self._corr: F32 = np.zeros(HISTORY, np.float32)
        self._d: F64 = np.zeros(LONGEST, np.float64)
        self.out: F64 = np.zeros(HEAD + 2 * MOST, np.float64)

    def find(self, frame: F32, low: float, high: float) -> F64:
        """Finds the candidates of a frame.

        Args:
            frame: `[HISTORY]` samples, newest last.
            low: Lowest pitch, MIDI number.
            high: Highest pitch, MIDI number.

        Returns:
            `out`; see `hum_candidates`.
        """
        self._newest[LONGEST:] = frame[LONGEST:]
        np.fft.rfft(frame, out=self._one)  # type: ignore[arg-type]  # single precision is right at run time
        np.fft.rfft(self._newest, out=self._two)  # type: ignore[arg-type]
        np.conjugate(self._one, out=self._one)
        np.multiply(self._two, self._one, out=self._two)
        np.fft.irfft(self._two, HISTORY, out=self._corr)  # type: ignore[arg-type]
        hum_candidates(
            frame, self._corr, WINDOW, LONGEST, self._rate, low, high, self._below, STEPS, NO_TROUGH, MOST,
            self._d, self.out,
        )  # fmt: skip
        return self.out

    @property
    def depth(self) -> float:
        """Depth of the deepest trough: 0 is periodic, 1 is not."""
        return float(self.out[_DEPTH])

    @property
    def power(self) -> float:
        """Mean square of the window."""
        return float(self.out[_POWER])
