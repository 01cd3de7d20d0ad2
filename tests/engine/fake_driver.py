"""A clock of a test's own for the engine's loop, and the engine's side of a device's callback without a clock."""

import numpy as np
from tests.local import RATE

from antiphon.kernel.engine.callback import CallbackState, give
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.native.kernel import sound

BLOCK = 256
PATIENT = 1 << 38
"""Blocks of a buffer that is never late."""


class FakeDriver(Headless):
    """A clock that says it is a fake: the next block each time it is asked, whose first is number `first`."""

    name = "fake"

    def __init__(self, first: int = 0) -> None:
        super().__init__(DriverOptions(RATE, BLOCK, 2, buffer_blocks=PATIENT))
        self.latency = 0
        self.start(first, 1)

    @property
    def next(self) -> int:
        return self._pace[PaceWord.NEXT]

    def play(self, *, plays: bool = True) -> None:
        """Whether the block under way is played, and the next ones wait for it."""
        self._pace[PaceWord.BUFFER] = PATIENT if plays else 0


def give_block(state: CallbackState, block: int, samples: np.ndarray) -> None:
    """Publishes the output of block number `block`: the device's channels of float32 `[channels, block]`."""
    x, stride, channels, _ = sound(samples)
    give.call(state.address, block, x, stride, state.rows_at, min(channels, state.rows.size))
