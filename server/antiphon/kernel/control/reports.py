"""Handler of the engine's reports: passes them on as answers, events and values."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic

from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.control.subscribers.feedback import LATE_SECONDS
from antiphon.kernel.engine.action_schedule import OTHER
from antiphon.kernel.engine.link import (
    BeatPassed,
    DeviceUsed,
    EngineStarted,
    Late,
    NodeState,
    NodeVocabulary,
    PlanLoaded,
    PlanRefused,
    PlanWeighed,
    PlayedNote,
    Report,
    Reported,
    Synced,
)
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.effects import Changed

log = logging.getLogger("antiphon.control")

CLIP_EVENT_SECONDS, CLIP_LOG_SECONDS = 1.0, 60.0
"""Seconds between two clipping reports: to surfaces, and in the log."""
SILENT_LEVEL = 1e-5
"""Level below which meters are sent as 0 (-100 dBFS)."""


class Reports:
    """Reads and handles reports."""

    def __init__(self, server: OscServer, played: Iterable[Callable[[PlayedNote], None]]) -> None:
        """Idle before `read`; `played` callbacks get every event that a node emitted."""
        self._link, self._session, self._executor = server.link, server.session, server.executor
        self._plans, self._syncs, self._feedback = server.plans, server.syncs, server.feedback
        self._device = server.device
        self._events, self._faults, self._turns = server.events, server.faults, server.turns
        self._played = tuple(played)
        self._levels: dict[int, tuple[float, float]] = {}
        self._clipped, self._clip_sent, self._clip_logged = 0, -CLIP_EVENT_SECONDS, -CLIP_LOG_SECONDS

    def read(self) -> None:
        """Reads and handles all pending reports."""
        reports = self._link.reports()
        attempt = self._faults.attempt
        for report in reports:
            attempt("a report of the engine", partial(self._one, report))
        attempt("the input's level", self._clips)
        if reports:
            self._turns.finish()

    def _clips(self) -> None:
        """Reports an input at full scale: once a second to surfaces, once a minute in the log."""
        clipped, now = self._link.counters().clipped_blocks, monotonic()
        if clipped == self._clipped or now - self._clip_sent < CLIP_EVENT_SECONDS:
            return
        new, self._clipped, self._clip_sent = clipped - self._clipped, clipped, now
        if new < 0:
            return  # a new engine counts from 0
        self._feedback.event("/clip", new)
        if now - self._clip_logged >= CLIP_LOG_SECONDS:
            self._clip_logged = now
            log.warning("the input clips; reduce the level before the sound card (/node/in/gain acts after it)")

    def _one(self, report: Report) -> None:
        match report:
            case PlayedNote():
                for listener in self._played:
                    listener(report)
            case Synced(token):
                self._syncs.synced(token)
            case BeatPassed(beat):
                bpm, bar = float(self._link.tempo_now()[1]), self._session.state.bar
                self._feedback.event("/beat", beat, bpm)
                if beat % bar == 0:
                    self._feedback.event("/bar", beat // bar, bpm)
            case Late(node, cell, seconds):
                self._feedback.late(self._address(node, cell), seconds)
                if self._events.listeners and seconds > LATE_SECONDS:
                    self._events.publish("late", address=self._address(node, cell), seconds=seconds)
            case Reported(node, cell, number):
                changed = self._session.state.reported(node, cell, number)
                if changed is not None:
                    self._executor.perform([changed])
                    self._notice(changed)
            case NodeState(node, state, reason):
                known = self._session.state.by_id.get(node)
                if known is not None:
                    if reason and state != known.state:
                        log.warning("%s is %s: %s", known.name, state, reason)
                    elif known.state == "failed" and state == "running":
                        log.warning("%s is back", known.name)
                    known.state, known.reason = state, reason
                    self._feedback.event("/node/state", known.name, state, reason)
                    self._events.publish("node", node=known.name, state=state, reason=reason)
            case NodeVocabulary(node, words):
                named = self._session.state.by_id.get(node)
                if named is not None:
                    named.vocabulary = words
            case PlanLoaded(serial, latency):
                self._plans.loaded(serial, latency)
            case PlanWeighed(load, warning):
                self._plans.weighed(load, warning)
            case PlanRefused(serial, reason):
                self._plans.refused(serial, reason)
            case DeviceUsed():
                self._device.finish(report)
            case EngineStarted(pid):
                self._device.given_up(pid)
                self._plans.engine_started(pid)

    def _notice(self, changed: Changed) -> None:
        """Says what a node did that a performer has not asked for."""
        if changed.param.notice and (number := float(changed.value or 0.0)):
            node = self._session.state.node(changed.node)
            node.reason = changed.param.notice.format(f"{number:.0f}")
            log.warning("%s %s", node.name, node.reason)
            self._feedback.event("/node/state", node.name, node.state, node.reason)

    def meters(self) -> dict[str, tuple[float, float]]:
        """Levels that changed since the last call: (peak, RMS) by node name; `in` and `out` are the server's own."""
        levels = self._link.meters()
        names = {n.id: n.name for n in self._session.state.by_id.values()}
        changed = {}
        for number, level in levels.items():
            loud = tuple(x if x > SILENT_LEVEL else 0.0 for x in level)
            if number in names and self._levels.get(number) != loud:
                changed[names[number]] = (float(loud[0]), float(loud[1]))
                self._levels[number] = (loud[0], loud[1])
        return changed

    def _address(self, node: int, cell: int) -> str:
        if address := ACTIONS.address(cell - OTHER):
            return address
        known = self._session.state.by_id.get(node)
        if known is None:
            return ""
        if not 0 <= cell < len(known.cells):
            return f"/node/{known.name}/reset"
        return f"/node/{known.name}/{known.cells[cell].name}"
