"""The parts of control that handlers of OSC addresses and its services use."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any, TypeAlias

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control.commands.executor import CommandExecutor, CommandParts, EngineClock, Outbox, WallClock
from antiphon.kernel.control.commands.sound_device import SoundDevice, delays, headphones
from antiphon.kernel.control.commands.syncs import Captures, Syncs
from antiphon.kernel.control.commands.turns import Turns
from antiphon.kernel.control.faults import ControlFaults, ServerEvents
from antiphon.kernel.control.osc.answers import UnknownWords
from antiphon.kernel.control.osc.intake import AddressRoute, Intake
from antiphon.kernel.control.patches.plans import Plans
from antiphon.kernel.control.state import StateFolder, StateSaver
from antiphon.kernel.control.subscribers.clients import Access, Subscribers, Surfaces
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.control.subscribers.replies import Replies, replace_file_names
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import AntiphonError, WireError
from antiphon.kernel.io.osc_peer import Lane, Peer
from antiphon.kernel.io.osc_tcp import TcpServer
from antiphon.kernel.io.osc_udp import UdpEndpoint
from antiphon.kernel.session.actions import EngineEffect
from antiphon.kernel.session.commands import ClearSchedule, Panic
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.router import Router
from antiphon.kernel.session.session import Session

Service: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Background task of the server, restarted on failure."""


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """Start options of a control process."""

    surfaces: Iterable[tuple[str, int]] = ()
    allow: Iterable[str] = ()  # IP addresses whose messages are handled without approval
    clock: WallClock | None = None
    now_ns: Callable[[], int] = monotonic_ns  # CLOCK_MONOTONIC in nanoseconds; a test's own


NO_OPTIONS = ControlOptions()


class OscServer:
    """Creates the parts and passes each its dependencies; `ControlApp` adds what uses them.

    `follow`: called with the graph's state after nodes were added or removed.
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
        self.link, self.catalog = link, catalog
        self.session_header: Callable[[], dict[str, Any]] = dict  # gives what begins the log of a set
        self.given_surfaces = tuple(options.surfaces)
        self.folder = StateFolder(state_dir)
        self.session = Session(catalog, self.folder.numbers, link.status().rate)
        self.clock = EngineClock(link, options.clock or WallClock(), options.now_ns)
        self.faults, self.events = ControlFaults(), ServerEvents()
        self.access, self.surfaces = Access(options.allow), Surfaces()
        self.saver = StateSaver(self.folder, self._contents)
        self.feedback = Feedback(self.surfaces, self._hide_file_names)
        self.replies = Replies(self.faults, self._hide_file_names, self.feedback)
        self.unknown_words = UnknownWords(self.replies)
        self.outbox = Outbox(link, self.session.state)
        parts = CommandParts(
            link, self.session, self.clock, self.outbox, self.feedback, self.saver, self.replies, self.faults,
            self.events,
        )  # fmt: skip
        self.executor, self.turns = CommandExecutor(parts), Turns(parts)
        self.router: Router[AddressRoute] = Router()
        self.roots: set[str] = set()
        self.intake = Intake(self.router, self.executor, self.access, self.turns.run_due_at)
        self.intake.wake = self.turns.wake
        self.udp = UdpEndpoint(udp, self.intake.lanes, self.access.level, self.turns.wake, self._refused)
        self.tcp = TcpServer(tcp, self.access.level, self._handle_lane, self._handle_bad_frame)
        self.subscribers = Subscribers(self.surfaces, self.access, self.udp, self.tcp, self.saver)
        self.syncs = Syncs(self.replies, self.clock)
        self.captures = Captures(link, self.replies, self.syncs)
        self.device = SoundDevice(link, self.replies, self.syncs)
        self.headphones, self.delays = headphones(), delays()
        self.plans = Plans(catalog, self.executor, self.syncs, self.folder, self.structure_changed)
        self.device.changed, self.plans.delay = self._restore_headphones, self._delay
        self.services: list[tuple[str, Service]] = []
        self.kept = [self.plans.to_json, self.subscribers.to_json]  # what is saved, each as JSON with names of its own
        self.refusals: list[Callable[[str], None]] = []  # take the key of a closed UDP port
        self.leavings: list[Callable[[str], None]] = []  # take the key of a TCP connection that has ended
        self.tcp.left = self._end_sender_notes
        self.joined: dict[str, Any] = {}  # what companions have added, by name
        self.outbox.tap(self._cut, Panic, ClearSchedule)
        self.follow: Callable[[GraphState], None] = lambda state: None

    @property
    def osc_port(self) -> int:
        """The port of OSC over UDP and TCP."""
        return self.udp.port

    def counts(self) -> dict[str, int]:
        """All counters by name, since the server's start."""
        raise NotImplementedError

    def structure_changed(self) -> None:
        """Updates the OSC addresses after nodes were added or removed, and saves at the end of the turn."""
        self.follow(self.session.state)
        self.saver.mark_changed()

    def _restore_headphones(self, name: str) -> None:
        """Restores the choice between headphones and loudspeakers that was saved for a sound device, if any."""
        chosen = self.headphones.value_for(name)
        if chosen is not None:
            try:
                self.plans.beside(not chosen, None, "/headphones")
            except AntiphonError as error:
                self.faults.add("the canceller of another sound device", error)

    def _delay(self) -> float:
        """Delay in ms from the output to the microphone; 0 where it was not measured."""
        beyond, engine = self.delays.value_for(self.device.name), self.link.status()
        return 0.0 if beyond is None else max(0.0, beyond + 1e3 * engine.latency_ring / max(1, engine.rate))

    def _cut(self, effect: EngineEffect) -> None:
        """Drops deferred messages and syncs at a panic or `/clearSched`."""
        if isinstance(effect, Panic | ClearSchedule):
            self.syncs.answer_dropped("/panic" if isinstance(effect, Panic) else "/clearSched")
            self.intake.deferred.clear()

    def _contents(self) -> dict[str, Any]:
        return {name: value for kept in self.kept for name, value in kept().items()}

    def _hide_file_names(self, text: str) -> str:
        return replace_file_names(text, self.session.state, self.session.state.shown.scenes.values(), self.roots)

    def _handle_lane(self, lane: Lane) -> None:
        self.intake.lanes.add(lane)
        self.turns.wake()

    def _handle_bad_frame(self, peer: Peer, error: WireError) -> None:
        self.intake.received += 1
        self.replies.fail(peer, error.address, str(error))
        self.turns.finish()

    def _end_sender_notes(self, peer: Peer) -> None:
        """Ends the notes of a sender whose connection has ended."""
        if self.turns.running:
            end = self.faults.attempt
            end("a client's notes", lambda: self.executor.perform(self.session.leave(peer.key, self.clock.moment())))
            for left in self.leavings:
                end("a client's notes", partial(left, peer.key))
            self.turns.finish()

    def _refused(self, key: str) -> None:
        if self.surfaces.count_refusal(key):
            self.saver.mark_changed()
        for refused in self.refusals:
            refused(key)
