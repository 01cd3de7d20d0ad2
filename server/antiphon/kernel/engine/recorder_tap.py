"""The engine's end of the recorder's tap: the last seconds of output and input, in shared memory."""

from __future__ import annotations

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.engine.shared import HeaderWord, Shared


class RecorderTap:
    """The last seconds of output and input as slots that are tagged with their block."""

    def __init__(self, shared: Shared, channels: int) -> None:
        shape = shared.shape
        self._words, self._tags, self._count = shared.words, shared.tap_tags, shape.tap
        size = (shape.tap, channels, shape.block)
        self._out = np.frombuffer(shared.part("tap_out"), np.float32).reshape(size)
        self._in = np.frombuffer(shared.part("tap_in"), np.float32).reshape(size)

    def put(self, block: int, x: Samples, out: Samples, played: bool) -> None:
        """Stores a block while a recording runs; an output that was not played is stored as silence."""
        wanted = self._words[HeaderWord.TAPPING]
        if wanted:
            slot = block % self._count
            self._tags[slot] = 0
            if played:
                self._out[slot] = out
            else:
                self._out[slot] = 0.0
            if wanted == 2:
                self._in[slot] = x
            self._tags[slot] = block + 1
        self._words[HeaderWord.TAP_WRITE] = block + 1
