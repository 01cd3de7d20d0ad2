"""Software clock, sample n due at origin + n / rate: late after a period, missed after `buffer_blocks`."""

import time

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord, pace_words
from antiphon.kernel.runtime.platform import exact_timers


class Headless:
    """A driver without a device. Its input is silence, which the engine may replace by a file."""

    name = "headless"
    device, bell = 0, -1

    def __init__(self, options: DriverOptions) -> None:
        self.rate, self.block, self.channels = options.rate, options.block, options.channels
        self.device_rate, self.device_block = self.rate, self.block
        self._buffer = max(options.buffer_blocks, options.blocks_ahead(options.block, options.rate))
        self.latency, self.ring = self._buffer * self.block, 0
        self._silence = np.zeros((self.channels, self.block), np.float32)
        self.pace = pace_words()
        self._pace = memoryview(self.pace)  # type: ignore[arg-type]
        self._pace[PaceWord.BUFFER] = self._buffer

    def start(self, first: int, origin_ns: int) -> None:
        exact_timers()  # of the thread that waits
        self._pace[PaceWord.NEXT], self._pace[PaceWord.ORIGIN] = first, origin_ns

    def _due(self, block: int) -> int:
        return self._pace[PaceWord.ORIGIN] + block * self.block * 1_000_000_000 // self.rate

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

    def input(self, block: int) -> Samples:
        return self._silence

    def deliver(self, block: int, samples: Samples) -> bool:
        now = time.monotonic_ns()
        if now > self._due(block + 1):
            self._pace[PaceWord.LATE] += 1
            if now > self._due(block + self._buffer):
                self._pace[PaceWord.MISSED] += 1
                return False
        return True

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
