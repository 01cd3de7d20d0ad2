"""Software clock, sample n due at origin + n / rate: late after a period, missed after `buffer_blocks`."""

from __future__ import annotations

import time

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord, pace_words
from antiphon.kernel.runtime.platform import exact_timers
from antiphon.native.compiling import kernel
from antiphon.native.kernel import i64, i64p

SECOND = 1_000_000_000


@kernel
def due_ns(pace: i64p, block: i64) -> i64:
    """CLOCK_MONOTONIC at which a block of a software clock is due, ns. `pace`: `PaceWord`."""
    frames = block * pace[PaceWord.FRAMES]
    rate = pace[PaceWord.RATE]
    # the product of a sample and a second leaves 64 bits after two days
    return i64(pace[PaceWord.ORIGIN] + frames // rate * SECOND + frames % rate * SECOND // rate)


@kernel
def is_played(pace: i64p, block: i64, now: i64) -> i64:
    """1 if the virtual device still plays a block delivered `now`, else 0; counts a late one. `pace`: `PaceWord`."""
    if now > due_ns(pace, block + 1):
        pace[PaceWord.LATE] = pace[PaceWord.LATE] + 1
        if now > due_ns(pace, block + pace[PaceWord.BUFFER]):
            pace[PaceWord.MISSED] = pace[PaceWord.MISSED] + 1
            return 0
    return 1


class Headless:
    """A driver without a device. Its input is silence, which the engine may replace by a file."""

    name = "headless"
    device, bell = 0, -1

    def __init__(self, options: DriverOptions) -> None:
        self.rate, self.block, self.channels = options.rate, options.block, options.channels
        self.device_rate, self.device_block = self.rate, self.block
        self._buffer = max(options.buffer_blocks, options.blocks_ahead(options.block, options.rate))
        self.latency, self.ring = self._buffer * self.block, 0
        self.pace = pace_words(self.block, self.rate)
        self._at = self.pace.ctypes.data
        self._pace = memoryview(self.pace)  # type: ignore[arg-type]
        self._pace[PaceWord.BUFFER] = self._buffer

    def start(self, first: int, origin_ns: int) -> None:
        exact_timers()  # of the thread that waits
        self._pace[PaceWord.NEXT], self._pace[PaceWord.ORIGIN] = first, origin_ns

    def _due(self, block: int) -> int:
        return due_ns.call(self._at, block)

    def wait(self) -> int:
        block = expected = self._pace[PaceWord.NEXT]
        due = self._due(block)
        now = time.monotonic_ns()
        if now < due:
            time.sleep((due - now) / 1e9)
        elif now > self._due(block + self._buffer):
            # blocks that cannot be in time are skipped in one step, to continue at the present sample
            block = max(block, (now - self._pace[PaceWord.ORIGIN]) * self.rate // (1_000_000_000 * self.block))
            self._pace[PaceWord.MISSED] += block - expected
        self._pace[PaceWord.NEXT] = block + 1
        return block

    def deliver(self, block: int, samples: Samples) -> bool:
        return bool(is_played.call(self._at, block, time.monotonic_ns()))

    def time_of(self, block: int) -> int:
        return self._due(block)

    def deadline(self, block: int) -> int:
        return self._due(block + max(1, self._buffer * 3 // 4))

    def counts(self) -> tuple[int, int, int]:
        return self._pace[PaceWord.MISSED], self._pace[PaceWord.LATE], 0

    def alive(self) -> bool:
        return True

    def stop(self) -> None:
        pass
