"""The network that predicts place in the bar and tempo, and its input from sound: onsets, chords, BeatNet's beats.

The state of the network (GRU) covers all past sound; the filter turns its frames into one continuous beat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.models import Gru, Linear, read_weights
from antiphon_follow.bars import BINS

MODEL = "follow-sound"
RATE, FRAMES_PER_SECOND, LONG = 22050, 50.0, 4096
"""Sample rate and frame rate of the sound; window length in samples for chords, ending with the frame."""
GROUPS, LOW_GROUPS, HELD, STATE = 17, 2, 8, 150
"""Number of band groups, of bass groups (up to 280 Hz), of frames until a chord has changed, and of BeatNet's units."""
EDGES: NDArray[np.int64] = np.unique(np.round(np.geomspace(3.5, 150.0, 23))).astype(np.int64)
"""Boundaries, in frames before the present one, of the spans over which events are summed."""
AVERAGES, FLUX, FOLLOWED = 8, 3, 3
"""Number of averages over the last seconds, index of that of onsets, and number of kinds of events with intervals."""
FEATURES = GROUPS + 8 + 2 + 2 + 10 + AVERAGES + FOLLOWED * (len(EDGES) - 1) + STATE
PLACES = 4 * BINS
TEMPOS: F64 = np.exp(np.linspace(math.log(50.0), math.log(200.0), 29))
"""Tempos in bpm for which each frame gives odds."""
_QUICK, _SLOW, _CHORD, _SECONDS = (math.exp(-1.0 / (FRAMES_PER_SECOND * s)) for s in (0.25, 1.0, 1.0, 5.0))
"""Decays of the traces of events, of chords and of the averages."""
_USUAL, _ONSET, _RING = 0.01, 1.5, 256
"""Smoothing coefficient of the usual rise; relative rise that is an onset; number of frames whose events are kept."""


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


class IntervalCounts:
    """Counts of the intervals between events and earlier ones, weighted and fading: `counts` `[kinds, spans]`.

    `gain`: float64 `[spans]`; `known`: weight of the time since `clear`, which rises to 1.
    """

    def __init__(self, kinds: int, decay: float, gain: F64) -> None:
        self._kinds, self._decay, self._gain = kinds, decay, gain
        self.clear()

    def clear(self) -> None:
        """Clears all state."""
        self._frames, self.known = 0, 0.0
        self._sums, self._total = np.zeros((self._kinds, _RING)), np.zeros(self._kinds)
        self.counts: F64 = np.zeros((self._kinds, len(EDGES) - 1))

    def step(self, events: F64) -> None:
        """Processes a frame: the weight of an event of each kind, 0 for none."""
        self._total += events
        self._sums[:, self._frames % _RING] = self._total
        past = self._sums[:, (self._frames - EDGES) % _RING]
        self.known = self.known * self._decay + 1.0 - self._decay
        self.counts *= self._decay
        self.counts += self._gain * events[:, None] * (past[:, :-1] - past[:, 1:])
        self._frames += 1


