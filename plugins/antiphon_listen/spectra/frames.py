"""Overlapping frames of a stream of samples, and magnitudes of their spectra."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32


class FrameBuffer:
    """Splits a stream into frames of `size` samples, `hop` apart; frame k is centred on sample k * hop.

    `size`: samples of a frame; `hop`: samples from one frame to the next.
    """

    def __init__(self, size: int, hop: int) -> None:
        self.size, self.hop = size, hop
        self._held = np.zeros(size // 2, np.float32)

    def push(self, samples: F32) -> F32:
        """Frames completed by `samples`, `[n, size]`, read-only."""
        held = np.concatenate([self._held, samples])
        count = max(0, (len(held) - self.size) // self.hop + 1)
        self._held = held[count * self.hop :].copy()
        if count == 0:
            return np.zeros((0, self.size), np.float32)
        return np.asarray(np.lib.stride_tricks.sliding_window_view(held, self.size)[:: self.hop][:count])

    def end(self) -> F32:
        """Frames completed at the end, padded with zeros."""
        return self.push(np.zeros(self.size // 2, np.float32))


def magnitudes(frames: F32, window: F32) -> F32:
    """Magnitudes of the spectra of windowed frames, `[n, size // 2 + 1]`."""
    return np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32)


def hann(size: int) -> F32:
    """The periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)).astype(np.float32)


def mel_bank(rate: int, size: int, bands: int, low: float, high: float) -> F32:
    """Triangular filters on the mel scale of O'Shaughnessy (1987), of equal height, `[bands, size // 2 + 1]`."""
    edges = 700.0 * (np.exp(np.linspace(np.log1p(low / 700.0), np.log1p(high / 700.0), bands + 2)) - 1.0)
    bins = np.fft.rfftfreq(size, 1.0 / rate)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)
