"""When control does things: a turn while packets wait, sixty ticks a second, and at the time of what is dated.

Whatever raises here costs the piece of work it was raised in: the next one is done all the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from antiphon.control import status as figures

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

TICK = 1 / 60
CARE = 30
"""Ticks between two looks at connections, leases and plans."""


class Turns:
    """running: between the app's start and its stop."""

    def __init__(self, app: ControlApp) -> None:
        self._app = app
        self.running = False
        self._turning = False
        self._ticks = 0

    def wake(self) -> None:
        """Packets wait: they are handled now, or in the turn that is coming already."""
        if not self._turning:
            self._turn()

    def _turn(self) -> None:
        app = self._app
        try:
            if self.running:
                app.faults.attempt("a message", app.intake.turn)
                app.finish()
                app.faults.attempt("the UDP socket", app.udp.drain)
                app.faults.attempt("the TCP connections", app.tcp.resume)
        finally:
            self._turning = app.intake.busy and self.running
            if self._turning:
                asyncio.get_running_loop().call_soon(self._turn)

    def end_soon(self) -> None:
        """Something was done outside a turn: what it changed is kept and answered when the loop is free."""
        if self.running:
            asyncio.get_running_loop().call_soon(self._app.finish)

    def at(self, sample: int) -> None:
        """Looks for what is due when that sample's time has come."""
        app = self._app
        delay = (sample - app.moment().sample) / app.session.rate
        asyncio.get_running_loop().call_later(max(0.0, delay) + 0.0005, self._due)

    def _due(self) -> None:
        app = self._app
        if self.running:
            app.faults.attempt("what was scheduled", app.catch_up)
            app.faults.attempt("a dated message", lambda: app.intake.due(app.moment()))
            app.finish()

    async def tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._app.faults.attempt("a tick", self.tick)

    def tick(self) -> None:
        """Sixty times a second: what has come due, meters, and now and then the dead."""
        app, attempt = self._app, self._app.faults.attempt
        app.link.note_turn()
        self._ticks += 1
        attempt("the wall clock", app.wallclock.update)
        self._due()
        attempt("the notes that nodes play", app.notes_out.follow)
        attempt("the engine's reports", app.reports.read)
        if app.surfaces and self._ticks % 2 == 0:
            attempt("the meters", lambda: app.feedback.meters(app.reports.meters()))
        if self._ticks % CARE == 0:
            attempt("a connection", app.tcp.sweep)
            attempt("a subscription", app.subscribers.expire)
            attempt("a plan", app.plans.look_after)
            attempt("the counters", lambda: figures.keep(app.folder.counters, app.counts()))
        app.finish()
