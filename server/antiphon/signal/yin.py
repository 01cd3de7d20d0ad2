"""YIN pitch tracker, one pitch or none a hop: first trough of the difference function below a threshold; median filter.

The difference function and its cumulative normalisation are those of YIN (de Cheveigné and Kawahara, 2002), computed
from an autocorrelation by FFT.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.native import f32p, f64, f64p, i64, kernel
from antiphon.signal.decimator import HISTORY

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
LOWEST = 36
"""Lowest detected pitch, a MIDI number: C2 (65 Hz)."""
HIGHEST = 96
"""Highest detected pitch, a MIDI number: C7 (2093 Hz)."""
WINDOW = 624
"""Integration window in samples: the newest ones, so that high notes have less delay."""
CENTRE = 300
"""Latency in samples: from the centre of the analysed sound to the end of the hop."""
MAX_PERIOD = HISTORY - WINDOW
"""Longest period searched, in samples."""
THRESHOLD = 0.151
"""YIN threshold: depth below which a trough is a pitch; 0 is periodic, 1 is not. YIN's authors use 0.1 to 0.15."""


class TroughSearch(NamedTuple):
    """Settings of the search for a trough.

    `window`: samples compared. `longest`: longest lag, in samples. `rate`: in Hz. `low`, `high`: range of the pitch, as
    MIDI numbers. `threshold`: depth below which a trough counts.
    """

    window: i64
    longest: i64
    rate: f64
    low: f64
    high: f64
    threshold: f64


@kernel
def hum_trough(x: f32p, corr: f32p, s: TroughSearch, d: f64p) -> f64:
    """The pitch of the first trough deeper than `threshold` between `low` and `high`, a MIDI number; 0 for none.

    `x`: `window + longest` samples, newest last. `corr`: `[longest]` correlation of the newest `window` samples with
    those a lag earlier. `d`: `[longest]` scratch, the normalised difference.
    """
    window = s.window
    longest = s.longest
    energy = f64(0.0)
    for n in range(window):
        v = f64(x[longest + n])
        energy = energy + v * v
    earlier = energy
    total = f64(0.0)
    d[0] = 1.0
    for t in range(1, longest):
        a = f64(x[longest - t])
        b = f64(x[longest + window - t])
        earlier = earlier + a * a - b * b
        gap = max(energy + earlier - 2.0 * f64(corr[t]), 0.0)
        total = total + gap
        d[t] = gap * f64(t) / total if total > 1e-12 else 1.0
    first = i64(s.rate / (440.0 * math.exp2((s.high + 0.5 - 69.0) / 12.0)))
    first = 2 if first < 2 else first
    last = min(i64(s.rate / (440.0 * math.exp2((s.low - 0.5 - 69.0) / 12.0))) + 2, longest - 1)
    found = f64(0.0)
    for t in range(first, last):
        if d[t] < d[t - 1] and d[t] <= d[t + 1] and found == 0.0:
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
                shift = min(max(shift, -1.0), 1.0)
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
            if depth < s.threshold:
                found = 69.0 + 12.0 * math.log2(s.rate / period / 440.0)
    return found


class Yin:
    """YIN pitch tracker of the newest hop. `find` allocates nothing. `rate`: samples per second of what it is given."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        bins = HISTORY // 2 + 1
        self._newest: F32 = np.zeros(HISTORY, np.float32)
        self._one = np.zeros(bins, np.complex64)
        self._two = np.zeros(bins, np.complex64)
        self._corr: F32 = np.zeros(HISTORY, np.float32)
        self._d: F64 = np.zeros(MAX_PERIOD, np.float64)

    def find(self, frame: F32, low: float, high: float) -> float:
        """Finds the pitch of the newest samples.

        `frame`: float32 `[HISTORY]`, newest last. `low`: lowest pitch, a MIDI number. Returns a MIDI number with
        fractions; 0 for none.
        """
        self._newest[MAX_PERIOD:] = frame[MAX_PERIOD:]
        np.fft.rfft(frame, out=self._one)  # type: ignore[arg-type]  # single precision is right at run time
        np.fft.rfft(self._newest, out=self._two)  # type: ignore[arg-type]
        np.conjugate(self._one, out=self._one)
        np.multiply(self._two, self._one, out=self._two)
        np.fft.irfft(self._two, HISTORY, out=self._corr)  # type: ignore[arg-type]
        search = TroughSearch(WINDOW, MAX_PERIOD, self._rate, low, high, THRESHOLD)
        return float(hum_trough(frame, self._corr, search, self._d))


class MedianPitch:
    """Median filter of the pitches of `2 * lag + 1` hops, with a latency of `lag` hops."""

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self._recent: list[float] = [0.0] * (2 * lag + 1)

    def reset(self) -> None:
        """Clears all state."""
        self._recent[:] = [0.0] * len(self._recent)

    def step(self, pitch: float) -> float:
        """Median pitch around the hop `lag` hops before, with the next hop's `pitch`, a MIDI number, 0 for none."""
        self._recent.pop(0)
        self._recent.append(pitch)
        return sorted(self._recent)[self.lag]
