"""Overlapping frames of a stream, magnitudes of their spectra, and constant-Q magnitudes from C1."""

import numpy as np
import soxr
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.signal import hann


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


def mel_bank(rate: int, size: int, bands: int, low: float, high: float) -> F32:
    """Triangular filters on the mel scale of O'Shaughnessy (1987), of equal height, `[bands, size // 2 + 1]`."""
    edges = 700.0 * (np.exp(np.linspace(np.log1p(low / 700.0), np.log1p(high / 700.0), bands + 2)) - 1.0)
    bins = np.fft.rfftfreq(size, 1.0 / rate)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)


RATE, HOP = 22050, 2048
FRAMES_PER_SECOND = RATE / HOP
OCTAVES, BINS = 7, 36
"""Octaves, and bins of each."""
LOWEST = 440.0 * 2.0 ** (-45 / 12)
"""Frequency in Hz of the lowest bin, C1."""
_SIZE = 1024
"""Frames of a window: no kernel is longer, and no hop."""


class ConstantQ:
    """Streaming constant-Q magnitudes `[n, OCTAVES * BINS]`, `FRAMES_PER_SECOND` a second; all of them are stored."""

    def __init__(self) -> None:
        self._streams = [soxr.ResampleStream(2.0, 1.0, 1, dtype="float32", quality="HQ") for _ in range(OCTAVES)]
        self._frames = [FrameBuffer(_SIZE, HOP >> number) for number in range(1, OCTAVES + 1)]
        self._rows: list[list[NDArray[np.float16]]] = [[] for _ in range(OCTAVES)]
        self._kernels = _kernels()

    def feed(self, samples: F32, last: bool = False) -> None:
        """Processes the next samples, `[n]` at `RATE`; `last` ends the stream."""
        for number, (stream, frames) in enumerate(zip(self._streams, self._frames, strict=True)):
            samples = stream.resample_chunk(samples, last=last)
            found = [frames.push(samples), frames.end()] if last else [frames.push(samples)]
            # each octave is 3 dB louder than the one above it, as its kernels are twice as long
            scale = np.float32(2.0 ** (number / 2.0))
            for part in found:
                waves = (part @ self._kernels).reshape(len(part), 2, BINS)
                self._rows[number].append((np.hypot(waves[:, 0], waves[:, 1]) * scale).astype(np.float16))

    def end(self) -> F32:
        """All frames, the lowest octave first."""
        self.feed(np.zeros(0, np.float32), last=True)
        octaves = [np.concatenate(rows) for rows in reversed(self._rows)]
        count = min(len(rows) for rows in octaves)
        return np.concatenate([rows[:count] for rows in octaves], axis=1).astype(np.float32)


def tuned(rows: F32, semitones: float) -> F32:
    """Frames of a sound that is `semitones` sharp, as if it were in tune: between two bins the line between them."""
    place = np.clip(np.arange(rows.shape[1]) + semitones * BINS / 12.0, 0.0, rows.shape[1] - 1.0)
    low = np.minimum(place.astype(int), rows.shape[1] - 2)
    part = (place - low).astype(np.float32)
    return np.asarray(rows[:, low] * (1.0 - part) + rows[:, low + 1] * part)


def _kernels() -> F32:
    """Windowed cosines, then sines, of one octave, `[_SIZE, 2 * BINS]`: at its own rate every octave has the same."""
    step = 2.0 ** (2.0 / BINS)
    quality = (step + 1.0) / (step - 1.0)
    top = 2 * LOWEST * 2.0 ** (OCTAVES - 1) / RATE
    table = np.zeros((_SIZE, 2 * BINS), np.float32)
    for number in range(BINS):
        turns = top * 2.0 ** (number / BINS)
        length = quality / turns
        places = np.arange(int(-length // 2), int(length // 2))
        window = hann(len(places))
        window *= np.sqrt(length) / window.sum()
        table[_SIZE // 2 + places, number] = window * np.cos(2.0 * np.pi * turns * places)
        table[_SIZE // 2 + places, BINS + number] = window * np.sin(2.0 * np.pi * turns * places)
    return table
