"""Mixes a browser's sound, microphone or file, into the engine's input, or puts it in place of a looping file."""

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.io.tap_memory import INPUT_FRAMES, TapMemory, TapWord

TARGET_SECONDS = 0.06
"""Buffered seconds before playback starts: covers the jitter of the network and the browser's messages."""
MAX_FILL_RATIO = 4
"""Multiple of the target above which the surplus is skipped: a faster sender's clock, or a resumed sender."""


class BrowserInput:
    """Engine's end of the input in a `TapMemory`. On underrun it fades out, and rebuffers."""

    def __init__(self, memory: TapMemory) -> None:
        shape = memory.shape
        self._words, self._block = memory.words, shape.block
        self._ring = np.frombuffer(memory.input, np.float32).reshape(shape.channels, INPUT_FRAMES)
        self._mixed = np.zeros((shape.channels, shape.block), np.float32)
        self._up = np.arange(1, shape.block + 1, dtype=np.float32) / np.float32(shape.block)
        self._down = np.ascontiguousarray(self._up[::-1])
        self._target = max(2 * shape.block, round(TARGET_SECONDS * shape.rate))
        self._filling, self._begins = True, False

    @property
    def rests(self) -> bool:
        """True while no browser sends, or the buffer is still filling."""
        return self._filling

    def add(self, x: Samples) -> Samples:
        """`x` plus the browser's sound, float32 `[channels, block]`, valid until the next call.

        It is `x` itself while no browser sends, or the buffer is filling.
        """
        sound = self._taken()
        if sound is None:
            return x
        sound += x
        return sound

    def replace(self, x: Samples) -> Samples:
        """The browser's sound in place of `x`, a file that stands in for a microphone; else as `add`.

        Where it begins and ends, `x` is faded in place and added.
        """
        sound = self._taken()
        if sound is None:
            return x
        if self._begins or self._filling:
            x *= self._up if self._filling else self._down
            sound += x
        return sound

    def _taken(self) -> Samples | None:
        words, block = self._words, self._block
        if not words[TapWord.INPUT_OPEN]:
            self._filling = True
            return None
        end, at = words[TapWord.INPUT_WRITE], words[TapWord.INPUT_READ]
        begins = self._filling
        if begins:
            if end - at < self._target:
                return None
            self._filling = False
            at = end - self._target
        elif end - at > MAX_FILL_RATIO * self._target:
            at = end - self._target
            words[TapWord.INPUT_GAPS] += 1
            begins = True
        sound = self._mixed
        start = at % INPUT_FRAMES
        first = min(block, INPUT_FRAMES - start)
        sound[:, :first] = self._ring[:, start : start + first]
        if first < block:
            sound[:, first:] = self._ring[:, : block - first]
        if begins:
            sound *= self._up
        if end - at < 2 * block:  # the last whole block
            sound *= self._down
            self._filling = True
            words[TapWord.INPUT_GAPS] += 1
        words[TapWord.INPUT_READ] = at + block
        self._begins = begins
        return sound
