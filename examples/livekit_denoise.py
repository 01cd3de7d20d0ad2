"""A LiveKit filter that removes noise from a participant's microphone.

options = room_io.AudioInputOptions(noise_cancellation=Denoise())
"""

from typing import Any

import numpy as np
from livekit import rtc

import antiphon


class Denoise(rtc.FrameProcessor[rtc.AudioFrame]):
    """Removes noise from audio frames, with a delay of a few milliseconds.

    LiveKit calls it from one thread per track. While `enabled` is False, frames pass unchanged.
    """

    def __init__(self, **values: Any) -> None:
        self._values = {"latency": "low", **values}
        self._chain: antiphon.Chain | None = None
        self._enabled = True

    @property
    def enabled(self) -> bool:
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = value

    def _process(self, frame: Any) -> Any:
        if not self._enabled:
            return frame
        rate, channels = frame.sample_rate, frame.num_channels
        if self._chain is None or (self._chain.rate, self._chain.channels) != (rate, channels):
            self._close()
            self._chain = antiphon.Chain(("denoise", self._values), rate=rate, channels=channels)
        x = np.frombuffer(frame.data, np.int16).reshape(-1, channels).T / np.float32(32768.0)
        y = np.clip(32768.0 * self._chain.process(x), -32768.0, 32767.0)
        return rtc.AudioFrame(y.T.astype(np.int16).tobytes(), rate, channels, frame.samples_per_channel)

    def _close(self) -> None:
        if self._chain is not None:
            self._chain.close()
            self._chain = None
