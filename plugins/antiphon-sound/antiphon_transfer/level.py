"""Output level control: tracks the input's level over seconds, bounds each frame's excess, and never clips."""

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.signal import hann
from antiphon_transfer.stream import Framing

SECONDS = 2.0
"""Time constant of the mean levels of input and output."""
MAX_OVER = 2.0
"""Maximum ratio of a frame's output level to the input's: 6 dB, since a resonant timbre swells otherwise."""
MAX_GAIN = 4.0
"""Maximum gain: 12 dB. A reference with little energy where the input sounds leaves it softer."""
CEILING = 0.98
"""Maximum output magnitude, unless the input's is greater."""
_SILENT = 1e-12
"""Mean square below which a frame is silent."""


class LevelFollower:
    """Scales processed frames so that their level is the input's.

    Levels are those of frames under the window by which they are overlapped: a processed frame of an attack at its end
    sounds before it too, where the window is larger.
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
    """Limits peaks to the ceiling, by a gain that falls from 1 to 0 in a hop at the fastest.

    The samples of a hop are all known before they leave, so that it adds no latency. Of the hop behind them the newest
    frame is missing: its peak is estimated from the others, and only where that was too low the gain may jump.
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

        A peak of the input `samples` of that time and after may come out as it is.
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
