"""Time curves from which beats, bars and chords are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, F64
from antiphon_listen import onsets
from antiphon_listen.spectra import chroma

_LEVELLED = 5.0
"""Normalisation window in seconds of the onset strength: a soft verse counts as much as a loud chorus."""
_OFFSETS = np.arange(-2.0, 3.0)
_CHANGE = 5
"""Frames of chroma on either side, 0.5 s, compared for harmonic novelty."""


@dataclass(frozen=True, slots=True)
class MusicCurves:
    """A recording's curves."""

    strength: F64  # `[3, n]`, of low, middle and high onsets, evened out, `onsets.FRAMES_PER_SECOND` a second
    novelty: F64  # `[m]`, how far harmony changes, its mean 1, `chroma.FRAMES_PER_SECOND` a second
    notes: F32  # `[m, 24]`, pitch classes of bass and treble
    seconds: float
    drums: bool = False  # whether there are drums in it

    def at_onsets(self, seconds: F64) -> F64:
        """Maximum strengths within 20 ms of each time, `[3, n]`."""
        return np.array([_largest(row, seconds, onsets.FRAMES_PER_SECOND, 0.01) for row in self.strength])

    def change_at(self, seconds: F64) -> F64:
        """Maximum novelty within 50 ms of each time, `[n]`."""
        return _largest(self.novelty, seconds, chroma.FRAMES_PER_SECOND, 0.025)

    def per_interval(self, seconds: F64) -> F64:
        """Mean square roots of the pitch classes between times, `[n, 24]`; the last interval repeats its length."""
        lengths = np.diff(seconds, append=2.0 * seconds[-1] - seconds[-2])
        roots = np.sqrt(self.notes / (self.notes.max(initial=0.0) + 1e-9))
        total = np.concatenate([np.zeros((1, 24)), np.cumsum(roots, axis=0, dtype=np.float64)])

        def until(at: F64) -> F64:
            place = np.clip(at * chroma.FRAMES_PER_SECOND + 0.5, 0.0, len(total) - 1.0)
            whole = np.minimum(place.astype(int), len(total) - 2)
            part = (place - whole)[:, None]
            return np.asarray(total[whole] * (1.0 - part) + total[whole + 1] * part)

        first, last = seconds + 0.1 * lengths, seconds + 0.95 * lengths
        frames = np.maximum((last - first) * chroma.FRAMES_PER_SECOND, 1e-6)
        return np.maximum(0.0, (until(last) - until(first)) / frames[:, None])


def curves(strength: F32, notes: F32, seconds: float) -> MusicCurves:
    """Curves of the results of `OnsetStrength` and `NoteSpectrum`."""
    around = int(_LEVELLED * onsets.FRAMES_PER_SECOND) | 1
    level = [np.sqrt(row / (_mean(row, around) + 0.15)) for row in strength.T.astype(np.float64)]
    change = _novelty(notes)
    return MusicCurves(np.array([_smooth(row, 5) for row in level]), change / (change.mean() + 1e-9), notes, seconds)


def _mean(row: F64, width: int) -> F64:
    total = np.concatenate([[0.0], np.cumsum(row)])
    places = np.arange(len(row))
    first, last = np.maximum(0, places - width // 2), np.minimum(len(row), places + width // 2 + 1)
    return np.asarray((total[last] - total[first]) / width)


def _smooth(row: F64, width: int) -> F64:
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(row, window / window.sum(), "same")


def _novelty(notes: F32) -> F64:
    """Harmonic novelty: 1 minus the cosine of the chroma before and after."""
    level = np.sqrt(notes / (notes.max(initial=0.0) + 1e-9)).astype(np.float64)
    level /= np.linalg.norm(level, axis=1, keepdims=True) + 0.1
    total = np.concatenate([np.zeros((1, 24)), np.cumsum(level, axis=0)])
    places = np.arange(len(notes))
    before = total[places] - total[np.maximum(0, places - _CHANGE)]
    after = total[np.minimum(len(notes), places + _CHANGE)] - total[places]
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change = 1.0 - (before * after).sum(axis=1) / (size + 1e-9)
    change[:2] = change[-1:] = 0.0
    return np.asarray(change)


def _largest(row: F64, seconds: F64, rate: float, step: float) -> F64:
    near = (seconds + step * _OFFSETS[:, None]) * rate
    return np.asarray(np.interp(near, np.arange(len(row)), row).max(axis=0))
