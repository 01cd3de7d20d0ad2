"""`mode=wavelet`: gives each band of a wavelet packet transform the distribution of its levels in the reference.

An orthogonal filter pair splits a frame into bands of equal width. The level of a piece of a band has a rank among the
previous levels of the band; it is set to the level of that rank in the reference (a monotone transport, or histogram
matching). The method does not use notes; within a frame it follows attacks more closely than a spectrum does.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.signal import symlet_filters, wavelet_join, wavelet_split
from antiphon_transfer.stream import Framing, frames

DEPTH = 7
PIECES = 2
"""Number of level segments in a frame."""
LOWEST, HIGHEST = -110, 10
"""Range of the histograms in dB, in steps of 1 dB."""
PRIOR_LEVELS = 150.0
"""Weight, as a number of levels, of the reference's histogram, until the input's is known."""
FORGETTING_RATE = 1.0 / 4000.0
"""Share of the histogram that each audible frame displaces."""
MAX_GAIN = 40.0


class Packets:
    """Wavelet packet transform and inverse of one channel's frame.

    `frame`: `[size]` samples; `packets`: `[size]` coefficients, band by band.
    """

    def __init__(self, size: int) -> None:
        low, high = symlet_filters()
        pair = (np.zeros(size, np.float32), np.zeros(size, np.float32))
        scratch = np.zeros(size + len(low), np.float32)
        self.frame: F32 = pair[0]
        self.packets: F32 = pair[DEPTH % 2]
        steps = [(size >> n, 1 << n, pair[n % 2], pair[(n + 1) % 2]) for n in range(DEPTH)]
        pack = (low, high, len(low))
        self._forward: list[Callable[[], None]] = [
            wavelet_split.bind(x, count, each, *pack, y, scratch) for each, count, x, y in steps
        ]
        self._inverse: list[Callable[[], None]] = [
            wavelet_join.bind(y, count, each, *pack, x, scratch) for each, count, x, y in reversed(steps)
        ]

    def split(self) -> None:
        """packets ← transform of `frame`."""
        for step in self._forward:
            step()

    def join(self) -> None:
        """frame ← inverse transform of `packets`."""
        for step in self._inverse:
            step()


class WaveletMethod:
    """The method of `mode=wavelet`; see the module."""

    def __init__(self, samples: F32, grid: Framing, channels: int) -> None:
        self._bands = 1 << DEPTH
        self._each = grid.size // self._bands // PIECES
        self._channels = [Packets(grid.size) for _ in range(channels)]
        self._result: F32 = np.zeros((channels, grid.size), np.float32)
        shape = (self._bands, PIECES)
        self._power: F32 = np.zeros(shape, np.float32)
        self._part: F32 = np.zeros(shape, np.float32)
        self._gain: F32 = np.zeros(shape, np.float32)
        self._square: F32 = np.zeros((*shape, self._each), np.float32)
        self._levels: F64 = np.zeros(shape)
        self._rank: F64 = np.zeros(shape)
        steps = HIGHEST - LOWEST
        self._rows = np.arange(self._bands)[:, None]
        counts = np.full((self._bands, steps), 1e-6)
        listening = [Packets(grid.size) for _ in range(samples.shape[0])]
        self._weight = 1.0 / max(1, samples.shape[0])
        for frame in frames(samples, grid):
            self._measure(frame, listening)
            np.add.at(counts, (self._rows, self._place()), 1.0)
        # a smoothed histogram has no empty bins, so that its cumulative sum is invertible
        kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
        counts = np.apply_along_axis(np.convolve, 1, counts, kernel, "same")
        self._share: F64 = counts / counts.sum(axis=1, keepdims=True)
        cumulative = np.cumsum(self._share, axis=1)
        ranks = (np.arange(257) + 0.5) / 257.0
        edges = np.arange(steps) + LOWEST + 1.0
        self._table: F64 = np.stack([np.interp(ranks, row, edges) for row in cumulative])
        self._counts: F64 = np.zeros_like(counts)
        self._cumulative: F64 = np.zeros_like(counts)
        self._weight = 1.0 / channels
        self.reset()

    def reset(self) -> None:
        np.multiply(self._share, PRIOR_LEVELS, out=self._counts)

    def run(self, frame: F32, amount: float) -> F32:
        """Processes a windowed frame, as `EnvelopeMethod.run`."""
        self._measure(frame, self._channels)
        place = self._place()
        np.cumsum(self._counts, axis=1, out=self._cumulative)
        whole = self._cumulative[:, -1:]
        inside = self._levels - np.floor(self._levels)
        rank = (self._cumulative[self._rows, place] - self._counts[self._rows, place] * (1.0 - inside)) / whole
        np.clip(rank * 257.0 - 0.5, 0.0, 255.999, out=self._rank)
        below = self._rank.astype(np.int64)
        part = self._rank - below
        target = self._table[self._rows, below] * (1.0 - part) + self._table[self._rows, below + 1] * part
        change = np.clip(target - self._levels, -80.0, MAX_GAIN) * amount
        # silence is left unchanged and not counted
        audible = self._levels > LOWEST + 1.0
        np.power(10.0, np.where(audible, change, 0.0) / 20.0, out=self._gain, casting="same_kind")
        if audible.any():
            np.multiply(self._counts, 1.0 - FORGETTING_RATE, out=self._counts)
            np.add.at(self._counts, (self._rows, place), audible)
        for packets, result in zip(self._channels, self._result, strict=True):
            shaped = packets.packets.reshape(self._bands, PIECES, self._each)
            np.multiply(shaped, self._gain[:, :, None], out=shaped)
            packets.join()
            result[:] = packets.frame
        return self._result

    def _measure(self, frame: F32, channels: list[Packets]) -> None:
        """_levels `[bands, PIECES]` in dB ← mean power of the channels' packets."""
        self._power.fill(0.0)
        for packets, samples in zip(channels, frame, strict=True):
            packets.frame[:] = samples
            packets.split()
            np.square(packets.packets.reshape(self._square.shape), out=self._square)
            np.mean(self._square, axis=2, out=self._part)
            np.add(self._power, self._part, out=self._power)
        np.multiply(self._power, self._weight, out=self._power)
        np.log10(self._power + 1e-12, out=self._levels)
        np.multiply(self._levels, 10.0, out=self._levels)
        np.clip(self._levels, LOWEST, HIGHEST - 1e-6, out=self._levels)

    def _place(self) -> NDArray[np.int64]:
        return np.floor(self._levels - LOWEST).astype(np.int64)
