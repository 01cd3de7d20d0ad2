"""Separation of a sound of any length in bounded memory, with look-ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon_stems.features import LEVEL_REACH
from antiphon_stems.grids import FILE, NOMINAL, STEMS
from antiphon_stems.wiener import refine

C64 = NDArray[np.complex64]
Shares = Callable[[Samples, Samples], Samples]
"""Function from power and side `[frames, units]` to shares of stems `[4, frames, units]`."""
CORE = 512
"""Frames separated per segment, some 12 s, with context frames around them."""


class Splitter:
    """Separates a sound segment by segment."""

    def __init__(self, rate: int, channels: int, shares: Shares) -> None:
        """The bin spacing equals that at `NOMINAL`, whatever the rate.

        Args:
            rate: Hz.
        """
        self._shares, self._channels = shares, channels
        self._hop = max(16, round(FILE.hop * rate / NOMINAL))
        self._size = 4 * self._hop
        self._window = np.sin(np.pi * (np.arange(self._size) + 0.5) / self._size).astype(np.float32)
        # frames overlap fourfold: their squared windows add up to 2
        self._norm = np.float32(np.sqrt(np.sum(self._window.astype(np.float64) ** 2)))
        bins = self._size // 2 + 1
        self._unit = FILE.unit_of_bin[np.minimum(np.arange(bins), FILE.bins - 1)]
        self._tail: Samples = np.zeros((len(STEMS), channels, self._size - self._hop), np.float32)

    def split(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Yields stems `[4, channels, n]` of blocks `[channels, n]`; the last is the remainder of the sound."""
        lead = self._size - self._hop
        waiting: Samples = np.zeros((self._channels, 0), np.float32)
        skip, given = lead, 0
        total = 0

        def counted() -> Iterator[Samples]:
            nonlocal total, waiting
            for block in blocks:
                total += block.shape[1]
                waiting = np.concatenate([waiting, block], axis=1)
                yield block

        for stems in self._joined(self._stretches(counted())):
            ready = stems[:, :, skip:]
            skip = max(0, skip - stems.shape[2])
            ready = ready[:, :, : waiting.shape[1]]
            ready[-1] = waiting[:, : ready.shape[2]] - ready[:-1].sum(axis=0)
            waiting = waiting[:, ready.shape[2] :]
            given += ready.shape[2]
            if ready.shape[2]:
                yield ready

    def _stretches(self, blocks: Iterator[Samples]) -> Iterator[C64]:
        """Spectra of `CORE` frames per segment, `[channels, frames, bins]`, from a frame before the sound."""
        length, lead = CORE * self._hop, self._size - self._hop
        held: Samples = np.zeros((self._channels, lead), np.float32)
        ends = np.zeros((self._channels, lead), np.float32)
        for block in chain(blocks, (ends,)):
            held = np.concatenate([held, block], axis=1)
            while held.shape[1] >= length + lead:
                yield self._spectra(held[:, : length + lead])
                held = held[:, length:]
        frames = -(-(held.shape[1] - lead) // self._hop)
        if frames > 0:
            wanted = frames * self._hop + lead
            yield self._spectra(np.pad(held, ((0, 0), (0, wanted - held.shape[1]))))

    def _spectra(self, sound: Samples) -> C64:
        frames = sliding_window_view(sound, self._size, axis=1)[:, :: self._hop]
        return np.fft.rfft(frames * (self._window / self._norm), axis=-1).astype(np.complex64)

    def _joined(self, stretches: Iterable[C64]) -> Iterator[Samples]:
        """Stems of every segment, with context; overlapping sound is kept for the next."""
        before: C64 | None = None
        now: C64 | None = None
        for after in chain(stretches, (None,)):
            if now is not None:
                early = now[:, :0] if before is None else before[:, -LEVEL_REACH:]
                late = now[:, :0] if after is None else after[:, :LEVEL_REACH]
                yield self._sound(np.concatenate([early, now, late], axis=1), early.shape[1], now.shape[1])
            before, now = now, after

    def _sound(self, spectra: C64, first: int, frames: int) -> Samples:
        power = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
        apart = np.abs(spectra[0] - spectra[1]) ** 2 / 2 if self._channels > 1 else np.zeros_like(power)
        shares = self._shares(self._units(power), self._units(apart))[:, first : first + frames]
        inside = spectra[:, first : first + frames]
        masked = refine(inside, shares[:, :, self._unit])
        hop, lead = self._hop, self._size - self._hop
        out = np.zeros((len(STEMS), self._channels, frames * hop + lead), np.float32)
        out[:, :, :lead] = self._tail
        for n in range(len(STEMS) - 1):
            pieces = np.fft.irfft(masked[n], self._size, axis=-1) * (self._window * self._norm / 2.0)
            for part in range(4):
                at = slice(part * hop, part * hop + frames * hop)
                out[n, :, at] += pieces[:, :, part * hop : (part + 1) * hop].reshape(self._channels, -1)
        self._tail = out[:, :, frames * hop :].copy()
        return out[:, :, : frames * hop]

    def _units(self, power: Samples) -> Samples:
        """`[frames, bins]` as `[frames, units]`; zero above half of the rate."""
        missing = max(0, FILE.bins - power.shape[1])
        return FILE.means(np.pad(power, ((0, 0), (0, missing)))[:, : FILE.bins])
