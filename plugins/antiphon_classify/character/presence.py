"""Speech, room and means of production, as far as levels and spectra show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, F64
from antiphon_classify.character.pulse import FRAMES_PER_SECOND

_WINDOW = 172
"""Frames, 2 s, in which pauses and syllables are counted."""
_SPEECH, _NOISY, _TOP = slice(6, 28), slice(8, 36), 34
"""Bands of speech, those whose flatness counts, and the first above 5 kHz."""
_PAUSE, _DEEPEST = 0.25, 35.0
"""Share of the mean power below which a frame is a pause; dB below the loudest frame that count."""
_SYLLABLES, _CHANGES = (3.0, 8.0), (0.4, 25.0)
"""Hz of the level's changes that syllables cause, and of all that count (Scheirer and Slaney 1997: about 4 Hz)."""
_QUIET = 10
"""The quietest of so many frames are the room."""


@dataclass(frozen=True, slots=True)
class PresenceMeasures:
    """Measures of a sound's levels."""

    pauses: float  # share of frames below a quarter of the mean power of their 2 s
    syllables: float  # share of the changes of level that are at 3 to 8 Hz
    floor: float  # dB of the level that a tenth of the frames stay below, beside the mean
    floor_flatness: float  # spectral flatness of that tenth, 0 for a tone to 1 for noise
    crest: float  # dB, of the highest sample beside the mean
    top: float  # dB of what is above 5 kHz, beside all


class PresenceStream:
    """Frames and samples to `PresenceMeasures`, eight bytes a frame: 2.4 MB an hour."""

    def __init__(self) -> None:
        self._held: F64 = np.zeros((0, 0))
        self._windows: list[tuple[float, float]] = []
        self._powers: list[F32] = []
        self._flatness: list[F32] = []
        self._top = self._square = self._peak = 0.0
        self._samples = 0

    def feed(self, mono: F32, mel: F32) -> None:
        """Takes the next samples, and the next frames, `[n, bands]` in dB."""
        self._samples += len(mono)
        self._square += float(np.square(mono, dtype=np.float64).sum())
        self._peak = max(self._peak, float(np.abs(mono).max(initial=0.0)))
        if not len(mel):
            return
        power = 10.0 ** (mel.astype(np.float64) / 10.0)
        noisy = power[:, _NOISY] + 1e-12
        self._powers.append(power.sum(axis=1).astype(np.float32))
        self._flatness.append((np.exp(np.log(noisy).mean(axis=1)) / noisy.mean(axis=1)).astype(np.float32))
        self._top += float(power[:, _TOP:].sum())
        speech = np.concatenate([self._held.ravel(), power[:, _SPEECH].sum(axis=1)])
        while len(speech) >= _WINDOW:
            self._windows.append(_window(speech[:_WINDOW]))
            speech = speech[_WINDOW:]
        self._held = speech

    def measures(self) -> PresenceMeasures | None:
        """Measures of all that was fed; None of less than 2 s, and of silence."""
        if not self._windows or self._peak <= 0.0:
            return None
        power, flatness = np.concatenate(self._powers).astype(np.float64), np.concatenate(self._flatness)
        quiet = np.argsort(power, kind="stable")[: max(1, len(power) // _QUIET)]
        pauses, syllables = np.mean(self._windows, axis=0)
        mean = power.mean() + 1e-12
        return PresenceMeasures(
            float(pauses),
            float(syllables),
            _decibels(float(np.quantile(power, 1.0 / _QUIET)) / mean),
            float(flatness[quiet].mean()),
            _decibels(self._peak**2 * self._samples / (self._square + 1e-12)),
            _decibels(self._top / (mean * len(power))),
        )


def _window(power: F64) -> tuple[float, float]:
    level = 10.0 * np.log10(power + 1e-10)
    level = np.maximum(level, level.max() - _DEEPEST)
    changes = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level)))) ** 2
    hertz = np.fft.rfftfreq(len(level), 1.0 / FRAMES_PER_SECOND)
    within = [float(changes[(hertz >= low) & (hertz < high)].sum()) for low, high in (_SYLLABLES, _CHANGES)]
    return float((power < _PAUSE * power.mean()).mean()), within[0] / (within[1] + 1e-9)


def _decibels(ratio: float) -> float:
    return float(10.0 * np.log10(ratio + 1e-9))
