"""Base of the JACK and PortAudio drivers: the engine's side of the native callback."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.engine.callback import DEPTH, CallbackState, CallbackWord, give
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord, pace_words
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.platform import hear
from antiphon.native.compiling import kernel
from antiphon.native.intrinsics import load_acquire
from antiphon.native.kernel import f32p, i64, i64p, sound

STALL_SECONDS = 3.0
"""A device that has not asked for a block for this long counts as lost."""
LOOK_MS = 250
"""Milliseconds of one wait for the device."""
_DRAIN_SECONDS = 0.5


def least_blocks_ahead(options: DriverOptions, rate: int, block: int, at: int = 0) -> int:
    """Least blocks from input to output for calls of `block` frames at a rate, the first from frame `at` of a block.

    It is the number of blocks that a call begins, plus the block in progress where calls do not end with blocks.
    """
    whole = options.rate == rate and not at and 0 in (block % options.block, options.block % block)
    return math.ceil(block * options.rate / (rate * options.block)) + (not whole)


def device_state(options: DriverOptions, ins: int, outs: int, rate: int, block: int) -> CallbackState:
    """State of a device of `ins` and `outs` channels, run at its own `rate` in blocks of `block` frames.

    Raises EngineError: it asks for more frames than there are slots for.
    """
    burst = math.ceil(block * options.rate / (rate * options.block))
    ahead = options.blocks_ahead(options.block, options.rate) + least_blocks_ahead(options, rate, block) - 1
    if ahead > DEPTH - 3:
        raise EngineError(
            f"the device asks for {block} frames at once, which is more than this server's blocks of {options.block} "
            f"carry, {(DEPTH - 3 - ahead + burst) * options.block}: use a smaller block, or serve with a larger --block"
        )
    return CallbackState(options.block, ins, outs, ahead, (options.rate, rate), burst)


@kernel
def deliver_block(pace: i64p, s: i64p, block: i64, x: f32p, stride: i64, rows: i64p, count: i64) -> i64:
    """Delivers a block to the device: 1 if it is in time to be played, else 0.

    `pace`, `s`: `PaceWord` and `CallbackWord`; the other arguments are those of `give`.
    """
    at = block - pace[PaceWord.FIRST]
    behind = load_acquire(s, CallbackWord.CALLS) - at
    if behind > s[CallbackWord.BURST]:
        pace[PaceWord.LATE] = pace[PaceWord.LATE] + 1
    give(s, at, x, stride, rows, count)
    pace[PaceWord.DELIVERED] = at
    return 1 if behind <= s[CallbackWord.AHEAD] else 0


class CallbackDriver:
    """Driver over a `CallbackState`; undocumented methods are as in `Driver`. Subclasses open the device."""

    name = "device"

    def __init__(self, state: CallbackState, rate: int, block: int, channels: int, ahead: int) -> None:
        self.state = state
        self.rate, self.block, self.channels = rate, block, channels
        self.ahead = ahead  # blocks between a block's input and its output
        self.ring = ahead * block
        self.latency = 0
        self.device_rate, self.device_block = rate, block
        self.device, self.bell = state.address, state.bell
        self.pace = pace_words(block, rate)
        self._pace_at = self.pace.ctypes.data
        self._pace = memoryview(self.pace)  # type: ignore[arg-type]
        self._pace[PaceWord.DELIVERED] = -ahead - 1
        self._poll = select.poll()
        self._poll.register(state.bell, select.POLLIN)
        self.on_idle: Callable[[], bool] = lambda: True

    def start(self, first: int, origin_ns: int) -> None:
        call = self.state.calls
        self._pace[PaceWord.NEXT], self._pace[PaceWord.FIRST] = call, first - call
        # the callback counts no misses before this block
        self.state.view[CallbackWord.PRIMED] = call + 1

    def wait(self) -> int:
        """Blocks until the next input is there, and returns its block's number; -1 on a timeout."""
        pace = self._pace
        if self._gone:
            return -1
        while self.state.calls <= pace[PaceWord.NEXT]:
            if not self._poll.poll(LOOK_MS):
                pace[PaceWord.SILENT_MS] += LOOK_MS
                if pace[PaceWord.SILENT_MS] >= STALL_SECONDS * 1000 or not self.on_idle():
                    self._give_up()
                return -1
            hear(self.state.bell)
            if self._gone:
                return -1
        pace[PaceWord.SILENT_MS] = 0
        # block j is played by call j + ahead: older blocks would be dropped
        call = max(pace[PaceWord.NEXT], self.state.calls - self.ahead)
        pace[PaceWord.NEXT] = call + 1
        return pace[PaceWord.FIRST] + call

    def input(self, block: int) -> Samples:
        """The input of block number `block`, float32 `[channels, frames]`, mono where the device has one channel."""
        x: Samples = self.state.inputs[(block - self._pace[PaceWord.FIRST]) % DEPTH]
        return x

    def deliver(self, block: int, samples: Samples) -> bool:
        state, (x, stride, channels, _) = self.state, sound(samples)
        count = min(channels, state.rows.size)
        return bool(deliver_block.call(self._pace_at, state.address, block, x, stride, state.rows_at, count))

    def time_of(self, block: int) -> int:
        return self.state.time_of(block - self._pace[PaceWord.FIRST])

    def deadline(self, block: int) -> int:
        return self.time_of(block) + self.ahead * self.block * 1_000_000_000 // self.rate

    def counts(self) -> tuple[int, int, int]:
        return self.state.view[CallbackWord.MISSED], self._pace[PaceWord.LATE], self.state.view[CallbackWord.XRUNS]

    @property
    def _gone(self) -> bool:
        return bool(self._pace[PaceWord.GONE])

    def _give_up(self) -> None:
        """Ends the loop's wait for this device with the next block; from any thread."""
        self._pace[PaceWord.GONE] = 1

    def alive(self) -> bool:
        return not self._gone

    def drain(self) -> None:
        """Waits until the device has played the last delivered block, 1 s at most; before it is closed."""
        # block j is copied in call j + ahead
        last_call = self._pace[PaceWord.DELIVERED] + self.ahead + 1
        until = time.monotonic() + _DRAIN_SECONDS
        while not self._gone and self.state.calls < last_call and (left := until - time.monotonic()) > 0.0:
            if self._poll.poll(left * 1000):
                hear(self.state.bell)
        if not self._gone:
            time.sleep(min(_DRAIN_SECONDS, self.latency / self.rate))

    def stop(self) -> None:
        self.state.close()
