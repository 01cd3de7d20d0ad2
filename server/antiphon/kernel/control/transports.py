"""Transports of a running server: each uses the server through a `TransportHost` and registers its callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from antiphon.kernel.control.osc.handlers.time import clock_leader_name, node_number
from antiphon.kernel.control.osc.served import OscServer, Service
from antiphon.kernel.control.state import replace_text, transport_file
from antiphon.kernel.engine.link import EVERY_NODE
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.clock import beat_without_swing, swing_beat
from antiphon.kernel.io.osc_peer import Lane, Level, Peer
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.commands import NOW, Beat, Command, Now, Play, Sample, When
from antiphon.kernel.session.node_state import Node
from antiphon.kernel.session.schedule import due_beat
from antiphon.kernel.session.transport_server import Learner, Reply, Status
from antiphon.kernel.wire.osc import Arg, Message, decode, encode

_NO_TABLE: Mapping[str, Any] = MappingProxyType({})


class Transports:
    """The transports' callbacks, and the notes that nodes play: for them and for subscribers."""

    def __init__(self, server: OscServer) -> None:
        """Starts without transports."""
        self._server = server
        self._notes: list[Callable[[Play[int]], None]] = []
        self._nodes: list[Callable[[], int]] = []
        self.statuses: dict[str, Status] = {}  # each transport's figures for `/api/status`, by its name
        self.learner: Learner | None = None  # maps a controller to a parameter; None where no transport can
        self.pedals: Callable[[], Mapping[str, str]] = dict  # controllers beside the patch's own, as it has them

    def host(self, name: str, settings: ServeSettings, *, fresh: bool) -> TransportHost:
        """Server interface for a transport. `fresh`: control restored nothing from an earlier process."""
        return TransportHost(self._server, self, name, settings, fresh)

    def on_note(self, listener: Callable[[Play[int]], None], node: Callable[[], int]) -> None:
        """Calls `listener` with events that nodes emit; `node` returns the wanted node's number, 0 for none."""
        self._notes.append(listener)
        self._nodes.append(node)

    def pass_on(self, note: Play[int]) -> None:
        """Passes an event that a node emitted to the listeners.

        A note is sent to subscribers too, as a message that the server itself accepts, with the node's name.
        """
        name, event = self._server.session.state.name_of(note.node), note.event
        if name and event.kind in ("on", "off"):
            velocity = max(1, min(127, round(127.0 * event.value))) if event.kind == "on" else 0
            self._server.feedback.event(f"/note/{event.kind}", event.number, velocity, event.channel, name)
        for listener in self._notes:
            listener(note)

    def follow(self) -> None:
        """Requests the events that are wanted; called in every tick, as a restarted engine has lost the request."""
        self._server.link.echo(EVERY_NODE if self._server.surfaces else self.wanted_node())

    def wanted_node(self) -> int:
        """Number of the node whose events the listeners want; 0 for none, `EVERY_NODE` for several."""
        numbers = {number for number in (node() for node in self._nodes) if number}
        return 0 if not numbers else numbers.pop() if len(numbers) == 1 else EVERY_NODE


