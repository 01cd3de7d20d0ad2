"""The interface of a method of transfer, and the base class of those that set a gain for each bin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from antiphon.api import F32
from antiphon_transfer.features import TimbreDescriber
from antiphon_transfer.stream import C64, Framing


class TransferMethod(Protocol):
    """Gives a windowed frame `[channels, size]` the timbre of the reference."""

    def run(self, frame: F32, amount: float) -> F32:
        """Processes a frame.

        Args:
            frame: float32 `[channels, size]`, windowed.
            amount: 0 leaves the frame unchanged, 1 applies the whole transfer.

        Returns:
            A buffer of the same shape, valid until the next call.
        """
        ...

    def reset(self) -> None:
        """Clears what was learned of the input, not of the reference."""
        ...


class Spectral(ABC):
    """Applies a gain to each bin, the same in all channels; phases are unchanged."""

    def __init__(self, grid: Framing, channels: int) -> None:
        self._bins: C64 = np.zeros((channels, grid.bins), np.complex64)
        self._gain: F32 = np.zeros(grid.bins, np.float32)
        self._result: F32 = np.zeros((channels, grid.size), np.float32)
        self._describer = TimbreDescriber(grid)

    def run(self, frame: F32, amount: float) -> F32:
        np.fft.rfft(frame, axis=1, out=self._bins)  # type: ignore[arg-type]  # single precision is right at run time
        self._step(self._bins, amount, self._gain)
        np.exp(self._gain, out=self._gain)
        np.multiply(self._bins, self._gain, out=self._bins)
        np.fft.irfft(self._bins, frame.shape[1], axis=1, out=self._result)  # type: ignore[arg-type]
        return self._result

    @abstractmethod
    def _step(self, bins: C64, amount: float, gain: F32) -> None:
        """gain `[bins]` ← natural logs of the gains, scaled by `amount`, for the spectrum `[channels, bins]`."""
