"""A clock of a test's own for the engine's loop, and the engine's side of a device's callback without a clock."""

import numpy as np
from tests.local import RATE

from antiphon.kernel.engine.callback import CallbackState, give
from antiphon.kernel.engine.drivers.base import pace_words
from antiphon.native.kernel import sound

BLOCK = 256


class FakeDriver:
    """A clock that says it is a fake: the next block each time it is asked.

    given: the blocks it was delivered.  late: numbers of those that it does not play.  first: the number of its first
    block.
    """

    name, rate, block, channels, latency, ring = "fake", RATE, BLOCK, 2, 0, 0
    device, bell, device_rate, device_block = 0, -1, RATE, BLOCK

    def __init__(self, first: int = 0) -> None:
        self.next, self.pace = first - 1, pace_words(BLOCK, RATE)
        self.given: list[np.ndarray] = []
        self.late: set[int] = set()

    def wait(self) -> int:
        self.next += 1
        return self.next

    def deliver(self, block: int, samples: np.ndarray) -> bool:
        self.given.append(samples.copy())
        return block not in self.late

    def time_of(self, block: int) -> int:
        return 1 + block * BLOCK * 10**9 // RATE

    def deadline(self, block: int) -> int:
        return self.time_of(block)

    def counts(self) -> tuple[int, int, int]:
        return 0, 0, 0


def give_block(state: CallbackState, block: int, samples: np.ndarray) -> None:
    """Publishes the output of block number `block`: the device's channels of float32 `[channels, block]`."""
    x, stride, channels, _ = sound(samples)
    give.call(state.address, block, x, stride, state.rows_at, min(channels, state.rows.size))