class TransportHost:
    """Implements `antiphon.kernel.session.transport.TransportServer`."""

    def __init__(
        self, server: OscServer, transports: Transports, name: str, settings: ServeSettings, fresh: bool
    ) -> None:
        self._server, self._transports, self._name = server, transports, name
        self.settings, self.fresh = settings, fresh
        self._lane = Lane()
        self.rate, self.folder = server.session.rate, server.folder.folder
        # these functions of control are passed on unchanged
        self.now_ns, self.moment, self.when = server.clock.now_ns, server.clock.moment, server.clock.sample_at_timetag
        self.sample_at, self.beat_at, self.tempo = server.link.sample_at, server.link.beat_at, server.link.tempo_now
        self.param, self.value_at = server.session.state.param, server.session.state.value_at
        self.meters = server.link.meters
        self.do, self.event = server.executor.do, server.feedback.event
        self.on_value, self.on_event = server.feedback.listeners.append, server.events.listeners.append
        self.on_effect, self.on_note = server.outbox.tap, transports.on_note
        self.on_leave, self.attempt = server.leavings.append, server.faults.attempt

    def file(self, name: str) -> Path:
        return self.folder / transport_file(self._name, name)

    def keep(self, name: str, text: str) -> None:
        with suppress(OSError):
            replace_text(self.file(name), text)

    def kept(self, name: str) -> str:
        try:
            return "" if self.fresh else self.file(name).read_text()
        except OSError:
            return ""

    @property
    def block(self) -> int:
        return self._server.link.status().block

    def leader(self) -> str:
        return clock_leader_name(self._server)

    def due(self, when: When) -> float:
        now = self._server.clock.moment().sample
        match when:
            case Now():
                return now
            case Sample(n):
                return float(n)
        bpm = self.tempo()[1]
        ahead = swing_beat(due_beat(when), *self._server.session.state.swing) - self.beat_at(now)
        return now + max(0.0, ahead) * 60.0 / bpm * self.rate

    @contextmanager
    def turn(self) -> Iterator[None]:
        self._server.executor.flush()
        try:
            with self._server.executor.batch():
                yield
        finally:
            self._server.turns.finish()

    def command(self, command: Command, source: str) -> None:
        self._server.executor.flush()
        self._server.executor.do(command, source)
        self._server.turns.schedule_finish()

    def message(self, address: str, *args: Arg, source: str, reply: Reply | None = None) -> None:
        route = self._server.router.exact.get(address.encode())
        if route is None:
            raise RequestError(f"there is no address {address}; docs/osc.md lists them")
        message = decode(encode(address, *args))
        assert isinstance(message, Message)
        peer = Peer(source, "", Level.OWNER, lambda packet: _answer(packet, reply))
        peer.lane = self._lane
        if self._server.intake.queue_behind_slow(message, peer):
            return
        self._server.executor.flush()
        self._server.intake.handling = message
        route.handler(peer, message.args, NOW)
        self._server.turns.schedule_finish()

    def nodes(self) -> Mapping[str, Node]:
        return self._server.session.state.every

    def bar(self) -> int:
        return self._server.session.state.bar

    def beat_of(self, when: When) -> float:
        if isinstance(when, Beat):
            return due_beat(when)
        sample = when.n if isinstance(when, Sample) else self._server.clock.moment().sample
        return beat_without_swing(self.beat_at(sample), *self._server.session.state.swing)

    def clips(self) -> Mapping[str, PatchClip]:
        return self._server.session.state.shown.clips

    def keep_clips(self, clips: Mapping[str, PatchClip], what: str) -> None:
        self._server.plans.keep_clips(clips, what)
        self._server.saver.mark_changed()

    def controls(self) -> Mapping[str, str]:
        patch = self._server.session.state.shown.patch
        return {**(patch.midi if patch is not None else {}), **self._transports.pedals()}

    def table(self, name: str) -> Mapping[str, Any]:
        patch = self._server.session.state.shown.patch
        return patch.tables.get(name, _NO_TABLE) if patch is not None else _NO_TABLE

    async def capture(self, path: Path, node: str, bars: int) -> int:
        state, written = self._server.session.state, asyncio.get_running_loop().create_future()
        number, bar = node_number(self._server.session, node), state.bar

        def done(_path: str, why: str) -> None:
            if not written.done():
                written.set_result(why)

        sender = Peer(self._name, "", Level.OWNER, lambda packet: None)
        self._server.captures.ask(sender, str(path), number, bars, bar, done)
        if why := await written:
            raise RequestError(why)
        return bars * bar

    def service(self, work: Service) -> None:
        self._server.services.append((self._name, work))

    def status(self, figures: Status) -> None:
        self._transports.statuses[self._name] = figures

    def learner(self, learner: Learner) -> None:
        self._transports.learner = learner

    def fault(self, what: str, error: Exception) -> None:
        self._server.faults.add(what, error)


def _answer(packet: bytes, reply: Reply | None) -> None:
    message = decode(packet) if reply is not None else None
    if reply is not None and isinstance(message, Message):
        reply(message.address.decode(), message.args)
