"""A Pipecat frame processor that removes noise from a caller's speech.

pipeline = Pipeline([transport.input(), Denoise(), stt, llm, tts, transport.output()])
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessor

import antiphon


class Denoise(FrameProcessor):
    """Removes noise from audio frames, with a delay of a few milliseconds; other frames pass unchanged and in order.

    The first frame sets rate and channels. The chain runs in one thread of its own, so the event loop is not blocked.
    """

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self._values = {"latency": "low", **values}
        self._chain: antiphon.Chain | None = None
        self._thread = ThreadPoolExecutor(1, "denoise")

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            frame.audio = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._clean, frame.audio, frame.sample_rate, frame.num_channels
            )
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        await super().cleanup()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _clean(self, audio: bytes, rate: int, channels: int) -> bytes:
        if self._chain is None or (self._chain.rate, self._chain.channels) != (rate, channels):
            self._close()
            self._chain = antiphon.Chain(("denoise", self._values), rate=rate, channels=channels)
        x = np.frombuffer(audio, np.int16).reshape(-1, channels).T / np.float32(32768.0)
        y = np.clip(32768.0 * self._chain.process(x), -32768.0, 32767.0)
        return y.T.astype(np.int16).tobytes()

    def _close(self) -> None:
        if self._chain is not None:
            self._chain.close()
            self._chain = None
