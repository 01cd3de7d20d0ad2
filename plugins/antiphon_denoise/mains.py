"""Takes mains hum out before anything else: lines at the harmonics of 50 or 60 Hz that keep their phase for long.

Each line is demodulated, averaged over about a second and subtracted: a notch some tenths of a hertz wide (Widrow et
al., 1975), which no mask on bins of 23 Hz can be. A line counts as hum when what is averaged stands far above chance;
the mains when several of its lines do. Its frequency
is the one of a fine comb of guesses under which the lines hold best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_denoise.spectrum import F32, Grid

C128 = NDArray[np.complex128]
MAINS = (50.0, 60.0)
LINES = 20
GUESSES = 2 * 7 + 1
STEP = 0.0004
"""Between two guesses of the mains' frequency, as a share of it: 0.28 % to either side are reached."""
_SECONDS = 2.5
_SURE, _OVER = 9.0, 6.0
_MOST = 40.0
_LEAST, _MANY = 3.0, 2.0
_DOUBT = 1.5
_FIRST = 12


class Hum:
    """One stream's hum. `take` works on the newest hop of the history, in place."""

    def __init__(self, grid: Grid, rate: int, channels: int) -> None:
        self._hop, self._channels = grid.hop, channels
        orders = np.arange(1, LINES + 1, dtype=np.float64)
        middle = np.arange(grid.hop) - (grid.hop - 1) / 2
        turns = 2 * np.pi / rate * np.outer(np.outer(MAINS, orders).ravel(), middle)
        # rows: cosine and sine of every line, its phase 0 in the middle of the hop
        self._basis: F32 = np.stack([np.cos(turns), np.sin(turns)], 1).reshape(-1, grid.hop).astype(np.float32)
        shares = 1.0 + STEP * (np.arange(GUESSES) - GUESSES // 2)
        hertz = np.outer(MAINS, shares)
        self._turn = np.exp(-2j * np.pi * grid.hop / rate * hertz[:, :, None] * orders)
        self._parts: F32 = np.zeros((channels, len(self._basis)), np.float32)
        self._line: F32 = np.zeros((channels, grid.hop), np.float32)
        self._back: F32 = np.zeros((channels, len(self._basis)), np.float32)
        self._keep = 1.0 - grid.hop / rate / _SECONDS
        shape = (channels, len(MAINS), GUESSES, LINES)
        self._mean: C128 = np.zeros(shape, np.complex128)
        self._power = np.zeros((channels, len(MAINS), 1, LINES))
        self._phasor: C128 = np.ones(shape[1:], np.complex128)
        self.reset()

    def reset(self) -> None:
        self._mean.fill(0.0)
        self._power.fill(0.0)
        self._phasor.fill(1.0)
        self._weight = self._squares = 0.0
        self._hops = 0
        self.there = 0.0

    def take(self, sound: F32, amount: float) -> None:
        """sound `[channels, hop]` ← without that much of its hum."""
        np.dot(sound, self._basis.T, out=self._parts)
        pairs = self._parts.reshape(self._channels, len(MAINS), 1, LINES, 2)
        now = (pairs[..., 0] - 1j * pairs[..., 1]) * (2.0 / self._hop)
        # a plain mean at first, then one that forgets; squares: what chance would leave of unit power
        self._weight = self._weight * self._keep + 1.0
        self._squares = self._squares * self._keep**2 + 1.0
        self._mean += (now * self._phasor - self._mean) / self._weight
        self._power += (_square(now) - self._power) / self._weight
        chance = self._squares / self._weight**2
        certain = (_square(self._mean) / (self._power * chance + 1e-16)).max(0)
        which, guess = divmod(int(np.argmax(np.minimum(certain, _MOST).sum(2))), GUESSES)
        above = certain[which, guess]
        sure = np.clip((above - _SURE) / _OVER, 0.0, 1.0)
        self._hops += 1
        self.there = float(np.clip(sure.sum() - _LEAST + 1.0, 0.0, 1.0)) if self._hops > _FIRST else 0.0
        if self.there > 0.0 and amount > 0.0:
            # where many lines are sure the weak ones are believed too, as far as they stand above chance
            many = float(np.clip((sure.sum() - _LEAST) / _MANY, 0.0, 1.0))
            share = np.maximum(sure, many * np.clip(1.0 - _DOUBT / (above + 1e-9), 0.0, 1.0))
            line = self._mean[:, which, guess] * self._phasor[which, guess].conj() * (share * (amount * self.there))
            self._subtract(sound, which, line)
        self._phasor *= self._turn

    def _subtract(self, sound: F32, which: int, line: C128) -> None:
        pairs = self._back.reshape(self._channels, len(MAINS), LINES, 2)
        pairs.fill(0.0)
        pairs[:, which, :, 0] = line.real
        pairs[:, which, :, 1] = -line.imag
        np.dot(self._back, self._basis, out=self._line)
        np.subtract(sound, self._line, out=sound)


def _square(z: NDArray[Any]) -> NDArray[np.float64]:
    """Of the magnitude."""
    squares: NDArray[np.float64] = z.real * z.real + z.imag * z.imag
    return squares
