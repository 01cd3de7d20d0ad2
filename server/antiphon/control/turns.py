"""When control does things: a turn while packets wait, sixty ticks a second, and at the time of what is dated.

Whatever raises here costs the piece of work it was raised in: the next one is done all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.control.engine_clock import EngineClock
from antiphon.control.faults import ControlFaults
from antiphon.control.osc.feedback import Feedback
from antiphon.control.osc.outbox import Outbox
from antiphon.control.replies import Replies
from antiphon.control.saver import StateSaver

TICK = 1 / 60
"""Seconds."""
METERS = 2
"""Ticks between two readings of the meters."""
SLOW = 30
"""Ticks between two looks at connections, leases and plans."""
RING_RETRY = 0.002
"""Seconds until the engine's ring, which was full, is tried again."""
_MARGIN = 0.0005
"""Seconds behind a sample's time, so that it has come when it is looked for."""

Steps = tuple[tuple[str, Callable[[], object]], ...]
"""Pieces of work, each with its name for people: what one raises is logged under it."""


@dataclass(frozen=True, slots=True)
class TurnSteps:
    """What is done when.

    busy: whether packets wait.  turn: handles packets.  refill: behind each turn, takes in what waits outside.
    due: at a time that was asked for, and each tick.  begin, tick: sixty times a second, before what is due and
    behind it.  meters: every `METERS` ticks.  slow: every `SLOW` ticks.
    """

    busy: Callable[[], bool]
    turn: Steps
    refill: Steps
    begin: Steps
    due: Steps
    tick: Steps
    meters: Steps
    slow: Steps


class Turns:
    """running: between `start` and `stop`."""

    def __init__(
        self, faults: ControlFaults, clock: EngineClock, outbox: Outbox, saver: StateSaver, replies: Replies,
        feedback: Feedback, rate: int,
    ) -> None:  # fmt: skip
        """rate: samples a second of `clock`."""
        self._faults, self._clock, self._rate = faults, clock, rate
        self._outbox, self._saver, self._replies, self._feedback = outbox, saver, replies, feedback
        self._steps: TurnSteps | None = None
        self.running = False
        self._turning = False
        self._ticks = 0

    def start(self, steps: TurnSteps) -> None:
        """From now on a turn does these steps."""
        self._steps = steps
        self.running = True

    def stop(self) -> None:
        self.running = False

    def wake(self) -> None:
        """Packets wait: they are handled now, or in the turn that is coming already."""
        if not self._turning:
            self._turn()

    def _turn(self) -> None:
        steps = self._steps
        if steps is None:
            return
        try:
            if self.running:
                self._do(steps.turn)
                self.finish()
                self._do(steps.refill)
        finally:
            self._turning = steps.busy() and self.running
            if self._turning:
                asyncio.get_running_loop().call_soon(self._turn)

    def finish(self) -> None:
        """The end of a turn: what changed is saved, then the answers go out. Nothing is raised."""
        attempt = self._faults.attempt
        attempt("a command to the engine", self._outbox.flush)
        if self._outbox.waiting and self.running:
            asyncio.get_running_loop().call_later(RING_RETRY, self._outbox.flush)
        attempt("the state", self._saver.flush)
        self._replies.send()
        if self._feedback.due:
            attempt("feedback", self._feedback.flush)

    def end_soon(self) -> None:
        """Something was done outside a turn: what it changed is saved and answered when the loop is free."""
        if self.running:
            asyncio.get_running_loop().call_soon(self.finish)

    def at(self, sample: int) -> None:
        """Looks for what is due when that sample's time has come."""
        delay = (sample - self._clock.moment().sample) / self._rate
        asyncio.get_running_loop().call_later(max(0.0, delay) + _MARGIN, self._due)

    def _due(self) -> None:
        if self.running and self._steps is not None:
            self._do(self._steps.due)
            self.finish()

    async def tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._faults.attempt("a tick", self.tick)

    def tick(self) -> None:
        """Does what has come due, what belongs to every tick and, more rarely, the rest."""
        steps = self._steps
        if steps is None:
            return
        self._ticks += 1
        self._do(steps.begin)
        self._due()
        self._do(steps.tick)
        if self._ticks % METERS == 0:
            self._do(steps.meters)
        if self._ticks % SLOW == 0:
            self._do(steps.slow)
        self.finish()

    def _do(self, steps: Steps) -> None:
        for what, work in steps:
            self._faults.attempt(what, work)
