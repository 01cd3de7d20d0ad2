"""Timbres and drums without any soundfont: additive tones and noise, drawn for each part of a composed song.

No instrument is imitated closely: what a family has in common (plucked tones decay, bowed ones swell) is kept, and the
rest is drawn, so that who learns from these sounds cannot rely on one sampled instrument.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
_HARMONICS = 14
_PLUCKED = {*range(16), *range(24, 29), 31, *range(32, 40), 45, 46, 104, 105, 106, 107, 108}
_DISTORTED = {29, 30}


@dataclass(frozen=True, slots=True)
class PartTimbre:
    """Timbre of a part's tones.

    Attributes:
        decay: Seconds to 1/e of the first harmonic; 0 for tones that are held.
        attack: Seconds.
        vibrato: Semitones.
        drive: Into a soft limit; 0 for none.
    """

    weights: NDArray[np.float64]
    decay: float
    damping: float
    attack: float
    vibrato: float
    drive: float
    level: float


def timbre(program: int, rng: Rng) -> PartTimbre:
    """A timbre of the family that a General MIDI program belongs to."""
    numbers = np.arange(1, _HARMONICS + 1)
    weights = numbers ** -rng.uniform(0.7, 2.2) * rng.uniform(0.3, 1.0, _HARMONICS)
    if rng.random() < 0.25:  # odd harmonics, as of closed tubes and square waves
        weights[1::2] *= 0.15
    plucked = program in _PLUCKED
    return PartTimbre(
        weights / weights.sum(),
        decay=float(rng.uniform(0.25, 1.6)) if plucked else 0.0,
        damping=float(rng.uniform(0.05, 0.5)),
        attack=float(rng.uniform(0.002, 0.01) if plucked or program in _DISTORTED else rng.uniform(0.015, 0.09)),
        vibrato=0.0 if plucked or 16 <= program < 21 else float(rng.uniform(0.0, 0.3)),
        drive=float(rng.uniform(4.0, 16.0)) if program in _DISTORTED else 0.0,
        level=float(rng.uniform(0.5, 1.0)),
    )


class DrumKit:
    """Drums of one song, each computed once. `rng`: draws them; `rate`: Hz."""

    def __init__(self, rng: Rng, rate: int) -> None:
        self._rng, self._rate = rng, rate
        self._drums: dict[int, NDArray[np.float64]] = {}

    def hit(self, drum: int) -> NDArray[np.float64]:
        """The sound of a General MIDI drum at full velocity."""
        if drum not in self._drums:
            self._drums[drum] = self._computed(drum)
        return self._drums[drum]

    def _computed(self, drum: int) -> NDArray[np.float64]:
        draw = self._rng.uniform
        match drum:
            case 35 | 36:
                return self._membrane(draw(42, 62), draw(1.5, 4.0), draw(0.1, 0.35), draw(0.0, 0.1), 1.5)
            case 38 | 40:
                return self._membrane(draw(150, 230), draw(1.1, 1.5), draw(0.06, 0.15), draw(0.7, 1.4), 1.0)
            case 37 | 75 | 76:
                return self._membrane(draw(700, 1800), 1.0, draw(0.015, 0.04), draw(0.1, 0.4), 0.6)
            case 39:
                return self._metal(draw(900, 1500), draw(0.08, 0.18), 0.9)
            case 42 | 44 | 54 | 69 | 70:
                return self._metal(draw(5000, 8000), draw(0.025, 0.08), 0.4)
            case 46 | 49 | 57:
                return self._metal(draw(3500, 7000), draw(0.25, 0.9), 0.5)
            case 51 | 53 | 56:
                decay = draw(0.15, 0.6)
                return self._metal(draw(3000, 6000), decay, 0.3) + 0.15 * self._bell(decay)
        return self._membrane(70.0 + 6.0 * (drum % 20) * draw(0.8, 1.2), draw(1.1, 1.6), draw(0.12, 0.3), 0.1, 0.9)

    def _time(self, decay: float) -> NDArray[np.float64]:
        return np.arange(round(min(1.5, 5.0 * decay) * self._rate)) / self._rate

    def _membrane(self, pitch: float, sweep: float, decay: float, noise: float, level: float) -> NDArray[np.float64]:
        time = self._time(decay)
        hertz = pitch * (1.0 + (sweep - 1.0) * np.exp(-time / 0.025))
        wave = np.sin(2.0 * np.pi * np.cumsum(hertz) / self._rate)
        added = self._rng.standard_normal(len(time)) * np.exp(-time / (0.8 * decay))
        return np.asarray(level * (wave * np.exp(-time / decay) + noise * 0.5 * added))

    def _metal(self, least: float, decay: float, level: float) -> NDArray[np.float64]:
        time = self._time(decay)
        spectrum = np.fft.rfft(self._rng.standard_normal(len(time)))
        places = np.fft.rfftfreq(len(time), 1.0 / self._rate)
        spectrum *= 1.0 / (1.0 + (least / np.maximum(places, 1.0)) ** 4)
        return np.asarray(level * np.fft.irfft(spectrum, len(time)) * np.exp(-time / decay))

    def _bell(self, decay: float) -> NDArray[np.float64]:
        time = self._time(decay)
        waves = np.sin(2.0 * np.pi * np.outer(self._rng.uniform(2000, 7000, 5), time)).mean(axis=0)
        return np.asarray(waves * np.exp(-time / decay))
