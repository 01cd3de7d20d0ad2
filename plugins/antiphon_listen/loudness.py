"""Loudness by EBU R 128: integrated (ITU-R BS.1770-4), its range (EBU Tech 3342) and the true peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import soxr

from antiphon.api import Samples
from antiphon.api.backends.analysis import (
    K_STATE,
    QUIETEST,
    Analysis,
    AnalysisRun,
    Quantity,
    gated_loudness,
    k_sections,
    k_weigh,
    lufs_of,
)

HOP = 0.1
"""Seconds whose energy is held as one number: ten hours take 3 MB."""
MOMENTARY, SHORT_TERM = 4, 30
"""Hops of the blocks of integrated loudness, 0.4 s, and of its range, 3 s."""
_SURROUND = {5: (1.0, 1.0, 1.0, 1.41, 1.41), 6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)}
"""BS.1770's weights of left, right, centre, (low frequencies,) and surrounds; all others count as 1."""
_OVER = 4
_PIECE = 65536
"""Frames that are measured at once."""


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
    """Holds the energy of each tenth of a second."""

    def __init__(self, rate: int, channels: int) -> None:
        self._hop = max(1, round(HOP * rate))
        self._sections = k_sections(rate)
        self._states = np.zeros((channels, K_STATE))
        self._weights = channel_weights(channels)
        self._over = soxr.ResampleStream(rate, _OVER * rate, channels, dtype="float32", quality="HQ")
        self._channels = channels
        self._energies: list[np.ndarray[Any, np.dtype[np.float64]]] = []
        self._rest = np.zeros(0)
        self._peak = 0.0

    def feed(self, block: Samples) -> None:
        for first in range(0, block.shape[1], _PIECE):
            self._measure(np.ascontiguousarray(block[:, first : first + _PIECE], np.float32))

    def _measure(self, piece: Samples) -> None:
        frames = piece.shape[1]
        power = np.zeros(frames)
        for channel, state, weight in zip(piece, self._states, self._weights, strict=True):
            k_weigh(channel, power, frames, self._sections, state, weight)
        power = np.concatenate([self._rest, power])
        whole = len(power) // self._hop * self._hop
        self._energies.append(power[:whole].reshape(-1, self._hop).mean(axis=1))
        self._rest = power[whole:]
        self._rise(np.abs(piece).max(initial=0.0), self._over.resample_chunk(np.ascontiguousarray(piece.T)))

    def _rise(self, plain: float, over: Samples) -> None:
        self._peak = max(self._peak, float(plain), float(np.abs(over).max(initial=0.0)))

    def result(self) -> Mapping[str, Any]:
        self._rise(0.0, self._over.resample_chunk(np.zeros((0, self._channels), np.float32), last=True))
        energies = np.concatenate(self._energies) if self._energies else np.zeros(0)
        if len(energies) < MOMENTARY:  # a sound shorter than a block is one block
            total, frames = energies.sum() * self._hop + self._rest.sum(), len(energies) * self._hop + len(self._rest)
            blocks = np.array([total / max(1, frames)])
        else:
            blocks = _means(energies, MOMENTARY)
        return {
            "loudness": round(gated_loudness(blocks), 2),
            "loudness_range": _range(_means(energies, SHORT_TERM)) if len(energies) >= SHORT_TERM else None,
            "true_peak": round(20.0 * float(np.log10(self._peak)), 2) if self._peak > 0.0 else None,
        }


def channel_weights(channels: int) -> tuple[float, ...]:
    """BS.1770's weight of each channel."""
    return _SURROUND.get(channels, (1.0,) * channels)


def _means(energies: np.ndarray[Any, np.dtype[np.float64]], hops: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    total = np.concatenate([[0.0], np.cumsum(energies)])
    return np.asarray((total[hops:] - total[:-hops]) / hops)


def _range(blocks: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """LU between the 10th and the 95th percentile of what is above -70 LUFS and 20 LU below the mean of that."""
    loud = lufs_of(blocks)
    if not (loud > QUIETEST).any():
        return 0.0
    gate = float(lufs_of(np.array([blocks[loud > QUIETEST].mean()]))[0]) - 20.0
    low, high = np.percentile(loud[(loud > QUIETEST) & (loud > gate)], [10, 95])
    return round(float(high - low), 2)
