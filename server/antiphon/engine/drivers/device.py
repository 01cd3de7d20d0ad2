"""What JACK and PortAudio have in common: a native callback that counts blocks and rings a bell."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

from antiphon.contract.block import Samples
from antiphon.engine.callback import DEPTH, CallbackState, Slot

STALL_SECONDS = 3.0
"""A device that has not asked for so long is gone."""
_LOOK_SECONDS = 0.25
_DRAIN_SECONDS = 0.5


class CallbackDriver:
    """The loop's side of a `CallbackState`. Subclasses open and close the device."""

    name = "device"
    exact = False

    def __init__(self, state: CallbackState, rate: int, block: int, channels: int, ahead: int) -> None:
        self.state = state
        self.rate, self.block, self.channels = rate, block, channels
        self.ahead = ahead
        self.ring = ahead * block
        self.latency = 0
        self._first = 0
        self._next = 0
        self._late = 0
        self._given = -ahead - 1
        self._gone = False
        self._silent = 0.0
        self._poll = select.poll()
        self._poll.register(state.bell, select.POLLIN)
        self.on_idle: Callable[[], bool] = lambda: True

    def start(self, first: int, origin_ns: int) -> None:
        self._next = self.state.calls
        self._first = first - self._next
        # blocks before this one are nobody's miss
        self.state.view[Slot.PRIMED] = self._next + 1

    def wait(self) -> int:
        """Until a callback has brought the next input; -1 when the device has stopped asking."""
        while self.state.calls <= self._next:
            if self._gone:
                return -1
            if not self._poll.poll(_LOOK_SECONDS * 1000):
                self._silent += _LOOK_SECONDS
                self._gone = self._silent >= STALL_SECONDS or not self.on_idle()
                return -1
            os.eventfd_read(self.state.bell)
        self._silent = 0.0
        # block j is heard at call j + ahead: what is older than that would be dropped
        self._next = max(self._next, self.state.calls - self.ahead)
        block = self._next
        self._next += 1
        return self._first + block

    def input(self, block: int) -> Samples:
        x: Samples = self.state.inputs[(block - self._first) % DEPTH]
        return x

    def deliver(self, block: int, samples: Samples) -> bool:
        at = block - self._first
        behind = self.state.calls - at
        if behind > 1:
            self._late += 1
        self.state.give(at, samples)
        self._given = at
        return behind <= self.ahead

    def time_of(self, block: int) -> int:
        return self.state.time_of(block - self._first)

    def deadline(self, block: int) -> int:
        return self.time_of(block) + self.ahead * self.block * 1_000_000_000 // self.rate

    def counts(self) -> tuple[int, int, int]:
        return self.state.view[Slot.MISSED], self._late, self.state.view[Slot.XRUNS]

    def alive(self) -> bool:
        return not self._gone

    def drain(self) -> None:
        """Before the device is closed: until it has played the last block it was given, 1 s at most."""
        # block j is copied in call j + ahead
        owed = self._given + self.ahead + 1
        until = time.monotonic() + _DRAIN_SECONDS
        while not self._gone and self.state.calls < owed and (left := until - time.monotonic()) > 0.0:
            if self._poll.poll(left * 1000):
                os.eventfd_read(self.state.bell)
        if not self._gone:
            time.sleep(min(_DRAIN_SECONDS, self.latency / self.rate))

    def stop(self) -> None:
        self.state.close()
