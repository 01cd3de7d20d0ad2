"""Level matching of a mosaic to its input, over time and in bands, with limiting."""

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.analysis import MelSettings, mel_bank
from antiphon_mosaic.features import Grid

PIECES = 4
"""Gain segments per hop."""
HALF_WIDTH = 2
"""Segments before and after one in its energy average."""
MAX_GAIN = 30.0
CEILING = 0.98
BANDS, MAX_FIT = 14, 18.0


class LevelMatcher:
    """Computes gains for the second of three hops of both sounds."""

    def __init__(self, hop: int) -> None:
        self._piece = hop // PIECES
        shape = np.array([1.0, 2.0, 3.0, 2.0, 1.0])
        first, count = PIECES - 1, PIECES + 2
        self._smooth = np.zeros((3 * PIECES, count))
        for n in range(count):
            self._smooth[first + n - HALF_WIDTH : first + n + HALF_WIDTH + 1, n] = shape / shape.sum()
        centre = (np.arange(hop) + 0.5) / self._piece + 0.5
        self._between = np.maximum(0.0, 1.0 - np.abs(centre - np.arange(count)[:, None])).astype(np.float32)

    def apply(self, dry: F32, made: F32, amount: float, out: F32) -> None:
        """out `[channels, hop]` ← the second hop of `made` `[3 * hop]` at the level of `dry` `[channels, 3 * hop]`."""
        hop, count, first = out.shape[1], self._smooth.shape[1], PIECES - 1
        pieces = made.reshape(-1, self._piece)
        own = np.square(pieces).mean(axis=1) @ self._smooth + 1e-10
        peak = np.abs(pieces).max(axis=1)
        most = CEILING / np.maximum(np.max([peak[n : n + count] for n in (first - 1, first, first + 1)], axis=0), 1e-9)
        for channel, result in zip(dry, out, strict=False):
            wanted = np.square(channel.reshape(-1, self._piece)).mean(axis=1) @ self._smooth
            gain = np.minimum(np.minimum(np.sqrt(wanted / own), MAX_GAIN) ** amount, most)
            np.multiply(gain.astype(np.float32) @ self._between, made[hop : 2 * hop], out=result)


class BandFitter:
    """Matches the spectrum of a mosaic to the input's, in `BANDS` mel bands by at most `MAX_FIT` dB; a hop late."""

    def __init__(self, grid: Grid) -> None:
        size = 2 * grid.hop
        settings = MelSettings(grid.rate, size, grid.hop, BANDS, 40.0, 0.45 * grid.rate)
        bank = mel_bank(settings)
        self._gather = np.ascontiguousarray(bank.T)
        peak = bank / bank.max(axis=1, keepdims=True)
        peak[0, : peak[0].argmax()] = peak[-1, peak[-1].argmax() :] = 1.0
        self._spread = (peak / np.maximum(peak.sum(axis=0), 1e-6)).astype(np.float32)
        self._window = np.sqrt(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)).astype(np.float32)
        self._rest = np.zeros(grid.hop, np.float32)

    def reset(self) -> None:
        self._rest.fill(0.0)

    def apply(self, dry: F32, made: F32, amount: float, out: F32) -> None:
        """out `[hop]` ← first hop of `made` `[2 * hop]`, matched by `amount` 0 to 1 to `dry` `[2 * hop]`."""
        hop = len(out)
        spectrum = np.fft.rfft(made * self._window)
        wanted = np.fft.rfft(dry * self._window)
        levels = [np.log10((s.real**2 + s.imag**2) @ self._gather + 1e-9) for s in (wanted, spectrum)]
        gain = np.clip(amount * 10.0 * (levels[0] - levels[1]), -MAX_FIT, MAX_FIT)
        frame = np.fft.irfft(spectrum * (10.0 ** (gain / 20.0) @ self._spread)) * self._window
        np.add(self._rest, frame[:hop], out=out)
        self._rest[:] = frame[hop:]
