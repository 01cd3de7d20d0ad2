"""Raises gains to 1 in bands above the `threshold` parameter, in the learned modes."""

from __future__ import annotations

import math

import numpy as np

from antiphon.api import F32
from antiphon_denoise.bands import BINS, COUNT, places

OVER = 6.0 * math.log(10.0) / 10.0
"""Natural log of power, 6 dB: a band this far above the threshold has gain 1; below that the gain rises linearly."""


class ThresholdOpener:
    """Raises gains `[bins]` where their band is loud. `open` allocates nothing."""

    def __init__(self, bins: int) -> None:
        self._below, self._fraction = places(bins)
        below, fraction = places(BINS)
        spread: F32 = np.zeros((COUNT, BINS), np.float32)
        spread[below, np.arange(BINS)] += 1 - fraction
        spread[below + 1, np.arange(BINS)] += fraction
        self._mean: F32 = spread / spread.sum(axis=1, keepdims=True)
        self._level: F32 = np.zeros(COUNT, np.float32)
        self._open: F32 = np.zeros(bins, np.float32)
        self._next: F32 = np.zeros(bins, np.float32)

    def open(self, power: F32, ceiling: float, gain: F32) -> None:
        """gain `[bins]` ← raised towards 1 in bands above a threshold, the natural log of power, in place."""
        np.dot(self._mean, power[:BINS], out=self._level)
        np.add(self._level, 1e-12, out=self._level)
        np.log(self._level, out=self._level)
        np.subtract(self._level, ceiling, out=self._level)
        np.multiply(self._level, 1.0 / OVER, out=self._level)
        np.clip(self._level, 0.0, 1.0, out=self._level)
        np.take(self._level, self._below, out=self._open, mode="clip")
        np.take(self._level[1:], self._below, out=self._next, mode="clip")
        np.subtract(self._next, self._open, out=self._next)
        np.multiply(self._next, self._fraction, out=self._next)
        np.add(self._open, self._next, out=self._open)
        np.subtract(1.0, gain, out=self._next)
        np.multiply(self._next, self._open, out=self._next)
        np.add(gain, self._next, out=gain)
