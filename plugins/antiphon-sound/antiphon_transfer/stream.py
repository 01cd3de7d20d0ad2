"""The hop grid of all modes: frames of the newest samples, overlap-add, the reference, and the output level.

The output follows the input's level over seconds, with a bounded excess in each frame, and never clips.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, FileError
from antiphon.api.backends.files import read_sound
from antiphon.api.backends.signal import hann
from antiphon.api.kernels import HopPlace

C64 = NDArray[np.complex64]

OVERLAP = 4


@dataclass(frozen=True, slots=True)
class Framing:
    """Frame sizes, with a hop of a quarter frame. The output lags the input by `size`.

    `size`: samples of a frame; `rate`: samples per second.
    """

    size: int
    rate: int

    @property
    def hop(self) -> int:
        """Samples between two frames."""
        return self.size // OVERLAP

    @property
    def bins(self) -> int:
        """Bins of a spectrum."""
        return self.size // 2 + 1

    @property
    def hertz(self) -> F64:
        """`[bins]` centre frequency of each bin, Hz."""
        return np.asarray(np.arange(self.bins) * (self.rate / self.size), np.float64)


def grid(rate: int) -> Framing:
    """The framing at `rate` Hz: frames of the power of two nearest to 46 ms."""
    return Framing(2 ** max(8, round(math.log2(rate * 0.0464))), rate)


class Overlap:
    """The newest samples of every channel, and the overlap-add sum of processed frames. `place`: in the hop."""

    def __init__(self, grid: Framing, channels: int) -> None:
        self._hop, self._size = grid.hop, grid.size
        self._window = hann(grid.size)
        self._scaled: F32 = self._window / np.float32(1.5)
        self._samples: F32 = np.zeros((channels, grid.size), np.float32)
        self._sum: F32 = np.zeros((channels, grid.size), np.float32)
        self._scaled_frame: F32 = np.zeros((channels, grid.size), np.float32)
        self._framed: F32 = np.zeros((channels, grid.size), np.float32)
        self.place = HopPlace(grid.hop)
        self.hops = self._samples[:, -grid.hop :], self._sum[:, : grid.hop]  # the one that fills, the one that plays

    def clear(self) -> None:
        self._samples.fill(0.0)
        self._sum.fill(0.0)
        self.place.clear()

    def frame(self) -> F32:
        """The newest `size` samples under the window, `[channels, size]`."""
        np.multiply(self._samples, self._window, out=self._framed)
        return self._framed

    def add(self, frame: F32, limit: Callable[[F32, F32], None]) -> None:
        """Adds a processed frame `[channels, size]` to the output and starts the next hop.

        `limit` changes the first hop of the output, which is complete, by the newest input.
        """
        keep = self._size - self._hop
        self._sum[:, :keep] = self._sum[:, self._hop :]
        self._sum[:, keep:] = 0.0
        np.multiply(frame, self._scaled, out=self._scaled_frame)
        np.add(self._sum, self._scaled_frame, out=self._sum)
        limit(self._sum, self._samples)
        self._next_hop()

    def skip(self) -> None:
        """Passes the input as output and starts the next hop."""
        self._sum[:, : self._hop] = self._samples[:, : self._hop]
        self._sum[:, self._hop :] = 0.0
        self._next_hop()

    def _next_hop(self) -> None:
        keep = self._size - self._hop
        self._samples[:, :keep] = self._samples[:, self._hop :]
        self.place.begin()


MAX_SECONDS = 60.0
"""Maximum seconds of the reference; the loudest stretch of a longer one is used."""


def read(path: str, grid: Framing) -> F32:
    """Reads the reference as float32 `[channels, frames]` at the grid's rate.

    Raises FileError: it cannot be read, is shorter than a frame, or is silent.
    """
    name = Path(path).name
    samples = read_sound(path, rate=grid.rate).samples
    if samples.shape[1] < grid.size:
        raise FileError(
            f"the reference {name} is {1000.0 * samples.shape[1] / grid.rate:.3g} ms long; "
            f"give one of at least {1000.0 * grid.size / grid.rate:.0f} ms"
        )
    if float(np.abs(samples).max()) < 1e-5:
        raise FileError(f"the reference {name} is silent; give one that sounds")
    most = round(MAX_SECONDS * grid.rate)
    if samples.shape[1] > most:
        energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64).sum(axis=0))])
        first = int(np.argmax(energy[most:] - energy[:-most]))
        samples = samples[:, first : first + most]
    return np.clip(samples, -16.0, 16.0)


def frames(samples: F32, grid: Framing) -> Iterator[F32]:
    """Windowed frames `[channels, size]`, one a hop, padded with silence; each is valid until the next."""
    window = hann(grid.size)
    padded = np.pad(samples, ((0, 0), (grid.size - grid.hop, grid.size - grid.hop)))
    for at in range(0, padded.shape[1] - grid.size + 1, grid.hop):
        yield padded[:, at : at + grid.size] * window


def spectra(samples: F32, grid: Framing) -> Iterator[C64]:
    """The spectrum `[channels, bins]` of every frame."""
    for frame in frames(samples, grid):
        yield np.fft.rfft(frame, axis=1).astype(np.complex64)


SECONDS = 2.0
"""Time constant of the mean levels of input and output."""
MAX_OVER = 2.0
"""Maximum ratio of a frame's output level to the input's: 6 dB, since a resonant timbre would swell."""
MAX_GAIN = 4.0
"""Maximum gain: 12 dB. A reference with little energy in the input's range makes it softer."""
CEILING = 0.98
"""Maximum output magnitude, unless the input's is greater."""
_SILENT = 1e-12
"""Mean square below which a frame is silent."""


