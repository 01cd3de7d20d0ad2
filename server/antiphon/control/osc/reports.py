"""What the engine says, turned into answers, events and values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Protocol

from antiphon.control.executor import CommandExecutor
from antiphon.control.faults import ControlFaults
from antiphon.control.osc.feedback import LATE_SECONDS, Feedback
from antiphon.control.osc.notes_out import NotesOut
from antiphon.control.osc.syncs import Syncs
from antiphon.control.plans import Plans
from antiphon.control.server_events import ServerEvents
from antiphon.control.turns import Turns
from antiphon.engine.action_schedule import OTHER
from antiphon.engine.link import (
    BeatPassed,
    EngineLink,
    EngineStarted,
    Late,
    NodeState,
    PlanLoaded,
    PlanRefused,
    PlanWeighed,
    PlayedNote,
    Report,
    Reported,
    Synced,
)
from antiphon.session.actions import ACTIONS
from antiphon.session.session import Session

log = logging.getLogger("antiphon.control")

CLIP_TOLD, CLIP_LOGGED = 1.0, 60.0
"""Seconds between two words about an input that clips: to surfaces, and in the log."""
QUIET = 1e-5
"""Levels below this (-100 dBFS) are not worth a meter's message."""


class ReportServer(Protocol):
    """What the reports of the engine change."""

    link: EngineLink
    session: Session
    executor: CommandExecutor
    plans: Plans
    syncs: Syncs
    feedback: Feedback
    events: ServerEvents
    faults: ControlFaults
    turns: Turns
    notes_out: NotesOut


class Reports:
    """played: is called with every note that a node played.

    Args:
        server: What the reports change.
    """

    def __init__(self, server: ReportServer) -> None:
        self._server = server
        self.played: list[Callable[[PlayedNote], None]] = [server.notes_out.played]
        self._levels: dict[int, tuple[float, float]] = {}
        self._clipped, self._clip_told, self._clip_logged = 0, -CLIP_TOLD, -CLIP_LOGGED

    def read(self) -> None:
        """Takes in all there is."""
        found = self._server.link.reports()
        attempt = self._server.faults.attempt
        for report in found:
            attempt("what the engine said", partial(self._one, report))
        attempt("the input's level", self._clips)
        if found:
            self._server.turns.finish()

    def _clips(self) -> None:
        """Says that the input reaches full scale: once a second to surfaces, once a minute in the log."""
        clipped, now = self._server.link.counters().clipped_blocks, monotonic()
        if clipped == self._clipped or now - self._clip_told < CLIP_TOLD:
            return
        new, self._clipped, self._clip_told = clipped - self._clipped, clipped, now
        if new < 0:
            return  # a new engine counts from 0
        self._server.feedback.event("/clip", new)
        if now - self._clip_logged >= CLIP_LOGGED:
            self._clip_logged = now
            log.warning("the input clips; turn it down before the sound card (/node/in/gain comes behind it)")

    def _one(self, report: Report) -> None:
        server = self._server
        match report:
            case PlayedNote():
                for listener in self.played:
                    listener(report)
            case Synced(token):
                server.syncs.came(token)
            case BeatPassed(beat):
                server.feedback.event("/beat", beat)
            case Late(node, cell, seconds):
                server.feedback.late(self._address(node, cell), seconds)
                if server.events.listeners and seconds > LATE_SECONDS:
                    server.events.publish("late", address=self._address(node, cell), seconds=seconds)
            case Reported(node, cell, number):
                changed = server.session.reported(node, cell, number)
                if changed is not None:
                    server.executor.perform([changed])
            case NodeState(node, state, reason):
                known = server.session.by_id.get(node)
                if known is not None:
                    if reason and state != known.state:
                        log.warning("%s is %s: %s", known.name, state, reason)
                    known.state, known.reason = state, reason
                    server.feedback.event("/node/state", known.name, state, reason)
                    server.events.publish("node", node=known.name, state=state, reason=reason)
            case PlanLoaded(serial, latency):
                server.plans.loaded(serial, latency)
            case PlanWeighed(load, warning):
                server.plans.weighed(load, warning)
            case PlanRefused(serial, reason):
                server.plans.refused(serial, reason)
            case EngineStarted(pid):
                server.plans.engine_started(pid)

    def meters(self) -> dict[str, tuple[float, float]]:
        """Levels that changed since the last call, by node name; `in` and `out` are the server's own."""
        levels = self._server.link.meters()
        names = {n.id: n.name for n in self._server.session.by_id.values()}
        moved = {}
        for number, level in levels.items():
            loud = tuple(x if x > QUIET else 0.0 for x in level)
            if number in names and self._levels.get(number) != loud:
                moved[names[number]] = (float(loud[0]), float(loud[1]))
                self._levels[number] = (loud[0], loud[1])
        return moved

    def _address(self, node: int, cell: int) -> str:
        if address := ACTIONS.address(cell - OTHER):
            return address
        known = self._server.session.by_id.get(node)
        if known is None:
            return ""
        if not 0 <= cell < len(known.cells):
            return f"/node/{known.name}/reset"
        return f"/node/{known.name}/{known.cells[cell].name}"
