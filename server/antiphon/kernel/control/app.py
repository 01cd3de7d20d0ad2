"""Creates and connects the parts of the control process: sockets, session, engine link and surfaces."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.contract.catalog import Catalog, Failure
from antiphon.kernel.control.commands.turns import TurnSteps
from antiphon.kernel.control.osc import counters
from antiphon.kernel.control.osc.addresses import Directory, PluginAddresses
from antiphon.kernel.control.osc.served import OscServer, Service
from antiphon.kernel.control.subscribers.feedback import LATE_SECONDS
from antiphon.kernel.control.transports import Transports
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
    Report,
    Reported,
    Synced,
)
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.session.actions import ACTIONS, Changed
from antiphon.kernel.session.commands import Command, Play
from antiphon.kernel.workers.status import WorkerStatus

# ---- Handler of the engine's reports: passes them on as answers, events and values

log = logging.getLogger("antiphon.control")

CLIP_EVENT_SECONDS, CLIP_LOG_SECONDS = 1.0, 60.0
"""Seconds between two clipping reports: to surfaces, and in the log."""
SILENT_LEVEL = 1e-5
"""Level below which meters are sent as 0 (-100 dBFS)."""


class Reports:
    """Reads and handles reports."""

    def __init__(self, server: OscServer, played: Callable[[Play[int]], None]) -> None:
        """Idle before `read`; `played` gets every event that a node emitted."""
        self._link, self._session, self._executor = server.link, server.session, server.executor
        self._plans, self._syncs, self._feedback = server.plans, server.syncs, server.feedback
        self._device = server.device
        self._events, self._faults, self._turns = server.events, server.faults, server.turns
        self._played = played
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
            case Play():
                self._played(report)
            case Synced(token):
                self._syncs.answer_synced(token)
            case BeatPassed(beat):
                bpm, bar = float(self._link.tempo_now()[1]), self._session.state.bar
                self._feedback.event("/beat", beat, bpm)
                if beat % bar == 0:
                    self._feedback.event("/bar", beat // bar, bpm)
            case Late(node, cell, seconds):
                self._feedback.add_late(self._address(node, cell), seconds)
                if self._events.listeners and seconds > LATE_SECONDS:
                    self._events.publish("late", address=self._address(node, cell), seconds=seconds)
            case Reported(node, cell, number):
                changed = self._session.state.reported(node, cell, number)
                if changed is not None:
                    self._executor.perform([changed])
                    self._report_notice(changed)
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
            case PlanLoaded(serial, latency, awaited):
                self._plans.confirm(serial, latency, awaited)
            case PlanWeighed(load, warning):
                self._plans.weighed(load, warning)
            case PlanRefused(serial, reason):
                self._plans.refuse(serial, reason)
            case DeviceUsed():
                self._device.finish(report)
            case EngineStarted(pid):
                self._device.given_up(pid)
                self._plans.engine_started(pid)

    def _report_notice(self, changed: Changed) -> None:
        """Logs and reports the `notice` of a readonly parameter that has grown."""
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


SERVICE_RETRY = 1.0
"""Delay in seconds before a failed service is restarted."""


class ControlApp(OscServer):
    """Creates the parts of the control process and passes each its dependencies; none of them imports this class.

    app = ControlApp(link, catalog, state_dir, udp=udp, tcp=tcp)
    await app.start()
    await app.run(stop)      # until `stop` is set
    await app.stop()
    """

    def __init__(self, link: RemoteEngine, catalog: Catalog, state_dir: Path, **given: Any) -> None:
        """Creates the parts; arguments as for `OscServer`. Nothing is read or answered before `start`."""
        super().__init__(link, catalog, state_dir, **given)
        self.directory = Directory(self)
        self.follow = self.directory.follow
        self.plugin_addresses = PluginAddresses(self.directory, self.executor, self.replies, self.syncs, self.faults)
        self.transports = Transports(self)
        self.reports = Reports(self, self.transports.pass_on)
        self.workers: Callable[[], list[WorkerStatus]] = list
        self.opens: Callable[[], object] | None = None  # loads what is played first, where no patch is named
        self.restores: list[Callable[[Mapping[str, Any]], object]] = []  # take their part of `kept`, with its session
        self.offers: list[Callable[[Any, AddressList], tuple[Failure, ...]]] = []  # add to a plugin's, by its hooks
        self.ticks: list[tuple[str, Callable[[], object]]] = []  # what companions do in every tick, as of `TurnSteps`
        self._saved_counts = dict.fromkeys(counters.KEPT, 0)

    async def start(self) -> bool:
        """Restores the state of an earlier process and begins to answer; True if there was one."""
        asyncio.get_running_loop().set_exception_handler(self.faults.handle_loop_exception)
        restored = self.plans.restore()
        self._saved_counts = counters.read_counts(self.folder.counters)
        saved = self.folder.load() or {}
        if restored:
            for restore in self.restores:
                restore(saved)
        self.subscribers.start(self.given_surfaces, saved)
        self.structure_changed()
        self.udp.start()
        await self.tcp.start()
        self.turns.start(self._steps())
        for descriptor in self.link.filenos():
            asyncio.get_running_loop().add_reader(descriptor, self.reports.read)
        self.reports.read()
        self.plans.look_after()
        gc.collect()
        gc.freeze()
        return restored

    def _steps(self) -> TurnSteps:
        return TurnSteps(
            waiting=self.intake.lanes,
            turn=(("a message", self.intake.turn),),
            refill=(("the UDP socket", self.udp.drain),),
            paused=self.tcp.paused,
            resume=(("the TCP connections", self.tcp.resume),),
            begin=(("a sign of life", self.link.note_turn), ("the wall clock", self.clock.wall.update)),
            due=(
                ("what was scheduled", self.executor.catch_up),
                ("a dated message", lambda: self.intake.handle_due(self.clock.moment())),
            ),
            tick=(
                ("the notes that nodes play", self.transports.follow),
                ("the engine's reports", self.reports.read),
                *self.ticks,
            ),
            meters=(("the meters", self._meters),),
            slow=(
                ("a connection", self.tcp.sweep),
                ("a subscription", self.subscribers.expire),
                ("a plan", self.plans.look_after),
                ("the sound device", self.device.expire),
                ("the counters", self._save_counters),
            ),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Runs ticks and services until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.turns.tick_for_ever(), name="ticks")]
            tasks += [group.create_task(self._serve(name, work), name=name) for name, work in self.services]
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _serve(self, name: str, work: Service) -> None:
        """Runs a service until it returns; one that raises is restarted after `SERVICE_RETRY` seconds."""
        while True:
            try:
                await work()
            except Exception as error:
                self.faults.add(name, error)
                await asyncio.sleep(SERVICE_RETRY)
            else:
                return

    async def stop(self) -> None:
        """Closes the sockets and saves the counters; the state folder's files remain."""
        self.turns.stop()
        self.turns.finish()
        for descriptor in self.link.filenos():
            asyncio.get_running_loop().remove_reader(descriptor)
        self.udp.stop()
        await self.tcp.stop()
        self._save_counters()

    def close(self) -> None:
        """Unmaps the state folder; no other method may be called after it."""
        self.folder.close()

    # ---- for HTTP and plugins

    @property
    def graph(self) -> Graph:
        """The graph as last requested."""
        return self.session.state.graph

    def counts(self) -> dict[str, int]:
        """All counters by name, since the server's start."""
        return counters.counts(self, self._saved_counts)

    def command(self, command: Command, source: str) -> None:
        """Executes a command outside a turn, without echo to `source`; raises `AntiphonError` if it is not valid."""
        self.executor.flush()
        self.executor.do(command, source)
        self.turns.schedule_finish()

    # ---- joints between the parts

    def _meters(self) -> None:
        if self.surfaces:
            self.feedback.meters(self.reports.meters())

    def _save_counters(self) -> None:
        counters.save_counts(self.folder.counters, self.counts())
