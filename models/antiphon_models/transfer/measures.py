"""Transfer measures: closeness to target and reference, and preservation of the input.

All on mono sound at 22.05 kHz, scaled to one RMS: a difference of loudness alone is none.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, frequency, note_number
from antiphon_models.material.sounds import resampled

RATE = 22050
SIZE = 2048
HOP = 512
FLOOR = 80.0


def normalised(sound: F32, rate: int) -> F32:
    """Sound for measurement: at `RATE`, RMS 0.1."""
    at = resampled(sound, rate, RATE)
    return np.asarray(at * (0.1 / (np.sqrt(np.mean(np.square(at, dtype=np.float64))) + 1e-9)), np.float32)


def magnitudes(sound: F32, size: int = SIZE, hop: int = HOP) -> F64:
    """`[frames, size / 2 + 1]` under a Hann window, a full sine being 0.5."""
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(sound.astype(np.float64), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.asarray(np.abs(np.fft.rfft(frames * window, axis=1)) / window.sum(), np.float64)


def decibels(spectrum: F64) -> F64:
    """Spectrum in dB, limited to `FLOOR` below its peak."""
    levels = 20.0 * np.log10(spectrum + 1e-9)
    return np.asarray(np.maximum(levels, levels.max() - FLOOR), np.float64)


def log_spectral(output: F32, target: F32) -> float:
    """Log-spectral distance in dB: over the bins root mean square, over the frames mean."""
    a, b = decibels(magnitudes(output)), decibels(magnitudes(target))
    return float(np.sqrt(np.mean((a - b) ** 2, axis=1)).mean())


@lru_cache(maxsize=4)
def mel_bank(bands: int = 64, low: float = 30.0, high: float = 11000.0) -> F64:
    """Triangles of equal width in mel, `[bands, bins]`, each of area 1."""
    hertz = np.fft.rfftfreq(SIZE, 1.0 / RATE)
    first, last = (2595.0 * math.log10(1.0 + edge / 700.0) for edge in (low, high))
    mel = np.linspace(first, last, bands + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    up = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(0.0, np.minimum(up, down))
    return np.asarray(bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-9), np.float64)


def cepstra(sound: F32) -> F64:
    """MFCC 2 to 13, `[frames, 12]`, of non-silent frames."""
    power = magnitudes(sound) ** 2
    loud = power.sum(axis=1)
    levels = decibels(np.sqrt(power[loud > loud.max() * 1e-5] @ mel_bank().T))
    n = levels.shape[1]
    basis = np.cos(np.pi / n * (np.arange(n) + 0.5) * np.arange(1, 13)[:, None]) * np.sqrt(2.0 / n)
    return np.asarray(levels @ basis.T, np.float64)


def timbre_distance(output: F32, reference: F32) -> float:
    """Distance of the means and the covariances of two sounds' MFCC, in dB: |m1 - m2| + |C1 - C2|^½ (Frobenius)."""
    a, b = cepstra(output), cepstra(reference)
    means = np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))
    return float(means + np.sqrt(np.linalg.norm(np.cov(a.T) - np.cov(b.T))))


def onset_envelope(sound: F32) -> F64:
    """Onset strength: rise of mel band levels between frames, summed over the bands."""
    levels = decibels(magnitudes(sound) @ mel_bank().T)
    return np.asarray(np.maximum(0.0, np.diff(levels, axis=0)).mean(axis=1), np.float64)


def onset_likeness(output: F32, source: F32) -> float:
    """Correlation of the onset envelopes, maximised over shifts within a frame."""
    a, b = onset_envelope(output), onset_envelope(source)
    pairs = ((a, b), (a[1:], b[:-1]), (a[:-1], b[1:]))
    return max(float(np.corrcoef(x, y)[0, 1]) if x.std() > 1e-9 and y.std() > 1e-9 else 0.0 for x, y in pairs)


@lru_cache(maxsize=1)
def salience_bank() -> F64:
    """Weights of a long frame's bins for each MIDI number 36 to 96: its harmonics, falling by 0.8, `[61, bins]`."""
    bins = np.arange(4 * SIZE // 2 + 1) * RATE / (4.0 * SIZE)
    bank = np.zeros((61, len(bins)))
    for row, number in enumerate(range(36, 97)):
        first = frequency(number)
        for h in range(1, 9):
            near = 12.0 * np.log2(np.maximum(bins, 1.0) / (first * h))
            bank[row] += 0.8 ** (h - 1) * np.maximum(0.0, 1.0 - np.abs(near) / 0.5)
    return bank


def pitches(sound: F32) -> NDArray[np.bool_]:
    """Mask of sounding MIDI numbers 36 to 96, `[frames, 61]`: peaks of harmonic salience above 0.3 of the largest."""
    levels = np.sqrt(magnitudes(sound, 4 * SIZE, 2 * HOP))
    salience = levels @ salience_bank().T
    padded = np.pad(salience, ((0, 0), (1, 1)))
    peak = (salience >= padded[:, :-2]) & (salience > padded[:, 2:])
    loud = salience.max(axis=1, keepdims=True)
    return np.asarray(peak & (salience > 0.3 * loud) & (loud > 0.02 * loud.max()), np.bool_)


def pitch_overlap(output: F32, source: F32) -> float:
    """Jaccard index of the pitches of two renderings."""
    a, b = pitches(output), pitches(source)
    return float((a & b).sum() / max(1, (a | b).sum()))


def chroma(sound: F32) -> F64:
    """Normalised chroma, `[frames, 12]`."""
    bins = np.arange(4 * SIZE // 2 + 1) * RATE / (4.0 * SIZE)
    inside = (bins > 60.0) & (bins < 4200.0)
    place = np.round(note_number(np.maximum(bins, 1.0))).astype(int) % 12
    bank = np.eye(12)[:, place] * inside
    classes = np.sqrt(magnitudes(sound, 4 * SIZE, 2 * HOP)) @ bank.T
    return np.asarray(classes / (np.linalg.norm(classes, axis=1, keepdims=True) + 1e-9), np.float64)


def chroma_likeness(output: F32, source: F32) -> float:
    """Mean cosine similarity of two sounds' chroma."""
    return float((chroma(output) * chroma(source)).sum(axis=1).mean())


def measure(output: F32, source: F32, target: F32, reference: F32, rate: int) -> dict[str, float]:
    """All measures of one item."""
    y, a, t, b = (normalised(x, rate) for x in (output, source, target, reference))
    return {
        "lsd": log_spectral(y, t),
        "timbre": timbre_distance(y, b),
        "onsets": onset_likeness(y, a),
        "chroma": chroma_likeness(y, a),
        "pitch": pitch_overlap(y, a),
    }
