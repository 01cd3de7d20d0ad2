"""Loudness meter of a stream by EBU Tech 3341: momentary, short-term, and integrated."""

from collections import deque

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.analysis import K_STATE, QUIETEST, LoudnessMeter, k_sections, k_weigh, lufs_of
from antiphon_listen.loudness import SHORT_TERM

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
            self.integrated = self._gated()

    def _gated(self) -> float:
        """`gated_loudness` of the histogram: bins with a mean above the gate count in full."""
        there = self._count > 0.0
        count, energy = self._count[there], self._energy[there]
        gate = float(lufs_of(energy.sum() / count.sum())) - 10.0
        through = lufs_of(energy / count) > gate
        return float(lufs_of(energy[through].sum() / count[through].sum()))
