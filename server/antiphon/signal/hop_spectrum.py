"""Hop grid and short-time Fourier transform for all modes.

Frames are `size` samples long, one every `hop`. The analysis window rises over most of the frame and falls over the
last `fade` samples; synthesis uses the last `lag = hop + fade` samples of a frame only. So `size` determines the
frequency resolution, `lag` the latency. The product of both windows, overlapped, is 1.

`fade` is a hop, or `LOW_FADE` in low latency. The gains are then estimated from a spectrum with the usual window, whose
sidelobes are lower, and applied to one with the short fall.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
"""Samples, magnitudes and gains."""
C64 = NDArray[np.complex64]
"""Complex spectra."""
LOW_FADE = 56
"""Fade in samples at 44.1 and 48 kHz: with hops of 384 the lag is 10.0 and 9.2 ms."""


@dataclass(frozen=True, slots=True)
class SpectrumSizes:
    """Frame sizes at one sampling rate."""

    size: int  # samples of an analysis frame
    hop: int  # samples between two frames
    scale: int  # factor on the sizes of 44.1 and 48 kHz, 1 or more
    overlap: int = 0  # samples that synthesis frames overlap by; 0 for a hop

    @property
    def fade(self) -> int:
        """Samples over which one synthesis frame fades into the next."""
        return self.overlap or self.hop

    @property
    def lag(self) -> int:
        """Samples by which the output lags the input."""
        return self.hop + self.fade

    @property
    def bins(self) -> int:
        """Bins of a spectrum, from 0 Hz to half the rate."""
        return self.size // 2 + 1


def grid(rate: int, hop: int = 640, overlap: int = 0) -> SpectrumSizes:
    """Computes the frame sizes at a rate: for a hop of 640 the lag is 26.7 ms at 48 and 96 kHz, 29.0 ms at 44.1 kHz.

    `hop`: samples between two frames, at 48 kHz. `overlap`: samples by which synthesis frames overlap, at 48 kHz; 0 for
    a hop.
    """
    scale = max(1, round(rate / 48000))
    return SpectrumSizes(2048 * scale, hop * scale, scale, overlap * scale)


def windows(grid: SpectrumSizes) -> tuple[F32, F32]:
    """Windows whose overlapped product is 1: for analysis `[size]`, for synthesis `[lag]`."""
    fade, rise = grid.fade, grid.size - grid.fade
    up = np.sin(np.pi / 2 * (np.arange(rise) + 0.5) / rise)
    down = np.cos(np.pi / 2 * (np.arange(fade) + 0.5) / fade)
    analysis = np.concatenate([up, down])
    product = np.ones(grid.lag)
    product[:fade] = np.sin(np.pi / 2 * (np.arange(fade) + 0.5) / fade) ** 2
    product[grid.lag - fade :] *= down**2
    return analysis.astype(np.float32), (product / analysis[-grid.lag :]).astype(np.float32)


def power_unit(grid: SpectrumSizes, channels: int) -> float:
    """Factor from squared magnitude to power, such that white noise of variance 1 has power 1 in every bin.

    `grid`: frame sizes; the spectrum is that of the usual window, also in low latency.
    """
    analysis = windows(replace(grid, overlap=0))[0].astype(np.float64)
    return 1.0 / (float(np.sum(analysis**2)) * grid.scale * channels)


class SampleHistory:
    """The newest `grid.size` samples of each channel; they are moved only once in `size / hop` hops."""

    def __init__(self, grid: SpectrumSizes, channels: int) -> None:
        self._grid = grid
        turns = -(-grid.size // grid.hop)
        self._buffer: F32 = np.zeros((channels, grid.size + turns * grid.hop), np.float32)
        self._end = grid.size

    def clear(self) -> None:
        """Clears the history to silence."""
        self._buffer.fill(0.0)
        self._end = self._grid.size

    def turn(self) -> None:
        """Starts the next hop."""
        if self._end == self._buffer.shape[1]:
            overlap = self._grid.size - self._grid.hop
            self._buffer[:, :overlap] = self._buffer[:, -overlap:]
            self._end = overlap
        self._end += self._grid.hop

    def fresh(self) -> F32:
        """Writable view `[channels, hop]` of the hop being filled."""
        return self._buffer[:, self._end - self._grid.hop : self._end]

    def frame(self, length: int) -> F32:
        """View `[channels, length]` of the newest `length` samples."""
        return self._buffer[:, self._end - length : self._end]


class Spectra:
    """Forward and inverse transform of one frame of every channel, in preallocated buffers.

    `bins`: complex64 `[channels, bins]`, the newest spectrum, from which gains are estimated. `sound`: complex64
    `[channels, bins]`, the spectrum to which gains are applied: `bins` itself, or in low latency one with the short
    window. `unit`: `power_unit`.
    """

    def __init__(self, grid: SpectrumSizes, channels: int) -> None:
        self._lag = grid.lag
        self._analysis = windows(replace(grid, overlap=0))[0]
        self._short, self._synthesis = windows(grid)
        self._framed: F32 = np.empty((channels, grid.size), np.float32)
        self.bins: C64 = np.empty((channels, grid.bins), np.complex64)
        self.sound: C64 = np.empty_like(self.bins) if grid.overlap else self.bins
        self._shaped: C64 = np.empty((channels, grid.bins), np.complex64)
        self.unit = power_unit(grid, channels)

    def forward(self, frame: F32) -> None:
        """Computes `bins` and `sound`."""
        np.multiply(frame, self._analysis, out=self._framed)
        np.fft.rfft(self._framed, axis=1, out=self.bins)  # type: ignore[arg-type]  # single precision is right at run time
        if self.sound is not self.bins:
            np.multiply(frame, self._short, out=self._framed)
            np.fft.rfft(self._framed, axis=1, out=self.sound)  # type: ignore[arg-type]

    def inverse(self, gain: F32, out: F32) -> None:
        """Computes the windowed end of the frame `sound`, scaled.

        `gain`: `[bins]`, a factor for each bin. `out`: `[channels, lag]`, the result.
        """
        np.multiply(self.sound, gain, out=self._shaped)
        np.fft.irfft(self._shaped, self._framed.shape[1], axis=1, out=self._framed)  # type: ignore[arg-type]
        np.multiply(self._framed[:, -self._lag :], self._synthesis, out=out)
