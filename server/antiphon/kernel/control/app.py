"""Creates and connects the parts of the control process: sockets, session, engine link and surfaces."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Any

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control import status as figures
from antiphon.kernel.control.commands.captures import Captures
from antiphon.kernel.control.commands.engine_clock import EngineClock, WallClock
from antiphon.kernel.control.commands.executor import CommandExecutor, CommandParts
from antiphon.kernel.control.commands.outbox import Outbox
from antiphon.kernel.control.commands.sound_device import Headphones, SoundDevice
from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.commands.turns import Turns, TurnSteps
from antiphon.kernel.control.faults import ControlFaults
from antiphon.kernel.control.osc.directory import Directory
from antiphon.kernel.control.osc.intake import Intake
from antiphon.kernel.control.osc.note_watch import NoteWatch, PatchQuestions, UnknownWords
from antiphon.kernel.control.osc.plugin_addresses import PluginAddresses
from antiphon.kernel.control.osc.script_gate import ScriptGate
from antiphon.kernel.control.osc.served import Service
from antiphon.kernel.control.patches.plans import Plans
from antiphon.kernel.control.patches.set_list_player import Sets
from antiphon.kernel.control.patches.set_position import SetPosition
from antiphon.kernel.control.reports import Reports
from antiphon.kernel.control.server_events import ServerEvents
from antiphon.kernel.control.state import StateFolder, StateSaver
from antiphon.kernel.control.status import MachineWatch
from antiphon.kernel.control.subscribers.clients import Access, Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.control.subscribers.monitor import Monitor, NotesOut
from antiphon.kernel.control.subscribers.replies import Replies, without_file_names
from antiphon.kernel.control.subscribers.subscribers import Subscribers
from antiphon.kernel.control.transports import Transports
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import WireError
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.io.osc_peer import Lane, Peer
from antiphon.kernel.io.osc_tcp import TcpServer
from antiphon.kernel.io.osc_udp import UdpEndpoint
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.commands import ClearSchedule, Command, Panic
from antiphon.kernel.session.effects import EngineEffect
from antiphon.kernel.session.session import Session
from antiphon.kernel.workers.status import WorkerStatus

SERVICE_RETRY = 1.0
"""Delay in seconds before a failed service is restarted."""


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """Start options of a control process."""

    surfaces: Iterable[tuple[str, int]] = ()
    allow: Iterable[str] = ()  # IP addresses whose messages are handled without approval
    live_token: Callable[[], str] | None = None  # gives the token that `/live/eval` needs; None where it is refused
    session_header: Callable[[], dict[str, Any]] = dict
    clock: WallClock | None = None
    now_ns: Callable[[], int] = monotonic_ns  # CLOCK_MONOTONIC in nanoseconds; a test's own


NO_OPTIONS = ControlOptions()


class ControlApp:
    """Creates the parts of the control process and passes each its dependencies; none of them imports this class.

    app = ControlApp(link, catalog, state_dir, udp=udp, tcp=tcp)
    await app.start()
    await app.run(stop)      # until `stop` is set
    await app.stop()
    """

    def __init__(
        self,
        link: RemoteEngine,
        catalog: Catalog,
        state_dir: Path,
        *,
        udp: socket.socket,
        tcp: socket.socket,
        options: ControlOptions = NO_OPTIONS,
    ) -> None:
        """Creates the parts; nothing is read or answered before `start`."""
        self.link, self.catalog, self.session_header = link, catalog, options.session_header
        self.folder = StateFolder(state_dir)
        self.session = Session(catalog, self.folder.numbers, link.status().rate)
        self.clock = EngineClock(link, options.clock or WallClock(), options.now_ns)
        self.faults, self.events = ControlFaults(), ServerEvents()
        self.machine = MachineWatch(link, lambda: self.workers())
        self.access, self.surfaces = Access(options.allow), Surfaces()
        self.saver = StateSaver(self.folder, self._contents)
        self.replies = Replies(self.faults, self._discreet)
        self.unknown_words = UnknownWords(self.replies)
        self.feedback = Feedback(self.surfaces, self._discreet)
        self.outbox = Outbox(link, self.session.state)
        parts = CommandParts(
            link, self.session, self.clock, self.outbox, self.feedback, self.saver, self.replies, self.faults,
            self.events,
        )  # fmt: skip
        self.executor, self.turns = CommandExecutor(parts), Turns(parts)
        self.directory = Directory(self)
        self.router = self.directory.router
        self.intake = Intake(self.router, self.executor, self.access, self.turns.at)
        self.udp = UdpEndpoint(udp, self.intake.lanes, self.access.level, self.turns.wake, self._refused)
        self.scripts = ScriptGate(options.live_token, self.udp.port)
        self.tcp = TcpServer(tcp, self.access.level, self._handle_lane, self._bad_frame)
        self.subscribers = Subscribers(self.surfaces, self.access, self.udp, self.tcp, self.saver)
        self.monitor = Monitor(self._tap)
        self.syncs = Syncs(self.replies, self.clock)
        self.captures = Captures(link, self.replies, self.syncs)
        self.device = SoundDevice(link, self.replies, self.syncs)
        self.headphones = Headphones(paths.config() / "headphones.json")
        self.position = SetPosition(self.feedback, self.saver)
        self.plugin_addresses = PluginAddresses(
            catalog.addresses, self.directory, self.executor, self.replies, self.syncs, self.faults
        )
        self.plans = Plans(catalog, self.executor, self.syncs, self.position, self.folder, self.structure_changed)
        self.patch_questions = PatchQuestions(self.replies)
        self.sets = Sets(catalog, self.plans, self.position, self.feedback)
        self.services: list[tuple[str, Service]] = []
        self.transports = Transports(self)
        state, surfaces_now = self.session.state, self.surfaces
        self.notes_out = NotesOut(link, state, surfaces_now, self.feedback, self.transports.wanted_node)
        self.reports = Reports(self, (self.notes_out.played, self.transports.played))
        self.note_watch = NoteWatch(link, self.clock, state, surfaces_now, self.feedback)
        self.outbox.taps += [self.note_watch.effect, self._cut]
        self.workers: Callable[[], list[WorkerStatus]] = list
        self._given_surfaces = tuple(options.surfaces)
        self._saved_counts = dict.fromkeys(figures.KEPT_COUNTERS, 0)

    # ---- life

    async def start(self) -> bool:
        """Restores the state of an earlier process and begins to answer; True if there was one."""
        asyncio.get_running_loop().set_exception_handler(self.faults.in_loop)
        restored = self.plans.restore()
        self._saved_counts = figures.saved_counts(self.folder.counters)
        self.subscribers.start(self._given_surfaces, self.folder.load() or {})
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
            busy=lambda: self.intake.busy,
            turn=(("a message", self.intake.turn),),
            refill=(("the UDP socket", self.udp.drain), ("the TCP connections", self.tcp.resume)),
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

    @property
    def osc_port(self) -> int:
        """The port of OSC over UDP and TCP."""
        return self.udp.port

    def status(self) -> dict[str, Any]:
        """The figures of `GET /api/status`."""
        return figures.status(self, self.counts())

    def counts(self) -> dict[str, int]:
        """All counters by name, since the server's start."""
        return figures.counts(self, self._saved_counts)

    def command(self, command: Command, source: str) -> None:
        """Execution of a command outside a turn, without echo to `source`; `AntiphonError` if it is not valid."""
        self.executor.flush()
        self.executor.do(command, source)
        self.turns.end_soon()

    def structure_changed(self) -> None:
        """Updates the OSC addresses after nodes were added or removed, and saves at the end of the turn."""
        self.directory.follow(self.session.state)
        self.saver.soon()

    # ---- joints between the parts

    def _cut(self, effect: EngineEffect) -> None:
        """Drops deferred messages and syncs at a panic or `/clearSched`."""
        if isinstance(effect, Panic | ClearSchedule):
            self.syncs.dropped("/panic" if isinstance(effect, Panic) else "/clearSched")
            self.intake.deferred.clear()

    def _contents(self) -> dict[str, Any]:
        return {**self.plans.to_json(), **self.position.to_json(), **self.subscribers.to_json()}

    def _discreet(self, text: str) -> str:
        return without_file_names(text, self.session.state, self.plans.scenes.values(), self.directory.roots)

    def _meters(self) -> None:
        if self.surfaces:
            self.feedback.meters(self.reports.meters())

    def _save_counters(self) -> None:
        figures.save_counts(self.folder.counters, self.counts())

    def _handle_lane(self, lane: Lane) -> None:
        self.intake.lanes.add(lane)
        self.turns.wake()

    def _bad_frame(self, peer: Peer, error: WireError) -> None:
        self.intake.received += 1
        self.replies.fail(peer, error.address, str(error))
        self.turns.finish()

    def _refused(self, key: str) -> None:
        self.monitor.remove(key)
        if self.surfaces.refused(key):
            self.saver.soon()

    def _tap(self, tap: Callable[[bytes, Peer], None] | None) -> None:
        self.intake.tap = tap
