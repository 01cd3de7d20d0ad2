"""Bar count and tempo of a loop: the best fit of all bar counts with a plausible tempo.

The loop's length is a whole number of bars of four. The features of a candidate measure how onsets in three bands,
harmonic changes and their repetitions align with its bars. A linear model, fitted to pairs of right and wrong
candidates, ranks them (`fit`).
"""

import numpy as np

from antiphon.api import F64
from antiphon_loops.analysis.spectrum import LOWEST, Picture

SLOWEST, FASTEST = 55.0, 190.0
"""Range of candidate tempos, bpm."""
MAX_BARS = 128
_STILL, _EVEN = 0.004, 3.6
"""Maximum mean onset strength, and peak-to-mean ratio, of a sound without a beat."""
_BPM_TOLERANCE = 0.004
"""Tolerance of a whole number in bpm, and in half seconds."""
NEAR, NEAR_NUMBER = 0.015, 0.004
"""Relative tolerance of a tempo of whole bars to the tempo that the file states, and to a bare number in its name."""
_BAR_DIVISIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Divisions of a bar; 4 stands for its beats."""
_LAGS = (2.0, 1.0, 0.5, 0.25, 0.75, 0.125)
_TEMPI = np.arange(55.0, 190.0, 15.0)
_DENSITIES = np.arange(-1.5, 3.5, 0.5)


def candidates(seconds: float) -> list[int]:
    """Candidate bar counts; for a loop outside the tempo range, the nearest one."""
    counts = [n for n in range(1, MAX_BARS + 1) if SLOWEST <= 240.0 * n / seconds <= FASTEST]
    return counts or [min(MAX_BARS, max(1, round(seconds * 110.0 / 240.0)))]


def has_round_tempo(seconds: float, bars: int) -> bool:
    """Whether `bars` bars of this length have a typical sequencer tempo, a whole number of bpm.

    A length in half seconds is no evidence, since excerpts are often cut to such lengths.
    """
    return has_whole_bpm(seconds, bars) and abs(2.0 * seconds - round(2.0 * seconds)) > _BPM_TOLERANCE


def has_whole_bpm(seconds: float, bars: int) -> bool:
    """True if `bars` bars of this length have a tempo of a whole number of bpm, which an excerpt may have as well."""
    bpm = 240.0 * bars / seconds
    return abs(bpm - round(bpm)) <= _BPM_TOLERANCE


def bars_at_tempo(bpm: float, seconds: float, near: float) -> int:
    """Number of bars of a tempo in a length, half a bar counting as one of twice the tempo; 0 if they are not whole.

    `near`: tolerance of the whole bars' tempo to `bpm`, as a ratio.
    """
    exact = bpm * seconds / 240.0
    if 0.4 < exact < 0.6:
        exact *= 2.0
    bars = round(exact)
    return bars if bars >= 1 and abs(bars / exact - 1.0) <= near else 0


def beats(seen: Picture) -> bool:
    """Whether the onsets are clear enough for a tempo; drones, rain and sustained notes are not."""
    onsets = seen.onsets[3]
    return bool(onsets.mean() > _STILL and onsets.max() > _EVEN * onsets.mean())


def features(seen: Picture, bars: list[int]) -> F64:
    """Feature rows, one for each candidate."""
    onsets, seconds = seen.onsets, seen.seconds
    chroma, novelty = _harmony(seen.notes)
    everything = onsets[3]
    peaks = (everything > np.roll(everything, 1)) & (everything >= np.roll(everything, -1))
    peaks &= everything > everything.mean() + 0.5 * everything.std()
    count = max(1, int(peaks.sum()))
    series = [*onsets, novelty, np.sqrt(everything) * peaks]
    spectra = [np.fft.rfft(s) for s in series]
    repeats = [_autocorrelation(s[None] - s.mean(), 8) for s in series[:5]]
    repeats.append(_autocorrelation(chroma - chroma.mean(axis=1, keepdims=True), 16))
    rows = []
    for n in bars:
        row: list[float] = []
        for spectrum in spectra:
            base = abs(spectrum[0]) + 1e-9
            for part in _BAR_DIVISIONS:
                value = spectrum[part * n] / base if part * n < len(spectrum) else 0.0
                row += [float(np.real(value)), float(abs(value))]
        for curve in repeats:
            row += [float(curve[round(len(curve) * lag / n) % len(curve)]) for lag in _LAGS]
        row += _plain(n, 240.0 * n / seconds, count)
        rows.append(row)
    return np.array(rows)


def _plain(bars: int, bpm: float, onsets: int) -> list[float]:
    octaves, density = float(np.log2(bpm / 110.0)), float(np.log2(onsets / (4 * bars)))
    row = [octaves, octaves**2, abs(octaves), density, density**2, octaves * density]
    row += [float(bars in (1, 2, 4, 8, 16)), *(float(bars == n) for n in (1, 2, 4, 8)), float(bars > 8)]
    row += [float(bars % 2), float(bars % 4 == 0), abs(bpm - round(bpm))]
    row += [max(0.0, 1 - abs(bpm - at) / 15.0) for at in _TEMPI]
    return row + [max(0.0, 1 - abs(density - at) / 0.5) for at in _DENSITIES]


def _harmony(notes: F64) -> tuple[F64, F64]:
    """Chroma `[12, frames]`, and its novelty in each frame."""
    level = np.sqrt(notes / (notes.max() + 1e-12))
    chroma = np.zeros((12, notes.shape[1]))
    for place, row in enumerate(level):
        chroma[(place + LOWEST) % 12] += row
    size = np.linalg.norm(chroma, axis=0)
    chroma /= size + 0.1 * size.max() + 1e-9
    return chroma, np.maximum(0.0, np.roll(chroma, -1, axis=1) - np.roll(chroma, 2, axis=1)).sum(axis=0)


def _autocorrelation(rows: F64, finer: int) -> F64:
    """Circular autocorrelation, summed over rows, 1 at lag 0; `finer` times as many lags as frames."""
    power = (np.abs(np.fft.rfft(rows, axis=1)) ** 2).sum(axis=0)
    curve = np.fft.irfft(power, rows.shape[1] * finer)
    return np.asarray(curve / (curve[0] + 1e-12))


def pattern(seen: Picture, bars: int) -> tuple[float, ...]:
    """Returns the onset strength in the 16ths of a bar, each within half a 16th, with maximum 1."""
    onsets = seen.onsets[3]
    steps = 16 * bars
    place = np.round(np.arange(len(onsets)) * (steps / len(onsets))).astype(int) % 16
    strength = np.bincount(place, weights=onsets, minlength=16)
    return tuple(round(float(v), 3) for v in strength / (strength.max() + 1e-12))


def straight(seen: Picture, bars: int) -> float:
    """Alignment of the onsets to the 16ths: strength-weighted mean cosine. Swing and triplets give less."""
    onsets = seen.onsets[3]
    before, after = np.roll(onsets, 1), np.roll(onsets, -1)
    at = np.flatnonzero((onsets > before) & (onsets >= after) & (onsets > onsets.mean() + 0.5 * onsets.std()))
    if not len(at):
        return 0.0
    beside = 0.5 * (before[at] - after[at]) / np.minimum(before[at] - 2 * onsets[at] + after[at], -1e-9)
    turns = np.cos(2 * np.pi * 16 * bars * (at + beside) / len(onsets))
    return round(float(turns @ onsets[at] / onsets[at].sum()), 3)
