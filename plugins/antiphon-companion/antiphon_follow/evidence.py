"""What a frame of sound says of the place in the bar and of the tempo: onsets, chord and bass changes, BeatNet's beats.

A small network for each frame, trained on POP909's songs ending in 1 to 6, by three soundfonts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.models import read_weights
from antiphon_follow.bars import BINS

MODEL = "follow-sound"
RATE, FRAMES_PER_SECOND, LONG = 22050, 50.0, 4096
"""Rate and frames of sound; samples of the window for chords, which ends with the frame."""
BANDS, GROUPS, LAGS, HELD = 136, 8, 4, 8
"""Bands of a frame, groups of them, frames whose rise is seen, and frames until a change of chord is whole."""
FEATURES = LAGS * GROUPS + 8 + 2 + 2 * LAGS + 10
PLACES = 4 * BINS
TEMPOS: F64 = np.exp(np.linspace(math.log(50.0), math.log(200.0), 29))
"""Tempos in bpm that a frame speaks of."""
SLOWS, FLUX = 8, 3
"""Averages over the last seconds by which the tempo is judged, and which of them is that of events."""
_QUICK, _SLOW, _CHORD, _SECONDS = (math.exp(-1.0 / (FRAMES_PER_SECOND * s)) for s in (0.25, 1.0, 1.0, 5.0))
"""Decays of the traces of events, of chords and of the averages."""
_USUAL, _ONSET = 0.01, 1.5
"""Share by which the usual rise follows, and rise, relative to it, that is an onset."""


def chroma_bank() -> F32:
    """Triangular filters from C2 to C7 summed by pitch class, below and above C4: `[bins, 24]`."""
    hertz = np.fft.rfftfreq(LONG, 1.0 / RATE)
    bank = np.zeros((len(hertz), 24), np.float32)
    for number in range(36, 97):
        low, centre, high = (440.0 * 2.0 ** ((number + step - 69) / 12.0) for step in (-1, 0, 1))
        row = np.maximum(0.0, np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)))
        if row.sum() > 0.0:
            bank[:, number % 12 + (0 if number < 60 else 12)] += row / row.sum()
    return bank


@cache
def network_weights(name: str) -> Mapping[str, NDArray[Any]]:
    """Arrays of a network, or counts, that ship. Raises ModelError: they are missing or changed."""
    return read_weights(name)


class SoundFeatures:
    """Features of frames, by those before: `now` `[FEATURES]` and `slow` `[SLOWS]`."""

    def __init__(self) -> None:
        self._bank, self._window = chroma_bank(), np.hanning(LONG).astype(np.float32)
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self._usual, self._level, self._known, self._frames = 0.02, 0.0, 0.0, 0
        self._chord, self._chords = np.zeros(24), np.zeros((HELD, 24))
        self._rises, self._beats = np.zeros((LAGS, GROUPS)), np.zeros((LAGS, 2))
        self._changes, self._levels, self._traces = np.zeros((HELD, 4)), np.zeros(HELD), np.zeros(10)
        self._totals = (0.0, 0.0)
        self._slow = np.zeros(SLOWS)
        self.now, self.slow = np.zeros(FEATURES), np.zeros(SLOWS)

    def take(self, sound: F32, bands: F32, rise: F32, beats: tuple[float, float]) -> None:
        """Takes a frame: the `LONG` samples until its end, its bands, their rise, probabilities of BeatNet's beats."""
        chroma = np.log1p(np.abs(np.fft.rfft(sound * self._window)).astype(np.float32) @ self._bank)
        self.step(bands, rise, chroma, beats)

    def step(self, bands: F32, rise: F32, chroma: F32, beats: tuple[float, float]) -> None:
        """The same with the frame's chroma `[24]`."""
        for held in (self._rises, self._beats, self._changes, self._levels):
            held[1:] = held[:-1]
        total, mean = float(rise.mean()), float(bands.mean())
        self._rises[0], self._beats[0] = rise.reshape(GROUPS, -1).mean(axis=1), beats
        self._levels[0] = mean - self._level
        self._level += self._levels[0] * (1.0 - _SLOW)
        self._usual += (total - self._usual) * _USUAL
        chord, place = chroma / (float(chroma.max()) + 0.3), self._frames % HELD
        for half in (slice(0, 12), slice(12, 24)):
            for which, before in enumerate((self._chord, self._chords[place])):
                self._changes[0, 2 * which + (half.start > 0)] = _change(chord[half], before[half])
        self._chords[place] = chord
        self._chord += (chord - self._chord) * (1.0 - _CHORD)
        flux = min(1.0, max(0.0, total / (self._usual + 0.002) - 1.5) / 4.0)
        changes = self._changes[0]
        events = np.array([flux, changes[2], changes[3], beats[1], beats[0]])
        self._traces[:5] = np.maximum(self._traces[:5] * _QUICK, events)
        self._traces[5:] = np.maximum(self._traces[5:] * _SLOW, events)
        self.now = np.concatenate(
            [
                np.minimum(4.0, self._rises.ravel() * 0.2 / (self._usual + 0.002)),
                self._changes[[0, 4]].ravel(),
                3.0 * self._levels[[0, 4]],
                self._beats.ravel(),
                self._traces,
            ]
        )
        before, last = self._totals
        onset = last > before and last >= total and last > _ONSET * self._usual
        self._totals = (last, total)
        self._known = self._known * _SECONDS + 1.0 - _SECONDS
        found = (25.0 * (beats[0] + beats[1]), 50.0 * beats[1], 10.0 * flux)
        sums = np.array([FRAMES_PER_SECOND / 3.0 * onset, *found, changes[2], changes[3], changes[0], changes[1]])
        self._slow = self._slow * _SECONDS + (1.0 - _SECONDS) * sums
        self.slow = self._slow / self._known
        self._frames += 1


def _change(now: NDArray[Any], before: NDArray[Any]) -> float:
    return 1.0 - float(now @ before) / (math.sqrt(float(now @ now) * float(before @ before)) + 1e-3)


class Evidence:
    """Likelihoods by the features of frames. `weights`: its arrays, as the lab names them."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = {name: np.asarray(array, np.float64) for name, array in weights.items()}

    def __call__(self, name: str, features: F64) -> F64:
        """Likelihoods, of mean 1: "place" `[PLACES]` of a bar of four by `now`, or "tempo" of `TEMPOS` by `slow`."""
        weights = self._weights
        layer = np.maximum(weights[f"{name}_in"] @ features + weights[f"{name}_in_bias"], 0.0)
        return odds_of(weights[f"{name}_out"] @ layer + weights[f"{name}_out_bias"])


def odds_of(logits: NDArray[Any]) -> F64:
    """Odds of mean 1."""
    odds = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(odds / odds.mean())
