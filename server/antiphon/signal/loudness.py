"""Loudness by ITU-R BS.1770-4, for EBU R 128: a K-weighting kernel and the gate; true peak limiting."""

from __future__ import annotations

import math
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.native.compiling import kernel
from antiphon.native.kernel import f32p, f64, f64p, i64

QUIETEST = -70.0
"""Absolute gate in LUFS, and the loudness assigned to silence."""
BLOCK, HOP = 0.4, 0.1
"""Length and hop of gating blocks in seconds."""
_SURROUND, _MASKS = 1.41, {5: 0x37, 6: 0x3F}
"""BS.1770's weight of the channels beside or, without such, behind the listener; speakers by the number of channels."""
_LOW, _BACK, _SIDE = 0x8, 0x30, 0x600
_PIECE = 65536
"""Frames weighted at a time."""
K_STATE = 4
"""State variables of one channel."""


@kernel
def k_weigh(x: f32p, power: f64p, frames: i64, k: f64p, state: f64p, weight: f64) -> None:
    """power[n] += weight * v², v the K-weighted x: two second-order sections in series, with persistent state.

    `x`: the samples of a channel, `[frames]`. `power`: the sum to add to, `[frames]`. `k`: b0 b1 b2 a1 a2 of each
    section, from `k_sections`. `state`: two numbers of each section, `[K_STATE]`, 0 at the beginning.
    """
    s1 = state[0]
    s2 = state[1]
    t1 = state[2]
    t2 = state[3]
    for n in range(frames):
        v = f64(x[n])
        w = k[0] * v + s1
        s1 = k[1] * v - k[3] * w + s2
        s2 = k[2] * v - k[4] * w
        y = k[5] * w + t1
        t1 = k[6] * w - k[8] * y + t2
        t2 = k[7] * w - k[9] * y
        power[n] = power[n] + weight * y * y
    state[0] = s1
    state[1] = s2
    state[2] = t1
    state[3] = t2


def k_sections(rate: int) -> NDArray[np.float64]:
    """The two K-weighting filters, head shelf and high pass.

    The analog prototypes' parameters were fitted by Mansbridge, Finn and Reiss (AES 2012) to the 48 kHz coefficients.
    Returns `[10]`: b0 b1 b2 a1 a2 of each.
    """
    out: list[float] = []
    for gain, q, centre, shelf in (
        (3.999843853973347, 0.7071752369554196, 1681.974450955533, True),
        (0.0, 0.5003270373238773, 38.13547087602444, False),
    ):
        k = float(np.tan(np.pi * min(centre / rate, 0.49)))
        norm = 1 + k / q + k * k
        if shelf:
            vh = 10 ** (gain / 20)
            vb = vh**0.4996667741545416
            out += [(vh + vb * k / q + k * k) / norm, 2 * (k * k - vh) / norm, (vh - vb * k / q + k * k) / norm]
        else:
            out += [1.0, -2.0, 1.0]
        out += [2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]
    return np.array(out)


