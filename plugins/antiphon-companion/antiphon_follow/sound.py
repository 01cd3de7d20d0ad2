"""Beats in sound: BeatNet's network (Heydari, Cwitkowitz and Duan, ISMIR 2021) in numpy, frames' evidence, the filter.

The sound has 22,050 Hz and 50 frames a second; each frame is known 32 ms after its centre.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.models import logistic
from antiphon_follow.bars import BINS, METERS, BarFilter
from antiphon_follow.evidence import (
    FRAMES_PER_SECOND,
    LONG,
    MODEL as EVIDENCE,
    PLACES,
    RATE,
    TEMPOS,
    BeatPredictor,
    FrameOdds,
    SoundFeatures,
    network_weights,
)

MODEL = "follow-beats"
HOP, WINDOW = 441, 1411
BEHIND = (WINDOW - WINDOW // 2) / RATE
"""Seconds from a frame's centre until the frame is known."""
_PER_OCTAVE, _LOW, _HIGH, _TUNING = 24, 30.0, 17000.0, 440.0
_TAPS, _UNITS = 10, 150
_QUIET, _LOUDEST = 1e-3, 1e6
"""Peak below which a frame is silent, and value above which a sample is invalid."""
_EVENTS = 0.05
"""Threshold of the average of events between noise (.01) and music (.13 and more)."""
_REST_FRAMES, QUIET_FRAMES = 50, 100
"""Number of silent frames that count as a rest between strokes, and number after which processing stops."""
GAIN = 0.15
"""Nats per frame by which a certain beat predicts the sound better than chance."""
POWER, FLOOR, SHARE, TEMPO_EVERY = 0.04, 0.03, 0.15, 5
"""Weight of a frame, as neighbouring frames are similar; share of frames that could be anywhere; weight of the tempo,
and number of frames between its evaluations."""
ONSET_AGO = 1.25 / FRAMES_PER_SECOND
"""Seconds from an onset to the frame after its loudest. A drum stroke is at the loudest, a piano note 9 ms earlier."""
ALONE, ALONE_FLOOR = 0.08, 0.05
"""Weight and floor of the odds from a single frame, which help with music that the recurrent network knows less."""
WIDTH, BEAT_FLOOR, BEAT_POWER, _SPARSE = 0.7, 0.04, 0.5, 3.0
"""Width in bins of BeatNet's beats, their minimum likelihood and weight; divisor of the weight of other frames."""


def clean_samples(sound: F32) -> F32:
    """Replaces samples that are not numbers, or out of range, by silence."""
    return np.where(np.abs(sound) < _LOUDEST, sound, np.float32(0.0))


def filterbank() -> F32:
    """Triangular filters, 24 an octave where the spectrum resolves them: `[bins, bands]`."""
    count = WINDOW >> 1
    bins = np.arange(count) * RATE / (2 * count)
    steps = np.arange(np.floor(np.log2(_LOW / _TUNING) * _PER_OCTAVE), np.ceil(np.log2(_HIGH / _TUNING) * _PER_OCTAVE))
    centres = _TUNING * 2.0 ** (steps / _PER_OCTAVE)
    centres = centres[(centres >= _LOW) & (centres <= _HIGH)]
    places = np.clip(bins.searchsorted(centres), 1, count - 1)
    places -= centres - bins[places - 1] < bins[places] - centres
    places = np.unique(places)
    rows = []
    for first, centre, last in zip(places, places[1:], places[2:], strict=False):
        if last - first < 2:
            centre, last = first, first + 1
        row = np.zeros(count)
        row[first:centre] = np.linspace(0.0, 1.0, centre - first, endpoint=False)
        row[centre:last] = np.linspace(1.0, 0.0, last - centre, endpoint=False)
        rows.append(row / max(row.sum(), 1e-12))
    return np.array(rows, np.float32).T


class BeatNetwork:
    """Probabilities of a beat and of a downbeat, frame by frame. `weights`: arrays named as in the lab."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
        self._bank, self._window = filterbank(), np.hanning(WINDOW).astype(np.float32)
        self._cells = [
            np.ascontiguousarray(
                np.concatenate([self._weights[f"lstm.weight_ih_l{n}"], self._weights[f"lstm.weight_hh_l{n}"]], axis=1)
            )
            for n in (0, 1)
        ]
        self.clear()

    def clear(self) -> None:
        """Clears the state of past sound."""
        self._before: F32 | None = None
        self.bands = self.rise = np.zeros(0, np.float32)
        self._hidden, self._cell = np.zeros((2, _UNITS), np.float32), np.zeros((2, _UNITS), np.float32)

    def __call__(self, frame: F32) -> tuple[float, float]:
        """Probabilities of a beat that is no downbeat, and of a downbeat, of the next frame of `WINDOW` samples."""
        spectrum = np.abs(np.fft.rfft(frame * self._window))[: WINDOW >> 1].astype(np.float32)
        bands = np.log10(spectrum @ self._bank + 1.0)
        rise = np.zeros_like(bands) if self._before is None else np.maximum(bands - self._before, 0.0)
        self._before, self.bands, self.rise = bands, bands, rise
        return self.step(np.concatenate([bands, rise]))

    @property
    def state(self) -> F32:
        """Its last layer, 150 units."""
        return np.asarray(self._hidden[1])

    def step(self, features: F32) -> tuple[float, float]:
        """Returns the same probabilities from a frame's 272 features."""
        weights = self._weights
        windows = np.lib.stride_tricks.sliding_window_view(features, _TAPS)
        layer = np.maximum(windows @ weights["conv1.weight"].T + weights["conv1.bias"], 0.0).T
        half = layer.shape[1] // 2
        pooled = layer[:, : 2 * half].reshape(2, half, 2).max(axis=2).reshape(-1)
        x = weights["linear0.weight"] @ pooled + weights["linear0.bias"]
        for n in (0, 1):
            gates = self._cells[n] @ np.concatenate([x, self._hidden[n]]) + weights[f"lstm.bias{n}"]
            enter, keep, out = (logistic(gates[k * _UNITS : (k + 1) * _UNITS]) for k in (0, 1, 3))
            self._cell[n] = keep * self._cell[n] + enter * np.tanh(gates[2 * _UNITS : 3 * _UNITS])
            self._hidden[n] = x = out * np.tanh(self._cell[n])
        logits = weights["linear.weight"] @ x + weights["linear.bias"]
        odds = np.exp(logits - logits.max())
        odds /= odds.sum()
        return float(odds[0]), float(odds[1])


