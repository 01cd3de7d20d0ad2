"""Features of a sound segment: MFCC, chroma, level, pitch; and onsets hop by hop."""

import math
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, note_number
from antiphon.api.backends.analysis import MelSettings, mel_bank
from antiphon.api.backends.signal import hann

BANDS, CEPSTRA = 40, 12
TIMBRE, CHROMA, LEVEL = slice(0, CEPSTRA), slice(CEPSTRA, CEPSTRA + 12), CEPSTRA + 12
WIDTH = CEPSTRA + 13
"""Features of a unit: MFCC 2 to 13 in units of `SPREAD`, chroma of length 1, level in units of `LEVEL_SPREAD`."""
SPREAD, LEVEL_SPREAD = 60.0, 20.0
"""Feature scales in dB."""
BAND_RANGE = 60.0
"""Band range in dB below the loudest; bands are clipped to it."""
SILENT = -80.0
"""Level in dB below which a window is silent."""
LOWEST, HIGHEST = 50.0, 1600.0
"""Range of pitches in Hz."""
MIN_PEAK = 0.8
"""Minimum autocorrelation peak of a pitched sound."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Sizes in samples at a rate."""

    rate: int  # samples a second
    size: int  # samples of a unit

    @property
    def hop(self) -> int:
        """Hop in samples: the power of two nearest to 5.3 ms."""
        return int(2 ** max(5, round(math.log2(self.rate / 187.5))))

    @property
    def window(self) -> int:
        """Window in samples of MFCC and level; chroma and pitch use twice as many, with the same end."""
        return 8 * self.hop

    @property
    def ahead(self) -> int:
        """Samples from the beginning of a unit to the end of its feature window, with equal centres."""
        return self.size // 2 + self.window // 2

    @property
    def latency(self) -> int:
        """Samples by which the output lags the input."""
        return self.ahead + 3 * self.hop


class Describer:
    """Computes the features of windows `[n, 2 * grid.window]`."""

    def __init__(self, grid: Grid) -> None:
        size = grid.window
        settings = MelSettings(grid.rate, size, grid.hop, BANDS, 40.0, min(11000.0, 0.45 * grid.rate))
        self._size = size
        self._short, self._long = (hann(n) for n in (size, 2 * size))
        decay = np.fft.irfft(np.abs(np.fft.rfft(self._long, 4 * size)) ** 2)
        self._decay = (decay / decay[0]).astype(np.float32)
        self._bank = np.ascontiguousarray(mel_bank(settings).T)
        place = np.arange(1, CEPSTRA + 1)[:, None] * (np.arange(BANDS) + 0.5)
        self._cosines = (np.cos(np.pi / BANDS * place) * math.sqrt(2.0 / BANDS) / SPREAD).T.astype(np.float32)
        hertz = np.fft.rfftfreq(2 * size, 1.0 / grid.rate)
        inside = (hertz > 60.0) & (hertz < 4200.0)
        self._classes = (np.eye(12)[np.round(note_number(np.maximum(hertz, 1.0))).astype(int) % 12]).astype(np.float32)
        self._classes *= inside[:, None]

    def describe(self, windows: F32) -> F32:
        """Features `[n, WIDTH]`, see there."""
        out = np.zeros((len(windows), WIDTH), np.float32)
        short = windows[:, self._size :] * self._short
        spectrum = np.fft.rfft(short, axis=1)
        levels = 10.0 * np.log10((spectrum.real**2 + spectrum.imag**2) @ self._bank + 1e-9)
        levels = np.maximum(levels, levels.max(axis=1, keepdims=True) - BAND_RANGE)
        out[:, TIMBRE] = levels @ self._cosines
        classes = np.sqrt(np.abs(np.fft.rfft(windows * self._long, axis=1))) @ self._classes
        out[:, CHROMA] = classes / (np.linalg.norm(classes, axis=1, keepdims=True) + 1e-9)
        out[:, LEVEL] = level_of(short) / LEVEL_SPREAD
        return out

    def pitch(self, windows: F32, rate: int) -> F32:
        """MIDI pitches `[n]` by autocorrelation; 0 for unpitched windows."""
        count = windows.shape[1]
        spectrum = np.fft.rfft(windows * self._long, 2 * count, axis=1)
        first, last = int(rate / HIGHEST), int(rate / LOWEST)
        found = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, axis=1)[:, : last + 2]
        found = found / (found[:, :1] + 1e-9) / self._decay[: last + 2]
        inner = found[:, first : last + 1]
        peaks = (inner >= found[:, first - 1 : last]) & (inner > found[:, first + 1 : last + 2])
        # the first peak near the highest: later ones are its multiples
        best = np.where(peaks, inner, 0.0)
        top = best.max(axis=1, keepdims=True)
        at = np.argmax(best >= np.maximum(0.9 * top, 1e-9), axis=1) + first
        rows = np.arange(len(windows))
        before, here, after = (found[rows, at + n] for n in (-1, 0, 1))
        shift = 0.5 * (before - after) / np.minimum(before - 2.0 * here + after, -1e-9)
        numbers = note_number(rate / (at + np.clip(shift, -0.5, 0.5)))
        return np.where(top[:, 0] > MIN_PEAK, numbers, 0.0).astype(np.float32)


def level_of(windows: F32) -> F32:
    """Levels `[n]` in dB of Hann windows `[n, size]`."""
    return np.asarray(10.0 * np.log10(np.mean(np.square(windows), axis=1) / 0.375 + 1e-12), np.float32)


class OnsetFinder:
    """Onset detector hop by hop, from the rise of 24 mel bands in windows of two hops.

    `after`: hops from the onset's hop to the call that returns it; `rise`: the newest, dB.
    """

    RISE, OVER, BANDS = 2.5, 2.0, 24
    """Thresholds of the mean band rise in dB, and of its ratio to the mean of the last 80 ms; number of bands."""

    def __init__(self, grid: Grid) -> None:
        size = 2 * grid.hop
        settings = MelSettings(grid.rate, size, grid.hop, self.BANDS, 60.0, min(10000.0, 0.45 * grid.rate))
        self._bank, self._window = np.ascontiguousarray(mel_bank(settings).T), hann(size)
        self._apart = max(1, round(0.05 * grid.rate / grid.hop))
        self.after = 1
        self.reset()

    def reset(self) -> None:
        self._levels = np.full((3, self.BANDS), -60.0, np.float32)
        self._rises = np.zeros(16)
        self.rise = 0.0
        self._wait = 0

    def push(self, newest: F32) -> bool:
        """Processes the newest two hops of samples; True if the hop before the last holds an onset."""
        spectrum = np.fft.rfft(newest * self._window)
        self._levels[:-1] = self._levels[1:]
        energy = (spectrum.real**2 + spectrum.imag**2) @ self._bank
        self._levels[-1] = np.maximum(10.0 * np.log10(energy + 1e-9), -60.0)
        rise = float(np.maximum(self._levels[2] - self._levels[0], 0.0).mean())
        before, last = self._rises[-2], self._rises[-1]
        found = last > self.RISE and last >= before and last > rise and last > self.OVER * self._rises[:-2].mean()
        self._rises[:-1] = self._rises[1:]
        self._rises[-1] = self.rise = rise
        self._wait -= 1
        if found and self._wait <= 0:
            self._wait = self._apart
            return True
        return False
