"""YIN pitch tracker, with one pitch or none per hop, on a mono stream at the pitch analysis rate; median filter.

The difference function and its cumulative normalisation are those of YIN (de Cheveigné and Kawahara, 2002), computed
from an autocorrelation by FFT; the pitch is the function's first trough below a threshold. Pitches up to 2 kHz need a
rate of 24 kHz at most: the input is mixed to mono and decimated by a windowed sinc. All counts start at the last
`reset`, so any split into blocks gives the same hops.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.runtime.sound_formats import MAX_CHANNELS
from antiphon.native.compiling import kernel
from antiphon.native.kernel import Audio, Step, f32, f32p, f64, f64p, i64, i64p
from antiphon.signal.listening_mix import ListeningMix

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
HOP = 128
"""Samples of a hop at the decimated rate: 5.3 ms at 24 kHz, 5.8 ms at 22.05 kHz."""
AROUND = 24000
HISTORY = 1024
"""Newest samples kept by `Decimator`."""
TAPS = 16
"""Taps of the decimation filter on each side, per unit of the decimation factor."""
BODY = (60.0, 500.0)
"""Corner frequencies in Hz of the first-order high-pass and low-pass of `Decimator.body`.

They preserve a weak fundamental among strong harmonics, and keep the troughs of high harmonics wide enough for the
sampling.
"""
# places in `state`: write place in the filter's ring, inputs until an output is due, outputs in the hop that fills
_AT, _DUE, _FILLED, _SIZE = 0, 1, 2, 3


class DecimatorState(NamedTuple):
    """Decimation filter with its delay line."""

    ring: f32p  # `[2 * length]` the newest `length` mono samples, twice, so that they are contiguous
    taps: f32p  # `[length]` filter
    length: i64
    factor: i64  # input frames per output sample
    state: i64p
    hop: f32p  # `[size]` result
    body: f32p  # `[size]` result, filtered to `BODY`
    size: i64  # samples of a hop
    k: f64p
    weights: f32p  # `[channels]` of the mix
    powers: f64p  # `[channels + 1]` energy of each channel in the hop, and that of their mean


@kernel
def hum_decimate(x: Audio, first: i64, last: i64, s: DecimatorState) -> i64:
    """Decimates frames `first` to `last` of x until `hop` is full."""
    taken = i64(0)
    n = first
    while n < last and s.state[_FILLED] < s.size:
        v = f32(0.0)
        mean = f64(0.0)
        for c in range(x.channels):
            # NaN would stay in the filters' state for ever
            u = x[c, n] if abs(x[c, n]) < f32(1e4) else f32(0.0)
            v = v + s.weights[c] * u
            mean = mean + f64(u)
            s.powers[c] = s.powers[c] + f64(u) * f64(u)
        mean = mean / f64(x.channels)
        s.powers[x.channels] = s.powers[x.channels] + mean * mean
        w = s.state[_AT]
        s.ring[w] = v
        s.ring[w + s.length] = v
        w = 0 if w + 1 == s.length else w + 1
        s.state[_AT] = w
        s.state[_DUE] = s.state[_DUE] - 1
        if s.state[_DUE] == 0:
            s.state[_DUE] = s.factor
            y = f64(0.0)
            for j in range(s.length):
                y = y + f64(s.ring[w + j] * s.taps[j])
            s.hop[s.state[_FILLED]] = f32(y)
            s.k[2] = s.k[2] + s.k[0] * (y - s.k[2])
            s.k[3] = s.k[3] + s.k[1] * (s.k[2] - s.k[3])
            s.k[2] = 0.0 if abs(s.k[2]) < 1e-20 else s.k[2]
            s.k[3] = 0.0 if abs(s.k[3]) < 1e-20 else s.k[3]
            s.body[s.state[_FILLED]] = f32(s.k[2] - s.k[3])
            s.state[_FILLED] = s.state[_FILLED] + 1
        n = n + 1
        taken = taken + 1
    return taken


@kernel
def hum_hop_goes_on(s: DecimatorState, frames: i64) -> i64:
    """1 if so many further frames do not fill the hop, else 0."""
    made = 0 if frames < s.state[_DUE] else 1 + (frames - s.state[_DUE]) // s.factor
    return 1 if s.state[_FILLED] + made < s.size else 0


class Decimator:
    """Fills hops of decimated samples and keeps the newest `HISTORY`.

    `around`: the wanted rate in Hz, approximated by an integer factor. `hop`: decimated samples of a hop. `factor`:
    input frames per decimated sample. `rate`: decimated samples per second. `hop`: decimated samples of a hop. `lag`:
    input frames by which a decimated sample lags the sound.
    """

    def __init__(self, rate: int, around: int = AROUND, hop: int = HOP) -> None:
        self.factor = max(1, round(rate / around))
        self.rate = rate / self.factor
        self.hop = hop
        side = TAPS * self.factor if self.factor > 1 else 0
        self._length = 2 * side + 1
        self.lag = side
        self._taps = _lowpass(side, 0.45 / self.factor) if side else np.ones(1, np.float32)
        self._ring: F32 = np.zeros(2 * self._length, np.float32)
        self._state: I64 = np.zeros(_SIZE, np.int64)
        self._k: F64 = np.zeros(4, np.float64)
        self._k[:2] = [1.0 - math.exp(-2.0 * math.pi * hz / self.rate) for hz in reversed(BODY)]
        self._samples: F32 = np.zeros(HISTORY + 8 * hop, np.float32)
        self._body: F32 = np.zeros(HISTORY + 8 * hop, np.float32)
        self._mix, self._channels = ListeningMix.live(rate), 0
        self._powers: F64 = np.zeros(MAX_CHANNELS + 1, np.float64)
        self.reset()

    def reset(self) -> None:
        """Clears all state."""
        self._ring.fill(0.0)
        self._samples.fill(0.0)
        self._body.fill(0.0)
        self._k[2:] = 0.0
        self._mix.reset()
        self._powers.fill(0.0)
        self._state.fill(0)
        self._state[_DUE] = self.factor
        self._end = HISTORY + self.hop

    def take(self, x: F32, first: int, last: int) -> int:
        """Decimates frames `first` to `last`, or up to a full hop. `x`: float32 `[channels, frames]`."""
        if len(x) != self._channels:
            self._channels = len(x)
            self._mix.begin(self._channels)
            self._powers.fill(0.0)
        return hum_decimate(x, first, last, self._line)

    def step(self, x: F32) -> Step:
        """Step of a block that does not fill the hop, after a `take` of as many channels; the others are left."""
        frames, line = x.shape[1], self._line
        return hum_decimate.step(x, 0, frames, line).provided(hum_hop_goes_on.step(line, frames))

    @property
    def _line(self) -> DecimatorState:
        hop, body = self.newest(self.hop), self.body(self.hop)
        return DecimatorState(
            self._ring, self._taps, self._length, self.factor, self._state, hop, body, self.hop, self._k,
            self._mix.weights, self._powers,
        )  # fmt: skip

    @property
    def full(self) -> bool:
        """True if a hop is complete; then read `newest` and call `turn`."""
        return bool(self._state[_FILLED] == self.hop)

    def newest(self, length: int) -> F32:
        """Newest decimated samples. `length`: their number, at most `HISTORY`. Returns float32 `[length]`, a view."""
        return self._samples[self._end - length : self._end]

    def body(self, length: int) -> F32:
        """Newest samples, band-limited to `BODY`. Returns float32 `[length]`, a view."""
        return self._body[self._end - length : self._end]

    def turn(self) -> None:
        """Starts the next hop."""
        self._state[_FILLED] = 0
        if (count := self._channels) > 1:
            powers = self._powers.tolist()
            self._mix.weigh(powers[count], powers[:count], self.hop * self.factor)
        self._powers.fill(0.0)
        if self._end == self._samples.shape[0]:
            for buffer in (self._samples, self._body):
                buffer[:HISTORY] = buffer[-HISTORY:]
            self._end = HISTORY
        self._end += self.hop


def _lowpass(side: int, cutoff: float) -> F32:
    """Taps of a windowed sinc, 2 * side + 1; `cutoff` is a fraction of the sampling rate."""
    n = np.arange(-side, side + 1)
    taps = 2 * cutoff * np.sinc(2 * cutoff * n) * np.blackman(2 * side + 3)[1:-1]
    return np.asarray(taps / taps.sum(), np.float32)


LOWEST = 36
"""Lowest detected pitch, a MIDI number: C2 (65 Hz)."""
HIGHEST = 96
"""Highest detected pitch, a MIDI number: C7 (2093 Hz)."""
WINDOW = 624
"""Integration window in samples: only the newest, so that high notes have less latency."""
CENTRE = 300
"""Latency in samples: from the centre of the analysed sound to the end of the hop."""
MAX_PERIOD = HISTORY - WINDOW
"""Longest searched period, in samples."""
THRESHOLD = 0.151
"""YIN threshold: depth below which a trough is a pitch; 0 is periodic, 1 is not. YIN's authors use 0.1 to 0.15."""


class TroughSearch(NamedTuple):
    """Settings of the search for a trough.

    `window`: number of compared samples. `longest`: longest lag, in samples. `rate`: Hz. `low`, `high`: range of the
    pitch, MIDI numbers. `threshold`: depth below which a trough counts.
    """

    window: i64
    longest: i64
    rate: f64
    low: f64
    high: f64
    threshold: f64


@kernel
def hum_trough(x: f32p, corr: f32p, s: TroughSearch, d: f64p) -> f64:
    """MIDI number of the first trough deeper than `threshold` between `low` and `high`; 0 for none.

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
    """YIN pitch tracker of the newest hop. `find` allocates nothing. `rate`: sample rate of its input."""

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
        """Median pitch around the hop `lag` hops before. `pitch`: the next hop's MIDI number, 0 for none."""
        self._recent.pop(0)
        self._recent.append(pitch)
        return sorted(self._recent)[self.lag]