class LevelFollower:
    """Scales processed frames to the level of the input.

    Levels are measured under the overlap window, since a processed frame with an attack at its end also sounds before
    the attack, where the window is larger.
    """

    def __init__(self, grid: Framing, channels: int) -> None:
        self._frames = SECONDS * grid.rate / grid.hop
        self._window = hann(grid.size)
        self._windowed: F32 = np.zeros((channels, grid.size), np.float32)
        self.reset()

    def reset(self) -> None:
        self._in = self._out = 0.0
        self._count = 0

    def scale(self, frame: F32, processed: F32) -> None:
        """Scales `processed` to the windowed input `[channels, size]` in place."""
        before, after = self._power(frame), self._power(processed)
        if before < _SILENT or after < _SILENT:
            return
        self._count += 1
        part = 1.0 / min(self._count, self._frames)
        self._in += (before - self._in) * part
        self._out += (after - self._out) * part
        gain = min((self._in / self._out) ** 0.5, MAX_OVER * (before / after) ** 0.5, MAX_GAIN)
        np.multiply(processed, np.float32(gain), out=processed)

    def _power(self, frame: F32) -> float:
        """Mean square under the window."""
        np.multiply(frame, self._window, out=self._windowed)
        flat = self._windowed.reshape(-1)
        return float(np.dot(flat, flat)) / flat.size


class PeakLimiter:
    """Limits peaks to the ceiling, by a gain that falls from 1 to 0 within a hop at the fastest.

    All samples of a hop are known before their output, so that it adds no latency. The following hop still lacks its
    newest frame, so its peak is estimated from the others; the gain may jump only if the estimate was too low.
    """

    def __init__(self, grid: Framing, channels: int) -> None:
        hop = grid.hop
        self._hop = hop
        self._magnitude: F32 = np.zeros((channels, grid.size), np.float32)
        self._peak: F32 = np.zeros(2 * hop, np.float32)
        self._gain: F32 = np.zeros(2 * hop, np.float32)
        self._ramp: F32 = (np.arange(2 * hop) / hop).astype(np.float32)
        self.reset()

    def reset(self) -> None:
        self._last = 1.0

    def apply(self, output: F32, samples: F32) -> None:
        """Limits the first, complete hop of `output`, `[channels, size]`, in place.

        A peak of the input `samples`, from that time on, may pass unchanged.
        """
        hop, gain, ramp, peak = self._hop, self._gain, self._ramp, self._peak
        np.abs(samples, out=self._magnitude)
        ceiling = max(CEILING, float(self._magnitude.max()))
        np.abs(output[:, : 2 * hop], out=self._magnitude[:, : 2 * hop])
        np.max(self._magnitude[:, : 2 * hop], axis=0, out=peak)
        if self._last >= 1.0 and float(peak.max()) <= ceiling:
            return
        np.maximum(peak, ceiling, out=peak)
        np.divide(ceiling, peak, out=gain)
        # falls ahead of each peak: the least of what comes, less steep than the ramp
        np.add(gain, ramp, out=gain)
        np.minimum.accumulate(gain[::-1], out=gain[::-1])
        np.subtract(gain, ramp, out=gain)
        # rises behind it
        gain[0] = min(float(gain[0]), self._last + 1.0 / hop)
        np.subtract(gain, ramp, out=gain)
        np.minimum.accumulate(gain, out=gain)
        np.add(gain, ramp, out=gain)
        np.minimum(gain, 1.0, out=gain)
        self._last = float(gain[hop - 1])
        np.multiply(output[:, :hop], gain[:hop], out=output[:, :hop])
