"""Onsets and their regularity, danceability by detrended fluctuation analysis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.analysis import LogMelStream, MelSettings

BLOCK = 0.01
"""Length in seconds of blocks for the standard deviation."""
SHORTEST, LONGEST, FACTOR = 0.31, 8.8, 1.1
"""Shortest and longest span in seconds, and ratio of successive ones."""


def exponent(levels: NDArray[np.floating]) -> float | None:
    """Mean scaling exponent over spans contained at least twice; None for a shorter sound.

    About .5 for levels (the standard deviation of each `BLOCK`) that are independent, 1.5 for levels that wander, less
    than .5 where a beat repeats; None for sound that is too short or does not fluctuate.
    """
    walk = np.cumsum(np.asarray(levels, np.float64) - np.mean(levels)) if len(levels) else np.zeros(0)
    spans, fluctuations = [], []
    span = SHORTEST / BLOCK
    while span <= LONGEST / BLOCK and 2 * int(span) <= len(walk):
        spans.append(int(span))
        fluctuations.append(_fluctuation(walk, int(span)))
        span *= FACTOR
    if len(spans) < 2 or min(fluctuations) <= 1e-12:
        return None
    size = np.array(spans) + 3.0
    slopes = np.diff(np.log(fluctuations)) / np.diff(np.log(size))
    return float(slopes.mean())


def _fluctuation(walk: F64, span: int) -> float:
    """RMS deviation from the linear trend, over spans."""
    rows = walk[: len(walk) // span * span].reshape(-1, span)
    time = np.arange(span) - (span - 1) / 2.0
    even = rows - rows.mean(axis=1, keepdims=True)
    slope = even @ time / (time @ time)
    return float(np.sqrt(((even - slope[:, None] * time) ** 2).sum(axis=1).mean() / (span - 1)))


SETTINGS = MelSettings(hop=256, bands=40)
FRAMES_PER_SECOND = SETTINGS.rate / SETTINGS.hop
TEMPI = (90.0, 140.0)
"""Range of pulse tempos in bpm, typical of dance music (van Noorden and Moelants 1999, about 120)."""
_LAG = 2
"""Frame distance of the flux, 23 ms: an attack spreads over two."""
_COMPRESSION = 100.0
_MEAN_FRAMES = 86
"""Window in frames, 1 s, of the subtracted mean flux."""
_MIN_ONSET_DISTANCE = 3
"""Minimum half-distance in frames, 35 ms, between onsets."""
_WINDOW, _STEP = 1034, 517
"""Window and hop in frames of the autocorrelation, 12 s: a tempo may drift."""
_MULTIPLES = (1.0, 2.0, 4.0)
"""Multiples of the pulse period included in the autocorrelation."""


@dataclass(frozen=True, slots=True)
class PulseMeasures:
    """Measures of a sound's onsets."""

    flux: float
    rate: float  # onsets a second
    clarity: float  # autocorrelation at the best pulse of `TEMPI` and its multiples, the mean over windows, 0 to 1
    contrast: float  # mean of the strongest tenth of the flux over its mean, 1 for a steady one to 10


class FluxStream:
    """Streaming spectral flux, four bytes a frame: 1.2 MB an hour."""

    def __init__(self) -> None:
        self._mel = LogMelStream(SETTINGS)
        self._last = np.zeros((0, SETTINGS.bands), np.float32)
        self._rows: list[F32] = []

    def feed(self, mono: F32) -> F32:
        """Processes the next samples at `SETTINGS.rate`; returns the completed frames, `[n, bands]` in dB."""
        mel = self._mel.push(mono)
        if not len(mel):
            return mel
        level = np.log1p(
            np.float32(4.0 * _COMPRESSION / SETTINGS.window) * np.exp(mel * np.float32(np.log(10.0) / 20.0))
        )
        level = np.concatenate([self._last, level])
        if len(level) > _LAG:
            before = level[:-_LAG]
            # the maximum of neighbouring bands: vibrato moves energy between them and is no onset
            wide = before.copy()
            np.maximum(wide[:, 1:], before[:, :-1], out=wide[:, 1:])
            np.maximum(wide[:, :-1], before[:, 1:], out=wide[:, :-1])
            self._rows.append(np.maximum(0.0, level[_LAG:] - wide).mean(axis=1))
        self._last = level[-_LAG:]
        return mel

    def flux(self) -> F64:
        """Spectral flux of all samples fed so far, `[n]`."""
        return np.concatenate(self._rows).astype(np.float64) if self._rows else np.zeros(0)


def measures(flux: F64) -> PulseMeasures:
    """Measures of onsets from a spectral flux `[n]` of at least two frames."""
    mean = float(flux.mean())
    above = np.maximum(0.0, flux - _moving_mean(flux, _MEAN_FRAMES))
    top = np.sort(flux)[-max(1, len(flux) // 10) :]
    parts = [above[first : first + _WINDOW] for first in range(0, max(1, len(above) - _STEP), _STEP)]
    clear = [_clarity(part) for part in parts]
    return PulseMeasures(
        mean,
        _onsets(flux) / (len(flux) / FRAMES_PER_SECOND),
        float(np.mean(clear)),
        float(top.mean()) / mean if mean > 1e-9 else 1.0,
    )


def _onsets(flux: F64) -> int:
    padded = np.pad(flux, _MIN_ONSET_DISTANCE)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * _MIN_ONSET_DISTANCE + 1).max(axis=1)
    least = 1.5 * _moving_mean(flux, _MEAN_FRAMES) + 0.01
    # of equal ones the first
    first = np.diff(flux, prepend=-1.0) > 0.0
    return int(((flux >= highest) & (flux > least) & first).sum())


def _clarity(part: F64) -> float:
    window = np.hanning(7)[1:-1]
    even = np.convolve(part, window / window.sum(), "same")
    even = even - even.mean()
    count = len(even)
    size = 1 << (2 * count - 1).bit_length()
    power = np.abs(np.fft.rfft(even, size)) ** 2
    correlation = np.fft.irfft(power, size)[:count]
    if correlation[0] <= 1e-9:
        return 0.0
    places = np.arange(count)
    correlation = correlation / correlation[0] * count / np.maximum(1, count - places)
    periods = 60.0 * FRAMES_PER_SECOND / np.linspace(TEMPI[1], TEMPI[0], 101)
    # half of the window is the longest lag: beyond, too little is compared
    rows = [np.interp(times * periods, places, correlation) for times in _MULTIPLES if times * periods[-1] <= count / 2]
    if not rows:
        return 0.0
    return float(np.clip(np.mean(rows, axis=0).max(), 0.0, 1.0))


def _moving_mean(row: F64, width: int) -> F64:
    total = np.concatenate([[0.0], np.cumsum(row)])
    places = np.arange(len(row))
    first, last = np.maximum(0, places - width // 2), np.minimum(len(row), places + width // 2 + 1)
    return np.asarray((total[last] - total[first]) / (last - first))