class SoundFeatures:
    """Features of frames relative to earlier frames: `now` float32 `[FEATURES]`.

    `onsets`: average number of onsets; `struck`: whether the previous frame was an onset.
    """

    def __init__(self) -> None:
        self._bank, self._window = chroma_bank(), np.hanning(LONG).astype(np.float32)
        self._intervals = IntervalCounts(FOLLOWED, _SECONDS, 10.0 * (1.0 - _SECONDS) / np.sqrt(np.diff(EDGES)))
        self.now: F32 = np.zeros(FEATURES, np.float32)
        self.clear()

    def clear(self) -> None:
        """Clears all state."""
        self._usual, self._usual_low, self._level, self._frames = 0.02, 0.02, 0.0, 0
        self._chord, self._chords = np.zeros(24), np.zeros((HELD, 24))
        self._changes, self._levels, self._traces = np.zeros((5, 4)), np.zeros(5), np.zeros(10)
        self._totals, self._averages = (0.0, 0.0), np.zeros(AVERAGES)
        self._intervals.clear()
        self.now[:], self.onsets, self.struck = 0.0, 0.0, False

    def chroma(self, sound: F32) -> F32:
        """Loudness of pitch classes below and above C4 `[24]` in the `LONG` samples until a frame's end."""
        return np.asarray(np.log1p(np.abs(np.fft.rfft(sound * self._window)).astype(np.float32) @ self._bank))

    def step(self, rise: F32, loudness: float, chroma: F32, beats: tuple[float, float], state: F32) -> None:
        """Processes a frame: its bands' rise and mean, its chroma, BeatNet's probabilities and last layer."""
        self._changes[1:], self._levels[1:] = self._changes[:-1], self._levels[:-1]
        rises = rise.reshape(GROUPS, -1).mean(axis=1)
        total, low = float(rises.mean()), float(rises[:LOW_GROUPS].mean())
        self._levels[0] = loudness - self._level
        self._level += self._levels[0] * (1.0 - _SLOW)
        self._usual += (total - self._usual) * _USUAL
        self._usual_low += (low - self._usual_low) * _USUAL
        self._compute_chord_change(chroma)
        flux, deep = _event(total, self._usual), _event(low, self._usual_low)
        changes = self._changes[0]
        events = np.array([flux, changes[2], changes[3], beats[1], beats[0]])
        self._traces[:5] = np.maximum(self._traces[:5] * _QUICK, events)
        self._traces[5:] = np.maximum(self._traces[5:] * _SLOW, events)
        before, last = self._totals
        self.struck = onset = last > before and last >= total and last > _ONSET * self._usual
        self._totals = (last, total)
        found = (25.0 * (beats[0] + beats[1]), 50.0 * beats[1], 10.0 * flux)
        sums = np.array([FRAMES_PER_SECOND / 3.0 * onset, *found, changes[2], changes[3], changes[0], changes[1]])
        self._averages = self._averages * _SECONDS + (1.0 - _SECONDS) * sums
        self._intervals.step(np.array([flux, deep, beats[0] + beats[1]]))
        averages = self._averages / self._intervals.known
        self.onsets = float(averages[FLUX])
        np.concatenate(
            [
                np.minimum(4.0, rises * 0.2 / (self._usual + 0.002)),
                self._changes[[0, 4]].ravel(),
                3.0 * self._levels[[0, 4]],
                beats,
                self._traces,
                averages,
                self._intervals.counts.ravel() / self._intervals.known,
                state,
            ],
            out=self.now,
            casting="same_kind",
        )
        self._frames += 1

    def _compute_chord_change(self, chroma: F32) -> None:
        """Computes changes of chord and bass, relative to the last second and to `HELD` frames ago."""
        chord, place = chroma / (float(chroma.max()) + 0.3), self._frames % HELD
        for half in (slice(0, 12), slice(12, 24)):
            for which, before in enumerate((self._chord, self._chords[place])):
                self._changes[0, 2 * which + (half.start > 0)] = _change(chord[half], before[half])
        self._chords[place] = chord
        self._chord += (chord - self._chord) * (1.0 - _CHORD)


def _event(rise: float, usual: float) -> float:
    return min(1.0, max(0.0, rise / (usual + 0.002) - 1.5) / 4.0)


def _change(now: NDArray[Any], before: NDArray[Any]) -> float:
    return 1.0 - float(now @ before) / (math.sqrt(float(now @ now) * float(before @ before)) + 1e-3)


class BeatPredictor:
    """Predicts odds of the place in a bar of four and of the tempo, frame by frame. `weights`: named as in the lab."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        units, features = weights["inp.weight"].shape
        self._enter = Linear.of(weights, "inp", units, features)
        self._layers = [Gru.of(weights, "gru", units, units, f"_l{n}") for n in (0, 1)]
        self._place, self._tempo = (
            Linear.of(weights, "place", PLACES, units),
            Linear.of(weights, "tempo", len(TEMPOS), units),
        )

    def clear(self) -> None:
        """Clears the state of past sound."""
        for layer in self._layers:
            layer.start()

    def step(self, features: F32) -> None:
        """Processes a frame."""
        state = np.maximum(self._enter(features), np.float32(0.0))
        for layer in self._layers:
            state = layer(state)

    @property
    def places(self) -> F64:
        """Odds of `PLACES` of a bar of four, with mean 1."""
        return odds_from_logits(self._place(self._layers[-1].state))

    @property
    def tempos(self) -> F64:
        """Odds of `TEMPOS`, of mean 1."""
        return odds_from_logits(self._tempo(self._layers[-1].state))


class FrameOdds:
    """Odds of `PLACES` of a bar of four, with mean 1, from a single frame. `weights`: named as in the lab."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        units, features = weights["frame_in.weight"].shape
        self._enter = Linear.of(weights, "frame_in", units, features)
        self._place = Linear.of(weights, "frame_out", PLACES, units)

    def __call__(self, features: F32) -> F64:
        return odds_from_logits(self._place(np.maximum(self._enter(features), np.float32(0.0))))


def odds_from_logits(logits: NDArray[Any]) -> F64:
    """Returns odds scaled to mean 1."""
    odds = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(odds / odds.mean())