def lufs_of(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loudness of mean squares of K-weighted sound."""
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(energy, 1e-15)))


def gated_loudness(energy: NDArray[np.float64]) -> float:
    """Integrated loudness: the mean of the blocks above the absolute gate and 10 LU below their own mean.

    `energy`: `[n]`, mean squares of K-weighted blocks of `BLOCK` seconds, one each `HOP`. Returns LUFS, `QUIETEST` at
    least.
    """
    loud = lufs_of(energy)
    gated = energy[loud > QUIETEST]
    if not len(gated):
        return QUIETEST
    gate = -0.691 + 10 * np.log10(gated.mean()) - 10
    gated = energy[(loud > QUIETEST) & (loud > gate)]
    return float(max(QUIETEST, -0.691 + 10 * np.log10(gated.mean())))


class LoudnessMeter:
    """Energy of each tenth of a second of K-weighted sound, given piece by piece: ten hours take 3 MB.

    `HOP`: that tenth. `MOMENTARY`: hops of a gating block.
    """

    HOP: ClassVar[float] = HOP
    MOMENTARY: ClassVar[int] = 4

    def __init__(self, rate: int, channels: int, mask: int = 0) -> None:
        self.hop = max(1, round(HOP * rate))
        self._sections = k_sections(rate)
        self._states = np.zeros((channels, K_STATE))
        self._weights = self.weights(channels, mask)
        self._energies: list[NDArray[np.float64]] = []
        self._rest = np.zeros(0)

    @classmethod
    def of(cls, sound: NDArray[np.float32], rate: int) -> float:
        """Integrated loudness in LUFS of a whole sound, float32 `[channels, frames]`; below 0.4 s it is one block."""
        meter = cls(rate, len(sound))
        meter.feed(sound)
        return meter.integrated_loudness()

    @staticmethod
    def weights(channels: int, mask: int = 0) -> tuple[float, ...]:
        """BS.1770's weight of each channel.

        `mask`: the speakers, as of WAVE_FORMAT_EXTENSIBLE; 0 for the usual ones of 5 and 6 channels, else front ones.
        """
        mask = mask if mask.bit_count() == channels else _MASKS.get(channels, 0)
        surround = _SIDE if mask & _SIDE else _BACK
        speakers = [1 << bit for bit in range(32) if mask >> bit & 1]
        if len(speakers) != channels:
            return (1.0,) * channels
        return tuple(0.0 if one == _LOW else _SURROUND if one & surround else 1.0 for one in speakers)

    def feed(self, sound: NDArray[np.float32]) -> None:
        """Takes the next float32 `[channels, n]`."""
        for first in range(0, sound.shape[1], _PIECE):
            piece = np.ascontiguousarray(sound[:, first : first + _PIECE], np.float32)
            power = np.zeros(piece.shape[1])
            for channel, state, weight in zip(piece, self._states, self._weights, strict=True):
                k_weigh(channel, power, len(power), self._sections, state, weight)
            power = np.concatenate([self._rest, power])
            whole = len(power) // self.hop * self.hop
            self._energies.append(power[:whole].reshape(-1, self.hop).mean(axis=1))
            self._rest = power[whole:]

    def blocks(self, hops: int) -> NDArray[np.float64]:
        """Mean energies of gating blocks of `hops` hops, one each hop; a shorter sound is a single block."""
        energies = np.concatenate(self._energies) if self._energies else np.zeros(0)
        if len(energies) < hops:
            frames = len(energies) * self.hop + len(self._rest)
            return np.array([(energies.sum() * self.hop + self._rest.sum()) / max(1, frames)])
        total = np.concatenate([[0.0], np.cumsum(energies)])
        return np.asarray((total[hops:] - total[:-hops]) / hops)

    @property
    def hops(self) -> int:
        """Number of complete hops so far."""
        return sum(map(len, self._energies))

    def integrated_loudness(self) -> float:
        """Integrated loudness so far, in LUFS."""
        return gated_loudness(self.blocks(self.MOMENTARY))


F32 = NDArray[np.float32]
CEILING = 10.0 ** (-1.0 / 20.0)
"""True peak of a limited file, -1 dB of full scale."""
MARGIN = 0.965
"""Safety margin of the ceiling: so much do meters differ of white noise."""
AHEAD, RELEASE = 0.004, 0.06
"""Attack of the gain in seconds, and time constant of its recovery."""
OVER, HALF_TAPS, FFT = 8, 160, 1 << 14
"""Oversampling factor, samples on either side used by the interpolation, and its frames at a time."""
BANDS = (1.0, 0.95)
"""Shares of the band that the interpolation passes. Meters cut it off at one or the other, after which the peaks of
noise and cymbals are 1 dB higher or lower.
"""


@kernel
def limiter_gain(peaks: f32p, gain: f32p, frames: i64, low: f64p, smooth: f64p, ahead: i64, state: f64p) -> None:
    """gain[n] ← gain of frame n - ahead + 1, at most 1 / peaks there: minimum over the look-ahead, smooth recovery.

    `peaks`: each frame's true peak over the ceiling. `low`: ring of `ahead` wanted gains, 1 at first. `smooth`: ring of
    `ahead` gains to average, 1 at first. `state`: position in the rings, current gain (1 at first), recovery per frame
    as a fraction.
    """
    at = i64(state[0])
    for n in range(frames):
        low[at] = 1.0 / f64(peaks[n]) if peaks[n] > 1.0 else 1.0
        least = f64(1.0)
        for k in range(ahead):
            least = low[k] if low[k] < least else least
        now = state[1] + (1.0 - state[1]) * state[2]
        state[1] = least if least < now else now
        smooth[at] = state[1]
        total = f64(0.0)
        for k in range(ahead):
            total = total + smooth[k]
        gain[n] = total / f64(ahead)
        at = 0 if at + 1 == ahead else at + 1
    state[0] = f64(at)


@cache
def _spectra(size: int) -> NDArray[np.complex64]:
    """Spectra `[filters, size // 2 + 1]` of windowed sincs, of `2 * HALF_TAPS` each, for `OVER` points a sample."""
    away = np.arange(-HALF_TAPS + 1, HALF_TAPS + 1) - np.arange(OVER)[:, None] / OVER
    window = np.kaiser(2 * HALF_TAPS * OVER + 1, 6.0)[np.rint((away + HALF_TAPS) * OVER).astype(int)]
    taps = np.concatenate([np.sinc(band * away) * window for band in BANDS])
    taps /= taps.sum(axis=1, keepdims=True)
    return np.fft.rfft(taps[:, ::-1], size).astype(np.complex64)


def peak_curve(sound: F32) -> F32:
    """True peak at each frame with `HALF_TAPS` on either side, of float32 `[channels, n]`: `[n - 2 * HALF_TAPS]`."""
    count = sound.shape[1] - 2 * HALF_TAPS
    peaks: F32 = np.abs(sound[:, HALF_TAPS : HALF_TAPS + count]).max(axis=0)
    for first in range(0, count, FFT - 2 * HALF_TAPS):
        piece = sound[:, first : first + FFT]
        here = peaks[first : first + piece.shape[1] - 2 * HALF_TAPS]
        size = 1 << (piece.shape[1] - 1).bit_length()
        for spectrum in np.fft.rfft(piece, size):
            between = np.abs(np.fft.irfft(spectrum * _spectra(size), size)[:, 2 * HALF_TAPS - 1 : piece.shape[1]])
            between = between.max(axis=0)
            # what lies between two frames counts for both
            np.maximum(here, between[:-1], out=here)
            np.maximum(here, between[1:], out=here)
    return peaks


class TruePeakLimiter:
    """Look-ahead limiter of a stream: `take` returns sound some milliseconds late, and `end` returns the rest."""

    def __init__(self, rate: int, channels: int, ceiling: float = CEILING) -> None:
        self._ceiling = ceiling * MARGIN
        self._ahead = max(2, round(AHEAD * rate))
        self._low, self._smooth = np.ones(self._ahead), np.ones(self._ahead)
        self._state = np.array([0.0, 1.0, 1.0 - math.exp(-1.0 / (RELEASE * rate))])
        self._held: F32 = np.zeros((channels, HALF_TAPS), np.float32)
        self._waiting: F32 = np.zeros((channels, 0), np.float32)
        self._skip = self._ahead - 1
        self._begun = False
        self.least = 1.0  # the lowest gain so far

    def take(self, sound: F32) -> F32:
        """Limits the next float32 `[channels, n]`; returns the part that is ready."""
        held = np.concatenate([self._held, sound], axis=1)
        count = held.shape[1] - 2 * HALF_TAPS
        if count <= 0 or (not self._begun and count < HALF_TAPS):
            self._held = held
            return held[:, :0]
        self._held = held[:, count:]
        self._waiting = np.concatenate([self._waiting, held[:, HALF_TAPS : HALF_TAPS + count]], axis=1)
        peaks = peak_curve(held)
        if not self._begun:
            # some meters, FFmpeg's among them, see a mirrored beginning before the sound, others silence
            before, start = held[:, 2 * HALF_TAPS : HALF_TAPS : -1], peaks[:HALF_TAPS]
            np.maximum(start, peak_curve(np.concatenate([before, held[:, HALF_TAPS : 3 * HALF_TAPS]], 1)), out=start)
            self._begun = True
        peaks /= np.float32(self._ceiling)
        gain: F32 = np.empty(count, np.float32)
        limiter_gain(peaks, gain, count, self._low, self._smooth, self._ahead, self._state)
        skipped = min(self._skip, count)
        self._skip -= skipped
        gain = gain[skipped:]
        self.least = min(self.least, float(gain.min(initial=1.0)))
        ready, self._waiting = self._waiting[:, : len(gain)] * gain, self._waiting[:, len(gain) :]
        return ready

    def end(self) -> F32:
        """Returns the remaining part of the result."""
        left = self._held.shape[1] - HALF_TAPS + self._waiting.shape[1]
        return self.take(np.zeros((len(self._held), 2 * HALF_TAPS + self._ahead), np.float32))[:, : max(0, left)]