class BeatFrames:
    """Frames of a stream of sound at `RATE`: `features`, BeatNet's probability of a `beat`, frames of silence."""

    def __init__(self) -> None:
        self.features, self._network = SoundFeatures(), BeatNetwork(network_weights(MODEL))
        self.clear()

    def clear(self) -> None:
        """Clears all state."""
        self._network.clear()
        self.features.clear()
        self._held = np.zeros(LONG - WINDOW + WINDOW // 2, np.float32)
        self.quiet, self.beat = QUIET_FRAMES, 0.0

    def take(self, sound: F32) -> Iterator[None]:
        """Takes samples; yields after each frame that they complete."""
        self._held = np.concatenate([self._held, clean_samples(sound)])
        while len(self._held) >= LONG:
            self._frame(self._held[:LONG])
            self._held = self._held[HOP:]
            yield

    def _frame(self, sound: F32) -> None:
        network, frame = self._network, sound[LONG - WINDOW :]
        self.quiet = self.quiet + 1 if float(np.abs(frame).max()) < _QUIET else 0
        if self.quiet <= QUIET_FRAMES:
            beats, chroma = network(frame), self.features.chroma(sound)
            self.beat = sum(beats)
            self.features.step(network.rise, float(network.bands.mean()), chroma, beats, network.state)


class SoundBeats:
    """Beats in a stream of sound at `RATE`. `seconds`: the time to which the filter's estimate applies."""

    def __init__(self, low: float, high: float, meters: tuple[int, ...] = METERS) -> None:
        self.filter = BarFilter(FRAMES_PER_SECOND, low, high, meters, GAIN)
        weights = network_weights(EVIDENCE)
        self._heard, self._network, self._alone = BeatFrames(), BeatPredictor(weights), FrameOdds(weights)
        bins = np.arange(BINS)
        shape = np.exp(-0.5 * (np.minimum(bins, BINS - bins) / WIDTH) ** 2)
        self._bump = self.filter.table(np.tile(shape, (4, 1))).ravel()
        self._tables = self.filter.tables(np.eye(PLACES))
        self.clear()

    def clear(self) -> None:
        """Clears all state."""
        self.filter.clear()
        self._heard.clear()
        self._network.clear()
        self._frames = 0

    @property
    def seconds(self) -> float:
        """Centre of the last frame, in seconds from the beginning."""
        return (self._frames - 1) / FRAMES_PER_SECOND

    def feed(self, sound: F32) -> int:
        """Processes samples at `RATE`; returns the number of completed frames."""
        before = self._frames
        for _ in self._heard.take(sound):
            self._frames += 1
            self._step()
        return self._frames - before

    def _step(self) -> None:
        """Advances the filter by a frame."""
        network, quiet = self._network, self._heard.quiet
        if quiet <= QUIET_FRAMES:
            network.step(self._heard.features.now)
        if quiet > _REST_FRAMES:
            self.filter.step()
            return
        if self._frames % TEMPO_EVERY == 0 and self._frames > FRAMES_PER_SECOND:
            self.filter.suggest(TEMPOS, network.tempos, SHARE)
        alone = self._alone(self._heard.features.now)
        likely = (self._tables @ ((1.0 - FLOOR) * network.places + FLOOR)) ** POWER
        likely *= (self._tables @ ((1.0 - ALONE_FLOOR) * alone + ALONE_FLOOR)) ** ALONE
        beat = self._heard.beat
        found = self._bump * beat + (1.0 - self._bump) * (1.0 - beat) / _SPARSE
        self.filter.step(likely * np.maximum(found, BEAT_FLOOR) ** BEAT_POWER)
        if self._heard.features.struck:
            self.filter.onset(ONSET_AGO)

    @property
    def heard(self) -> bool:
        """Whether there was sound other than plain noise in the last seconds; noise has no onsets."""
        return self._heard.quiet < QUIET_FRAMES and self._heard.features.onsets >= _EVENTS
