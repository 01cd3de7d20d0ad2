"""True-peak limiter of files: a gain that falls ahead of a peak and recovers after it."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.native import f32p, f64, f64p, i64, kernel

F32 = NDArray[np.float32]
CEILING = 10.0 ** (-1.0 / 20.0)
"""True peak of a limited file, -1 dB of full scale."""
MARGIN = 0.985
"""Safety margin of the ceiling for errors of the interpolation."""
AHEAD, RELEASE = 0.004, 0.06
"""Attack of the gain in seconds, and time constant of its recovery."""
OVER, HALF_TAPS = 4, 24
"""Oversampling factor, and samples on either side used by the interpolation."""


@kernel
def limiter_gain(peaks: f32p, gain: f32p, frames: i64, low: f64p, smooth: f64p, ahead: i64, state: f64p) -> None:
    """gain[n] ← that of frame n - ahead + 1, at most 1 / peaks there: minimum over the look-ahead, smoothed recovery.

    `peaks`: each frame's true peak over the ceiling. `low`: ring of `ahead` wanted gains, 1 at first. `smooth`: ring of
    `ahead` gains that are averaged, 1 at first. `state`: place in the rings, present gain (1 at first), share of the
    recovery a frame.
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
def _taps() -> tuple[F32, ...]:
    """Interpolation filters: windowed sincs between two samples, each `[2 * HALF_TAPS]`."""
    places = np.arange(-HALF_TAPS + 1, HALF_TAPS + 1)
    window = np.kaiser(2 * HALF_TAPS * OVER + 1, 6.0)
    found = []
    for part in range(1, OVER):
        away = places - part / OVER
        taps = np.sinc(away) * window[np.rint((away + HALF_TAPS) * OVER).astype(int)]
        found.append(np.asarray(taps / taps.sum(), np.float32)[::-1])
    return tuple(found)


def peak_curve(sound: F32) -> F32:
    """True peak at each frame with `HALF_TAPS` on either side, of float32 `[channels, n]`: `[n - 2 * HALF_TAPS]`."""
    count = sound.shape[1] - 2 * HALF_TAPS
    peaks: F32 = np.abs(sound[:, HALF_TAPS : HALF_TAPS + count]).max(axis=0)
    for channel in sound:
        for taps in _taps():
            between = np.abs(np.convolve(channel, taps, "valid"))
            # what lies between two frames counts for both
            np.maximum(peaks, between[:count], out=peaks)
            np.maximum(peaks, between[1 : 1 + count], out=peaks)
    return peaks


class TruePeakLimiter:
    """Look-ahead limiter of a stream: `take` answers some milliseconds late, and `end` gives the rest."""

    def __init__(self, rate: int, channels: int, ceiling: float = CEILING) -> None:
        self._ceiling = ceiling * MARGIN
        self._ahead = max(2, round(AHEAD * rate))
        self._low, self._smooth = np.ones(self._ahead), np.ones(self._ahead)
        self._state = np.array([0.0, 1.0, 1.0 - math.exp(-1.0 / (RELEASE * rate))])
        self._held: F32 = np.zeros((channels, HALF_TAPS), np.float32)
        self._waiting: F32 = np.zeros((channels, 0), np.float32)
        self._skip = self._ahead - 1
        self.least = 1.0  # the lowest gain so far

    def take(self, sound: F32) -> F32:
        """Limits the next float32 `[channels, n]`; returns the part that is ready."""
        held = np.concatenate([self._held, sound], axis=1)
        count = held.shape[1] - 2 * HALF_TAPS
        if count <= 0:
            self._held = held
            return held[:, :0]
        self._held = held[:, count:]
        self._waiting = np.concatenate([self._waiting, held[:, HALF_TAPS : HALF_TAPS + count]], axis=1)
        peaks = np.asarray(peak_curve(held) / self._ceiling, np.float32)
        gain: F32 = np.empty(count, np.float32)
        limiter_gain(peaks, gain, count, self._low, self._smooth, self._ahead, self._state)
        skipped = min(self._skip, count)
        self._skip -= skipped
        gain = gain[skipped:]
        self.least = min(self.least, float(gain.min(initial=1.0)))
        ready, self._waiting = self._waiting[:, : len(gain)] * gain, self._waiting[:, len(gain) :]
        return ready

    def end(self) -> F32:
        """Remaining part of the result."""
        left = self._held.shape[1] - HALF_TAPS + self._waiting.shape[1]
        return self.take(np.zeros((len(self._held), HALF_TAPS + self._ahead), np.float32))[:, : max(0, left)]
