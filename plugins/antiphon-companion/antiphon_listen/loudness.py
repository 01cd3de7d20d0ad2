"""Loudness by EBU R 128: of a file, with loudness range and true peak; of a stream, by EBU Tech 3341."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import soxr

from antiphon.api import F32, Samples
from antiphon.api.backends.analysis import K_STATE, Analysis, AnalysisRun, LoudnessMeter, Quantity, k_sections, k_weigh
from antiphon.signal.loudness import QUIETEST, lufs_of

SHORT_TERM = 30
"""Number of hops in a block of the loudness range, 3 s."""
_OVER = 4
_PIECE = 65536
"""Frames measured per batch."""


class Loudness(Analysis):
    """Integrated loudness, loudness range and true peak."""

    quantities = (
        Quantity("loudness", "number", "LUFS", "Integrated loudness; -70 is silence.", "Loudness"),
        Quantity("loudness_range", "number", "LU", "How far the short-term loudness spreads; None below 3 s."),
        Quantity("true_peak", "number", "dBTP", "The largest sample, oversampled four times; None for silence."),
    )

    def begin(self, rate: int, channels: int) -> LoudnessRun:
        return LoudnessRun(rate, channels)


class LoudnessRun(AnalysisRun):
    """Loudness and peak of one sound."""

    def __init__(self, rate: int, channels: int) -> None:
        self._meter: LoudnessMeter | None = None
        self._rate = rate
        self._over = soxr.ResampleStream(rate, _OVER * rate, channels, dtype="float32", quality="HQ")
        self._channels = channels
        self._peak = 0.0

    def feed(self, block: Samples) -> None:
        self._measured().feed(block)
        for first in range(0, block.shape[1], _PIECE):
            piece = np.ascontiguousarray(block[:, first : first + _PIECE].T, np.float32)
            self._rise(np.abs(piece).max(initial=0.0), self._over.resample_chunk(piece))

    def _measured(self) -> LoudnessMeter:
        if self._meter is None:
            self._meter = LoudnessMeter(self._rate, self._channels, self.mask)
        return self._meter

    def _rise(self, plain: float, over: Samples) -> None:
        self._peak = max(self._peak, float(plain), float(np.abs(over).max(initial=0.0)))

    def result(self) -> Mapping[str, Any]:
        self._rise(0.0, self._over.resample_chunk(np.zeros((0, self._channels), np.float32), last=True))
        meter = self._measured()
        return {
            "loudness": round(meter.integrated_loudness(), 2),
            "loudness_range": _range(meter.blocks(SHORT_TERM)) if meter.hops >= SHORT_TERM else None,
            "true_peak": round(20.0 * float(np.log10(self._peak)), 2) if self._peak > 0.0 else None,
        }


def _range(blocks: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Loudness range in LU, from the 10th to the 95th percentile above -70 LUFS and above the relative gate, -20 LU."""
    loud = lufs_of(blocks)
    if not (loud > QUIETEST).any():
        return 0.0
    gate = float(lufs_of(np.array([blocks[loud > QUIETEST].mean()]))[0]) - 20.0
    low, high = np.percentile(loud[(loud > QUIETEST) & (loud > gate)], [10, 95])
    return round(float(high - low), 2)


_STEP = 0.1
"""Bin width in LU of the histogram of blocks."""
_CLASSES = 1000


class LiveLoudness:
    """Blocks are counted in bins of a tenth of a LU from -70 LUFS on, in constant memory.

    `short_term`: LUFS of the last 3 s. `integrated`: LUFS of all blocks through the gate.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self._hop = max(1, round(LoudnessMeter.HOP * rate))
        self._sections = k_sections(rate)
        self._states = np.zeros((channels, K_STATE))
        self._weights = LoudnessMeter.weights(channels)
        self._rest = np.zeros(0)
        self._last: deque[float] = deque([0.0] * SHORT_TERM, SHORT_TERM)
        self._count, self._energy = np.zeros(_CLASSES), np.zeros(_CLASSES)
        self._hops = 0
        self.momentary = self.short_term = self.integrated = QUIETEST  # LUFS of the last 0.4 s

    def feed(self, sound: F32) -> None:
        """Processes the next frames, `[channels, n]`."""
        power = np.zeros(sound.shape[1])
        for channel, state, weight in zip(sound, self._states, self._weights, strict=True):
            k_weigh(np.ascontiguousarray(channel), power, len(power), self._sections, state, weight)
        self._rest = np.concatenate([self._rest, power])
        while len(self._rest) >= self._hop:
            self._last.append(float(self._rest[: self._hop].mean()))
            self._rest = self._rest[self._hop :]
            self._add()

    def _add(self) -> None:
        """Adds a completed tenth of a second."""
        self._hops += 1
        energies = np.array(self._last)
        block = energies[-LoudnessMeter.MOMENTARY :].mean()
        self.momentary = max(QUIETEST, float(lufs_of(block)))
        self.short_term = max(QUIETEST, float(lufs_of(energies.mean())))
        if self._hops >= LoudnessMeter.MOMENTARY and self.momentary > QUIETEST:
            place = min(_CLASSES - 1, int((self.momentary - QUIETEST) / _STEP))
            self._count[place] += 1.0
            self._energy[place] += block
            self.integrated = self._histogram_loudness()

    def _histogram_loudness(self) -> float:
        """`gated_loudness` of the histogram: bins with a mean above the gate count in full."""
        there = self._count > 0.0
        count, energy = self._count[there], self._energy[there]
        gate = float(lufs_of(energy.sum() / count.sum())) - 10.0
        through = lufs_of(energy / count) > gate
        return float(lufs_of(energy[through].sum() / count[through].sum()))
