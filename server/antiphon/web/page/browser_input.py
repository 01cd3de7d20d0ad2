"""Browser sound input: one WebSocket, forwarded to the engine's input.

A message is a 32-bit count of channels, little-endian, and interleaved float32 samples at the server's rate. Mono goes
to all channels. Samples beyond the ring's space are dropped and counted.
"""

import math

from antiphon.kernel.io.tap_memory import INPUT_FRAMES, TapMemory, TapWord
from antiphon.web.protocol.websocket import WebSocket

HEAD_BYTES = 4
CHANNELS = 2
"""Maximum channels of a message."""
BUSY = 4009
"""WebSocket close status of a second browser."""


class BrowserSound:
    """Web's end of the input. One browser sends at a time."""

    def __init__(self, memory: TapMemory) -> None:
        self._words, self._shape = memory.words, memory.shape
        samples = memory.input.cast("f")
        self._rings = [samples[c * INPUT_FRAMES : (c + 1) * INPUT_FRAMES] for c in range(memory.shape.channels)]
        self.dropped = 0
        self._taken = False
        self._words[TapWord.INPUT_OPEN] = 0  # of a web process before this one

    @property
    def gaps(self) -> int:
        """Number of underruns and skips in the engine."""
        return self._words[TapWord.INPUT_GAPS]

    async def serve(self, socket: WebSocket) -> None:
        """Receives one browser's sound until it disconnects."""
        if self._taken:
            reason = "another browser sends sound already; stop it there first"
            socket.close(BUSY, reason)
            return
        self._taken = True
        try:
            while (message := await socket.receive()) is not None:
                if isinstance(message, str) or not self.put(message):
                    self.dropped += 1
        finally:
            self._taken = False
            self._words[TapWord.INPUT_OPEN] = 0

    def put(self, data: bytes) -> bool:
        """Writes a message into the ring; returns False if it is invalid, or the ring is full."""
        channels = int.from_bytes(data[:HEAD_BYTES], "little")
        size = len(data) - HEAD_BYTES
        if not 1 <= channels <= CHANNELS or size <= 0 or size % (4 * channels):
            return False
        samples = memoryview(data)[HEAD_BYTES:].cast("f")
        if not math.isfinite(sum(samples)):
            return False
        words, frames = self._words, size // (4 * channels)
        at = words[TapWord.INPUT_WRITE]
        if at + frames - words[TapWord.INPUT_READ] > INPUT_FRAMES // 2:
            if words[TapWord.INPUT_OPEN]:
                return False
            # discards an earlier browser's rest; the engine does not read before this one is open
            words[TapWord.INPUT_READ] = at
        start = at % INPUT_FRAMES
        first = min(frames, INPUT_FRAMES - start)
        for channel, ring in enumerate(self._rings):
            if channels > 1 and channel >= channels:
                break
            own = samples[channel % channels :: channels]
            ring[start : start + first] = own[:first]
            if first < frames:
                ring[: frames - first] = own[first:]
        words[TapWord.INPUT_WRITE] = at + frames
        words[TapWord.INPUT_OPEN] = 1
        return True
