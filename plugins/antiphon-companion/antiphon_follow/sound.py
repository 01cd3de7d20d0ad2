"""Beats in sound: BeatNet's features and network (Heydari, Cwitkowitz and Duan, ISMIR 2021) in numpy, and the filter.

50 frames a second of a sound at 22,050 Hz; each is known 32 ms after its centre.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.models import logistic, read_weights
from antiphon_follow.bars import BINS, METERS, BarFilter

MODEL = "follow-beats"
RATE, HOP, WINDOW = 22050, 441, 1411
FRAMES_PER_SECOND = RATE / HOP
BEHIND = (WINDOW - WINDOW // 2) / RATE
"""Seconds from the centre of a frame until it is known."""
_PER_OCTAVE, _LOW, _HIGH, _TUNING = 24, 30.0, 17000.0, 440.0
_TAPS, _UNITS = 10, 150
_QUIET = 1e-3
"""Peak below which a frame is silent: it says nothing of beats."""
_QUIET_FRAMES = 100
"""Silent frames after which nothing is heard."""
_ONSET, _USUAL, _RATE_SECONDS, _KNOWN = 1.5, 0.02, 2.0, 0.3
"""Rise of the spectrum, relative to the usual, that is an onset; share by which the usual follows; time constant in
seconds of the onsets' rate, and share of it after which it counts."""
GAIN = 0.05
"""Nats a frame by which a beat that is sure foretells the network better than chance; applause and speech: a third."""
WIDTH, FLOOR, POWER, SHARE = 0.7, 0.04, 0.8, 0.6
"""Width in bins of a beat in a table, least probability of a state, weight of what the network says, and that of the
prior of the tempo at every beat."""


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
    """Probabilities of a beat and of a downbeat, frame by frame. `weights`: its arrays, as the lab names them."""

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
        """Forgets what was heard."""
        self._before: F32 | None = None
        self.rise = 0.0
        self._hidden, self._cell = np.zeros((2, _UNITS), np.float32), np.zeros((2, _UNITS), np.float32)

    def __call__(self, frame: F32) -> tuple[float, float]:
        """Probabilities of a beat that is no downbeat, and of a downbeat, of the next frame of `WINDOW` samples."""
        spectrum = np.abs(np.fft.rfft(frame * self._window))[: WINDOW >> 1].astype(np.float32)
        bands = np.log10(spectrum @ self._bank + 1.0)
        rise = np.zeros_like(bands) if self._before is None else np.maximum(bands - self._before, 0.0)
        self._before = bands
        self.rise = float(rise.sum())
        return self.step(np.concatenate([bands, rise]))

    def step(self, features: F32) -> tuple[float, float]:
        """The same of a frame's features, 272 of them."""
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


@cache
def beat_weights() -> Mapping[str, NDArray[Any]]:
    """Arrays of the network that ships. Raises ModelError: they are missing or changed."""
    return read_weights(MODEL)


class SoundBeats:
    """Beats in a stream of sound at `RATE`. `seconds`: how much of it the filter's answer is about."""

    def __init__(self, low: float, high: float, meters: tuple[int, ...] = METERS) -> None:
        self.filter = BarFilter(FRAMES_PER_SECOND, low, high, meters, GAIN)
        self._network = BeatNetwork(beat_weights())
        self._bump = self._bumps()
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self.filter.clear()
        self.filter.expect(0.0, SHARE)
        self._network.clear()
        self._held, self._frames = np.zeros(WINDOW // 2, np.float32), 0
        self._rises, self._usual, self.rate, self._known = (0.0, 0.0), 0.0, 0.0, 0.0
        self._quiet = _QUIET_FRAMES

    @property
    def seconds(self) -> float:
        """Centre of the last frame, in seconds from the beginning."""
        return (self._frames - 1) / FRAMES_PER_SECOND

    def feed(self, sound: F32) -> int:
        """Processes samples at `RATE`; returns the number of frames that they completed."""
        held = np.concatenate([self._held, sound])
        count = 0
        while len(held) >= WINDOW:
            frame = held[:WINDOW]
            self._frames += 1
            count += 1
            if float(np.abs(frame).max()) < _QUIET:
                self._quiet += 1
                self.filter.step()
            else:
                self._quiet = 0
                beat, downbeat = self._network(frame)
                self.take(beat, downbeat, self._network.rise)
            held = held[HOP:]
        self._held = held
        return count

    def take(self, beat: float, downbeat: float, rise: float) -> None:
        """Advances the filter by a frame with these probabilities; `rise`: of its spectrum."""
        before, last = self._rises
        self._rises = (last, rise)
        onset = last > before and last >= rise and last > _ONSET * self._usual
        self._usual += (rise - self._usual) * _USUAL
        decay = math.exp(-1.0 / (FRAMES_PER_SECOND * _RATE_SECONDS))
        self.rate, self._known = self.rate * decay, self._known * decay + (1.0 - decay)
        self.rate += (1.0 - decay) * FRAMES_PER_SECOND * onset
        if self._frames % 5 == 0 and self._known > _KNOWN:
            self.filter.expect(self.rate / self._known, SHARE)
        self.filter.step(self.likelihood(beat, downbeat))

    @property
    def heard(self) -> bool:
        """Whether there was sound in the last seconds."""
        return self._quiet < _QUIET_FRAMES

    def likelihood(self, beat: float, downbeat: float) -> F64:
        """Likelihoods `[layers, BINS + 1]` of a frame."""
        first, other = self._bump
        found = beat + downbeat
        table = first * downbeat + other * beat + (1.0 - first - other) * (1.0 - found) / _SPARSE
        return np.asarray(np.maximum(table, FLOOR) ** POWER)

    def _bumps(self) -> tuple[F64, F64]:
        """Weights of a downbeat and of another beat, in the filter's layout."""
        bins = np.arange(BINS)
        shape = np.exp(-0.5 * (np.minimum(bins, BINS - bins) / WIDTH) ** 2)
        first, other = np.zeros((4, BINS)), np.zeros((4, BINS))
        before, after = bins <= BINS // 2, bins > BINS // 2
        first[0, before], first[3, after] = shape[before], shape[after]
        other[:3, after] = shape[after]
        other[1:, before] = shape[before]
        return self.filter.table(first), self.filter.table(other)


_SPARSE = 3.0
"""Factor by which a frame without a beat speaks less."""
