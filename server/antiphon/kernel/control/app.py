"""Creates and connects the parts of the control process: sockets, session, engine link and surfaces."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control import status as figures
from antiphon.kernel.control.commands.executor import TurnSteps
from antiphon.kernel.control.osc.addresses import Directory
from antiphon.kernel.control.osc.plugin_addresses import PluginAddresses
from antiphon.kernel.control.osc.served import Service
from antiphon.kernel.control.reports import Reports
from antiphon.kernel.control.status import MachineWatch
from antiphon.kernel.control.subscribers.monitor import NotesOut
from antiphon.kernel.control.transports import Transports
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.session.commands import Command
from antiphon.kernel.workers.status import WorkerStatus

SERVICE_RETRY = 1.0
"""Delay in seconds before a failed service is restarted."""


class ControlApp(figures.StatusSource):
    """Creates the parts of the control process and passes each its dependencies; none of them imports this class.

    app = ControlApp(link, catalog, state_dir, udp=udp, tcp=tcp)
    await app.start()
    await app.run(stop)      # until `stop` is set
    await app.stop()
    """

    def __init__(self, link: RemoteEngine, catalog: Catalog, state_dir: Path, **given: Any) -> None:
        """Creates the parts, as `OscServer`; nothing is read or answered before `start`."""
        super().__init__(link, catalog, state_dir, **given)
        self.machine = MachineWatch(link, lambda: self.workers())
        self.directory = Directory(self)
        self.follow = self.directory.follow
        self.plugin_addresses = PluginAddresses(
            catalog.addresses, self.directory, self.executor, self.replies, self.syncs, self.faults
        )
        self.transports = Transports(self)
        self.learner = lambda: self.transports.learner
        state, surfaces_now = self.session.state, self.surfaces
        self.notes_out = NotesOut(link, state, surfaces_now, self.feedback, self.transports.wanted_node)
        self.reports = Reports(self, (self.notes_out.played, self.transports.played))
        self.workers: Callable[[], list[WorkerStatus]] = list
        self._saved_counts = dict.fromkeys(figures.KEPT_COUNTERS, 0)

    # ---- life

    async def start(self) -> bool:
        """Restores the state of an earlier process and begins to answer; True if there was one."""
        asyncio.get_running_loop().set_exception_handler(self.faults.in_loop)
        restored = self.plans.restore()
        self._saved_counts = figures.saved_counts(self.folder.counters)
        self.subscribers.start(self.given_surfaces, self.folder.load() or {})
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
                ("a dated message", lambda: self.intake.due(self.clock.moment())),
            ),
            tick=(
                ("the notes that nodes play", self.notes_out.follow),
                ("the notes that are played", self.note_watch.follow),
                ("the engine's reports", self.reports.read),
            ),
            meters=(("the meters", self._meters),),
            slow=(
                ("a connection", self.tcp.sweep),
                ("a subscription", self.subscribers.expire),
                ("a plan", self.plans.look_after),
                ("the sound device", self.device.expire),
                ("the counters", self._save_counters),
                ("the machine", self.machine.look),
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
        return figures.counts(self, self._saved_counts)

    def command(self, command: Command, source: str) -> None:
        """Execution of a command outside a turn, without echo to `source`; `AntiphonError` if it is not valid."""
        self.executor.flush()
        self.executor.do(command, source)
        self.turns.end_soon()

    # ---- joints between the parts

    def _meters(self) -> None:
        if self.surfaces:
            self.feedback.meters(self.reports.meters())

    def _save_counters(self) -> None:
        figures.save_counts(self.folder.counters, self.counts())
