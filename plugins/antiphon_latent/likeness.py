"""The place in the learned space of a recorded note."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.api import F32, FileError, note_number
from antiphon.api.backends.analysis import listening_mono
from antiphon.api.backends.files import printable_path, read_sound
from antiphon_latent.decoder import PartialDecoder
from antiphon_latent.partials import LONGEST, begin_of, measure

RATE = 44100
LOWEST, HIGHEST = 50.0, 2000.0
"""Hz of the pitches that are found."""
VELOCITY = 0.8
"""Of a recording, whose velocity is unknown."""


def pitch_of(sound: F32, rate: int) -> float:
    """The fundamental in Hz, by the normalised autocorrelation (McLeod and Wyvill 2005); median of five places."""
    length = round(4.0 * rate / LOWEST)
    energy = np.convolve(np.square(sound, dtype=np.float64), np.ones(64), "same")
    loudest = int(energy.argmax())
    found = []
    for n in range(5):
        first = min(loudest + n * length // 2, max(0, len(sound) - length))
        x = np.pad(sound[first : first + length], (0, max(0, length - len(sound)))).astype(np.float64)
        spectrum = np.fft.rfft(x, 2 * length)
        own = np.fft.irfft(np.abs(spectrum) ** 2)[:length]
        squares = np.concatenate([[0.0], np.cumsum(x**2)])
        lags = np.arange(length // 2)
        both = squares[length - lags] + squares[length] - squares[lags]
        clear = 2.0 * own[: length // 2] / np.maximum(both, 1e-12)
        low, high = int(rate / HIGHEST), int(rate / LOWEST)
        inside = clear[low - 1 : high + 2]
        peaks = np.flatnonzero((inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:])) + 1
        if not len(peaks) or inside[peaks].max() <= 0.0:
            continue  # no peak in range: it has no pitch there
        best = peaks[np.flatnonzero(inside[peaks] > 0.9 * inside[peaks].max())[0]]
        a, b, c = inside[best - 1 : best + 2]
        found.append(rate / (low - 1 + best + 0.5 * (a - c) / min(-1e-12, a - 2.0 * b + c)))
    return float(np.median(found)) if found else 261.6


def place_of(path: str, decoder: PartialDecoder) -> tuple[F32, float]:
    """The place of the note in a file, `[AXES]`, and the mean difference that is left in dB.

    Raises FileError: the file cannot be read, or is silent.
    """
    sound = listening_mono(read_sound(Path(path), rate=RATE).samples)
    if float(np.abs(sound).max(initial=0.0)) < 1e-4:
        raise FileError(f"{printable_path(path)} is silent; give `like` a file with one note")
    sound = sound[begin_of(sound) :][: round((LONGEST + 1.0) * RATE)]
    hz = pitch_of(sound, RATE)
    level, there = measure(sound, RATE, hz, len(sound))
    return decoder.find(level, there, note_number(hz), VELOCITY)
