"""Loudness by EBU R 128: integrated (ITU-R BS.1770-4), its range (EBU Tech 3342) and the true peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import soxr

from antiphon.api import Samples
from antiphon.api.backends.analysis import QUIETEST, Analysis, AnalysisRun, LoudnessMeter, Quantity, lufs_of

SHORT_TERM = 30
"""Hops of the blocks of the range, 3 s."""
_OVER = 4
_PIECE = 65536
"""Frames measured per batch."""


class Loudness(Analysis):
    """Integrated loudness, loudness range and true peak."""

    quantities = (
        Quantity("loudness", "number", "LUFS", "Integrated loudness; -70 is silence."),
        Quantity("loudness_range", "number", "LU", "How far the short-term loudness spreads; None below 3 s."),
        Quantity("true_peak", "number", "dBTP", "The largest sample, oversampled four times; None for silence."),
    )

    def begin(self, rate: int, channels: int) -> LoudnessRun:
        return LoudnessRun(rate, channels)


class LoudnessRun(AnalysisRun):
    """Loudness and peak of one sound."""

    def __init__(self, rate: int, channels: int) -> None:
        self._meter = LoudnessMeter(rate, channels)
        self._over = soxr.ResampleStream(rate, _OVER * rate, channels, dtype="float32", quality="HQ")
        self._channels = channels
        self._peak = 0.0

    def feed(self, block: Samples) -> None:
        self._meter.feed(block)
        for first in range(0, block.shape[1], _PIECE):
            piece = np.ascontiguousarray(block[:, first : first + _PIECE].T, np.float32)
            self._rise(np.abs(piece).max(initial=0.0), self._over.resample_chunk(piece))

    def _rise(self, plain: float, over: Samples) -> None:
        self._peak = max(self._peak, float(plain), float(np.abs(over).max(initial=0.0)))

    def result(self) -> Mapping[str, Any]:
        self._rise(0.0, self._over.resample_chunk(np.zeros((0, self._channels), np.float32), last=True))
        meter = self._meter
        return {
            "loudness": round(meter.integrated(), 2),
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
