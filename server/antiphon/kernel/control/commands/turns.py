"""Turns and ticks: control's steps on the event loop, and what ends each of them."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from antiphon.kernel.control.commands.executor import CommandParts
from antiphon.kernel.io.osc_peer import Rotation

TICK = 1 / 60
"""Seconds between two ticks."""
METERS = 2
"""Ticks between two readings of the meters."""
SLOW = 30
"""Ticks between two checks of connections, subscriptions and plans."""
RING_RETRY = 0.002
"""Seconds before a full command ring of the engine is retried."""
_MARGIN = 0.0005
"""Seconds added to a timer, so that the sample is due when it fires."""

Steps = tuple[tuple[str, Callable[[], object]], ...]
"""Functions with the names under which their exceptions are logged."""


@dataclass(frozen=True, slots=True)
class TurnSteps:
    """The steps of turns and ticks."""

    waiting: Rotation  # the lanes with packets
    turn: Steps
    refill: Steps
    paused: Collection[object]  # connections that are read no further until `resume`
    resume: Steps
    begin: Steps  # at the beginning of each tick, before `due`
    due: Steps  # at the time that `Turns.at` was given, and in each tick
    tick: Steps  # in each tick, after `due`
    meters: Steps  # every `METERS` ticks
    slow: Steps  # every `SLOW` ticks


class Turns:
    """Runs control's steps on the event loop. `running`: True between `start` and `stop`."""

    def __init__(self, parts: CommandParts) -> None:
        """Sets up the turns; none runs before `start`."""
        self._faults, self._clock, self._rate = parts.faults, parts.clock, parts.session.rate
        self._outbox, self._saver, self._replies, self._feedback = (
            parts.outbox, parts.saver, parts.replies, parts.feedback
        )  # fmt: skip
        self._steps: TurnSteps | None = None
        self.running = False
        self._turning = False
        self._ticks = 0

    def start(self, steps: TurnSteps) -> None:
        """Starts running these steps."""
        self._steps = steps
        self.running = True

    def stop(self) -> None:
        """Stops running turns; a `tick_for_ever` task is its owner's to cancel."""
        self.running = False

    def wake(self) -> None:
        """Handles waiting packets now, unless a turn is scheduled already."""
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
                if steps.paused:
                    self._do(steps.resume)
        finally:
            self._turning = bool(steps.waiting) and self.running
            if self._turning:
                asyncio.get_running_loop().call_soon(self._turn)

    def finish(self) -> None:
        """Ends a turn: flushes commands, saves the state, then sends answers and feedback. Raises nothing."""
        self._do((("a command to the engine", self._outbox.flush),))
        if self._outbox.waiting and self.running:
            asyncio.get_running_loop().call_later(RING_RETRY, self._outbox.flush)
        if self._saver.changed:
            self._do((("the state", self._saver.flush),))
        if self._replies.packets:
            self._replies.send()
        if (self._feedback.surfaces.by_key or self._feedback.listeners) and self._feedback.is_due:
            self._do((("feedback", self._feedback.flush),))

    def schedule_finish(self) -> None:
        """Schedules `finish`, for work that was done outside a turn."""
        if self.running:
            asyncio.get_running_loop().call_soon(self.finish)

    def run_due_at(self, sample: int) -> None:
        """Runs the `due` steps once the engine's clock has passed `sample`."""
        delay = (sample - self._clock.moment().sample) / self._rate
        asyncio.get_running_loop().call_later(max(0.0, delay) + _MARGIN, self._due)

    def _due(self) -> None:
        if self.running and self._steps is not None:
            self._do(self._steps.due)
            self.finish()

    async def tick_for_ever(self) -> None:
        """Ticks every `TICK` seconds until it is cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self._do((("a tick", self.tick),))

    def tick(self) -> None:
        """Runs one tick, with the meter and slow steps at their intervals."""
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
