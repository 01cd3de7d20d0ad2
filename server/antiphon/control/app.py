"""The control process: sockets, session, engine link and surfaces, joined."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import Any

from antiphon.contract.catalog import Catalog
from antiphon.contract.params import Value
from antiphon.control import status as figures
from antiphon.control.faults import ControlFaults
from antiphon.control.midi.input import MidiInput, no_scene
from antiphon.control.osc.clients import Access, Surfaces, held_answer
from antiphon.control.osc.directory import Directory
from antiphon.control.osc.discretion import discreet
from antiphon.control.osc.feedback import Feedback
from antiphon.control.osc.intake import Intake
from antiphon.control.osc.monitor import Monitor
from antiphon.control.osc.notes_out import NotesOut
from antiphon.control.osc.outbox import Outbox
from antiphon.control.osc.reports import Reports
from antiphon.control.osc.subscribers import Subscribers
from antiphon.control.osc.syncs import Syncs
from antiphon.control.plans import Plans
from antiphon.control.set_list_player import Sets
from antiphon.control.state import StateFolder
from antiphon.control.turns import Turns
from antiphon.control.wall_clock import WallClock
from antiphon.engine.link import EngineLink
from antiphon.errors import FileError, WireError
from antiphon.graph.graph import Graph, NodeSpec
from antiphon.graph.io_nodes import ENDS
from antiphon.io.osc_lanes import Lane
from antiphon.io.osc_peer import Level, Peer
from antiphon.io.osc_tcp import TcpServer
from antiphon.io.osc_udp import UdpEndpoint
from antiphon.session.commands import Command, Sample, SetParam, Sync, When
from antiphon.session.effects import Changed, Effect, EngineLoad, TempoChanged
from antiphon.session.schedule import HORIZON, Moment
from antiphon.session.session import Session
from antiphon.wire.osc import MAX_DATAGRAM, encode
from antiphon.workers.status import WorkerStatus

log = logging.getLogger("antiphon.control")

RING_RETRY = 0.002
SERVICE_RETRY = 1.0
"""Seconds until a service that failed is begun again."""
Service = Callable[["ControlApp"], Coroutine[Any, Any, None]]


class ControlApp:
    """Everything between the OSC sockets and the engine.

    udp, tcp: bound to the same port.  state_dir: what outlives this process.  surfaces: (host, port)
    subscribed from the start.  allow: addresses not held.  session_header: what a kept set begins with.
    clock, now_ns: the wall clock and CLOCK_MONOTONIC, for tests to move.

        app = ControlApp(link, catalog, state_dir, udp=udp, tcp=tcp)
        await app.start()
        await app.run(stop)      # until `stop` is set
        await app.stop()
    """

    def __init__(
        self,
        link: EngineLink,
        catalog: Catalog,
        state_dir: Path,
        *,
        udp: socket.socket,
        tcp: socket.socket,
        surfaces: Iterable[tuple[str, int]] = (),
        allow: Iterable[str] = (),
        session_header: Callable[[], dict[str, Any]] = dict,
        clock: WallClock | None = None,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.link, self.catalog = link, catalog
        self.session_header = session_header
        self.wallclock = clock or WallClock()
        self.now_ns = now_ns
        self.folder = StateFolder(state_dir)
        self.session = Session(catalog, self.folder.numbers, link.status().rate)
        self.directory = Directory()
        self.router = self.directory.router
        self.access = Access(allow)
        self.faults = ControlFaults()
        self.turns = Turns(self)
        self.intake = Intake(self)
        self.outbox = Outbox(link, self.session)
        self.udp = UdpEndpoint(udp, self.intake.lanes, self.access.level, self.turns.wake, self._refused)
        self.tcp = TcpServer(tcp, self.access.level, self._handle_lane, self._bad_frame)
        self.surfaces = Surfaces()
        self.feedback = Feedback(self.surfaces)
        self.feedback.discreet = partial(discreet, self)
        self.subscribers = Subscribers(self)
        self.access.on_change = self.subscribers.judge
        self.monitor = Monitor(self._tap)
        self.syncs = Syncs(self)
        self.plans = Plans(self)
        self.sets = Sets(self)
        self.reports = Reports(self)
        self.midi, self.recall = MidiInput(self), no_scene
        self.notes_out = NotesOut(self)
        self.services: list[tuple[str, Service]] = []
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        self.told: dict[str, Callable[[], dict[str, Any] | None]] = {"mqtt": lambda: None}
        self.trouble = ""
        self.workers: Callable[[], list[WorkerStatus]] = list
        self._given_surfaces = tuple(surfaces)
        self._replies: list[tuple[Peer, bytes]] = []
        self._dirty = False
        self._before = dict.fromkeys(figures.KEPT, 0)

    # ---- life

    async def start(self) -> bool:
        """Takes up what an earlier process left and begins to answer; True when there was something."""
        asyncio.get_running_loop().set_exception_handler(self.faults.in_loop)
        restored = self.plans.restore()
        self._before = figures.kept(self.folder.counters)
        self.subscribers.start(self._given_surfaces)
        self.structure_changed()
        self.udp.start()
        await self.tcp.start()
        self.turns.running = True
        asyncio.get_running_loop().add_reader(self.link.fileno(), self.reports.read)
        self.reports.read()
        self.plans.attach(restored)
        gc.collect()
        gc.freeze()
        return restored

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.turns.tick_for_ever(), name="ticks")]
            tasks += [group.create_task(self._serve(name, work), name=name) for name, work in self.services]
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _serve(self, name: str, work: Service) -> None:
        """A service for as long as it runs; one that fails is begun again."""
        while True:
            try:
                await work(self)
            except Exception as error:
                self.faults.add(name, error)
                await asyncio.sleep(SERVICE_RETRY)
            else:
                return

    async def stop(self) -> None:
        """Answers no more. What was kept in the state folder stays."""
        self.turns.running = False
        self.finish()
        asyncio.get_running_loop().remove_reader(self.link.fileno())
        self.udp.stop()
        await self.tcp.stop()
        figures.keep(self.folder.counters, self.counts())

    def close(self) -> None:
        """Lets go of the state folder; nothing may be asked any more."""
        self.folder.close()

    # ---- for others: HTTP, a page, a live script

    @property
    def graph(self) -> Graph:
        return self.session.graph

    @property
    def osc_port(self) -> int:
        return self.udp.port

    def status(self) -> dict[str, Any]:
        """`GET /api/status`."""
        return figures.status(self)

    def counts(self) -> dict[str, int]:
        """Every counter by name, since the server's start."""
        return figures.counts(self, self._before)

    def value(self, node: str, param: str) -> Value | None:
        """The value last asked for whose time has come; None for what there is not."""
        try:
            return self.asked(node, param)
        except WireError:
            return None

    def asked(self, node: str, param: str) -> Value:
        """As `value`, but `WireError` names what there is."""
        self.settle()
        return _rounded(self.session.value(node, param))

    def settle(self) -> None:
        """What was sent and what has come due counts from here."""
        self.intake.flush()
        self.catch_up()

    def settled_values(self, node: NodeSpec) -> dict[str, Value]:
        """By parameter, the values of a node; those that are not known are left out. Call `settle` first."""
        info = ENDS[node.name][1] if node.name in ENDS else self.catalog.get(node.type)
        found = {}
        for param in info.cells if info else ():
            with contextlib.suppress(WireError):
                found[param.name] = _rounded(self.session.value(node.name, param.name))
        return found

    def command(self, command: Command, source: str) -> None:
        """Does what a command says, from whoever calls himself `source`; raises `AntiphonError`."""
        self.intake.flush()
        self.perform(self.session.handle(command, self.moment(), source))
        self.turns.end_soon()

    # ---- time

    def moment(self) -> Moment:
        return Moment(self.link.sample_at(self.now_ns()), self.link.tempo_now()[0])

    def when(self, timetag: int) -> Sample:
        """The sample a time tag means; `WireError` when it is too far ahead."""
        target = self.wallclock.moment(timetag)
        ahead = (target - self.now_ns()) / 1e9
        if ahead > HORIZON:
            raise WireError(
                f"a time tag may be at most {HORIZON:g} s ahead, this one is {ahead:.0f} s; check the clock"
            )
        return Sample(round(self.link.sample_at(target)))

    def catch_up(self) -> None:
        """Lets values whose time has come count."""
        self.perform(self.session.advance(self.moment()))

    # ---- doing

    def do(self, command: Command, peer: Peer) -> None:
        self.perform(self.session.handle(command, self.moment(), peer.key))

    def set_param(self, command: SetParam, peer: Peer, address: str) -> None:
        goal = self.session.goal
        self.do(command, peer)
        if self.session.goal != goal:
            self._dirty = True
            self.plans.expect(peer, address)

    def sync(self, peer: Peer, number: int, when: When) -> None:
        self.do(Sync(self.syncs.expect(peer, number, when), when), peer)

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Changed(node, param, value, source):
                    if param.kind != "trigger":
                        self.feedback.moved(node, param, value, source)
                case TempoChanged(bpm, source):
                    self.feedback.changed("/tempo", float(bpm), source)
                case _:
                    if isinstance(effect, EngineLoad):
                        self._dirty = True
                        self.plans.asked()
                    self.outbox.send(effect)

    def happened(self, kind: str, **what: Any) -> None:
        """Tells `listeners`, the plugins' `antiphon_event`: kind is patch, node, late or engine."""
        for listener in self.listeners:
            listener({"kind": kind, **what})

    def drop_scheduled(self, address: str) -> None:
        """Whoever waits for something scheduled is told that it will not come."""
        self.syncs.dropped(address)
        self.intake.deferred.clear()

    def structure_changed(self) -> None:
        """Gives new nodes their addresses and takes those of gone ones away; keeps the state."""
        self.directory.follow(self.session)
        self._dirty = True

    # ---- answering

    def reply(self, peer: Peer, packet: bytes) -> None:
        """Sent at the end of the turn, when all it says is kept."""
        self._replies.append((peer, packet))

    def fail(self, peer: Peer, address: str, reason: str | Callable[[], str]) -> None:
        """Counts a refusal and answers it, as often as the sender may be told. reason: made only then, if callable."""
        self.intake.failed += 1
        if peer.fails.allows():
            said = reason if isinstance(reason, str) else reason()
            self.reply(peer, encode("/fail", address, said if peer.level is Level.OWNER else discreet(self, said)))

    def schedule_full(self, peer: Peer, address: str, reason: str) -> None:
        """Told once a second to a sender that floods the schedule; all are counted."""
        now = monotonic()
        if now - peer.full_told >= 1.0:
            peer.full_told = now
            self.fail(peer, address, reason)
        else:
            self.intake.failed += 1

    def hold(self, peer: Peer, size: int) -> None:
        """A packet of `size` bytes came from an address that waits for approval."""
        if not self.access.hold(peer.host):
            return
        # a connection answers for its address, a datagram does not
        answer = held_answer(peer.host, MAX_DATAGRAM if peer.udp is None else size)
        if answer is not None:
            self.access.told(peer.host)
            self.reply(peer, answer)

    def finish(self) -> None:
        """The end of a turn: what changed is kept, then the answers go out. Nothing is raised."""
        attempt = self.faults.attempt
        attempt("a command to the engine", self.outbox.flush)
        if self.outbox.waiting and self.turns.running:
            asyncio.get_running_loop().call_later(RING_RETRY, self.outbox.flush)
        if self._dirty:
            self._dirty = False
            attempt("the state", self.save)
        if self._replies:
            replies, self._replies = self._replies, []
            for peer, packet in replies:
                try:
                    peer.send(packet)
                except Exception as error:
                    self.faults.add("an answer", error)
        if self.feedback.due:
            attempt("feedback", self.feedback.flush)

    def keep_soon(self) -> None:
        """The structure changed: it is kept at the end of this turn."""
        self._dirty = True

    def save(self) -> None:
        """Keeps the structure; a full disk is said once and in the status, and the set goes on."""
        try:
            self.folder.save({**self.plans.to_json(), **self.sets.to_json(), **self.subscribers.to_json()})
            self.trouble = ""
        except FileError as error:
            if not self.trouble:
                log.warning("%s", error)
            self.trouble = str(error)

    # ---- called by the sockets

    def _handle_lane(self, lane: Lane) -> None:
        self.intake.lanes.add(lane)
        self.turns.wake()

    def _bad_frame(self, peer: Peer, error: WireError) -> None:
        self.intake.received += 1
        self.fail(peer, error.address, str(error))
        self.finish()

    def _refused(self, key: str) -> None:
        self.monitor.gone(key)
        if self.surfaces.refused(key):
            self._dirty = True

    def _tap(self, tap: Callable[[bytes, Peer], None] | None) -> None:
        self.intake.tap = tap


def _rounded(value: Value) -> Value:
    """As people wrote it: a number has seven digits, what a float32 holds."""
    return float(f"{value:.7g}") if isinstance(value, float) else value
