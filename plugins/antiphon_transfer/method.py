"""What a mode is to the processor, and what those that work on a spectrum share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from antiphon_transfer.features import Describer
from antiphon_transfer.stream import C64, F32, Framing


class Way(Protocol):
    """Makes of a windowed frame `[channels, size]` one with the reference's timbre."""

    def run(self, frame: F32, amount: float) -> F32:
        """amount: 0 gives back the frame, 1 goes all the way. The result holds until the next call."""
        ...

    def reset(self) -> None:
        """Forgets the input, not the reference."""
        ...


class Spectral:
    """A gain for every bin, the same in all channels; the phases stay."""

    def __init__(self, grid: Framing, channels: int) -> None:
        self._bins: C64 = np.zeros((channels, grid.bins), np.complex64)
        self._gain: F32 = np.zeros(grid.bins, np.float32)
        self._made: F32 = np.zeros((channels, grid.size), np.float32)
        self._describer = Describer(grid)

    def run(self, frame: F32, amount: float) -> F32:
        np.fft.rfft(frame, axis=1, out=self._bins)  # type: ignore[arg-type]  # single precision is right at run time
        self._step(self._bins, amount, self._gain)
        np.exp(self._gain, out=self._gain)
        np.multiply(self._bins, self._gain, out=self._bins)
        np.fft.irfft(self._bins, frame.shape[1], axis=1, out=self._made)  # type: ignore[arg-type]
        return self._made

    def _step(self, bins: C64, amount: float, gain: F32) -> None:
        """gain `[bins]` ← natural logarithms of the gains, scaled by `amount`."""
        raise NotImplementedError
