"""UDP port of SuperDirt's protocol: answers handshakes, converts events to commands at their time tag's sample."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import say
from antiphon.api.backends.transports import (
    IMMEDIATELY,
    NOW,
    Arg,
    Bundle,
    Message,
    Node,
    Now,
    Packet,
    Panic,
    RequestError,
    Sample,
    TransportServer,
    beside_on_ipv6,
    decode,
    encode,
)
from antiphon_dirt import fields
from antiphon_dirt.events import NoteNumbers, commands, is_instrument
from antiphon_dirt.orbits import Orbit, orbits
from antiphon_dirt.unknown import UnknownSounds

SOURCE = "dirt"
MOST_BYTES = 65_507
"""Maximum bytes of a UDP datagram over IPv4."""
PER_TURN = 256
"""Maximum datagrams handled before the event loop runs again; Tidal sends 10 to 40 in a row."""
RECEIVE_BUFFER = 4 << 20
BUSES = tuple(range(128))
"""Control buses announced by the handshake. There are none here: values sent to them are ignored, and a client needs at
least one to accept the answer."""
SCSYNTH_PORT = 57110
TIDAL = ("127.0.0.1", 6010)
"""Address at which Tidal listens: notified at the start, it repeats the handshake."""
PANIC = "superpanic"
SAY_SECONDS = 10.0
"""Minimum seconds between sentences about the same kind of error."""
LINE_SECONDS = 1.0
"""Minimum seconds between two sentences about refused messages, of any kind."""
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|-?[0-9][0-9.e+-]*|nan|inf")
"""Variable parts of error reasons, removed to group them by kind."""
MOST_KINDS = 64
"""Maximum names counted separately; further ones are counted as one."""
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8


class DirtPort:
    """UDP server of SuperDirt's clients."""

    def __init__(self, server: TransportServer, sock: socket.socket) -> None:
        """Takes ownership of a bound, non-blocking socket, and opens the same port of ::1."""
        self._server, self._sock = server, sock
        self._socks: tuple[socket.socket, ...] = (sock,)
        self.received = self.played = self.refused = 0
        self.ignored: Counter[str] = Counter()
        self.unknown = UnknownSounds()
        self._numbers = NoteNumbers()
        self._said: dict[str, float] = {}
        self._line = -LINE_SECONDS
        self._nodes: Mapping[str, Node] = {}
        self._orbits: tuple[Orbit, ...] = ()

    def install(self) -> None:
        """Starts reading packets, and adds the figures to the status."""
        self._socks = (self._sock, *beside_on_ipv6(self._sock))
        for sock in self._socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._server.service(self.run)
        self._server.status(self.figures)

    async def run(self) -> None:
        """Reads until the server ends."""
        loop = asyncio.get_running_loop()
        for sock in self._socks:
            loop.add_reader(sock, self.drain)
        # a client that shook hands with an earlier server would not do so again by itself
        self._answer(("/dirt/hello",), TIDAL)
        try:
            await loop.create_future()
        finally:
            for sock in self._socks:
                loop.remove_reader(sock)
                sock.close()

    def figures(self) -> dict[str, Any]:
        """Figures for `/api/status`."""
        return {
            "port": self._sock.getsockname()[1] if self._sock.fileno() >= 0 else 0,
            "received": self.received,
            "played": self.played,
            "refused": self.refused,
            "dropped": self._dropped(),
            "ignored": dict(self.ignored.most_common(8)),
            "unknown": dict(self.unknown.counts.most_common(8)),
            "orbits": [orbit.node for orbit in self._orbits],
        }

    def drain(self) -> None:
        """Handles the arrived packets, in one turn of the server."""
        with self._server.turn():
            self._find_orbits()
            for sock in self._socks:
                self._read(sock)

    def _read(self, sock: socket.socket) -> None:
        for _ in range(PER_TURN):
            try:
                data, peer = sock.recvfrom(MOST_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # the error of an answer to a port that is closed
            self.received += 1
            try:
                self._packet(decode(data), peer, NOW)
            except AntiphonError as error:
                self._refuse(str(error))
            except Exception as error:
                self.refused += 1
                self._server.fault("an event of a client of SuperDirt", error)

    def _packet(self, packet: Packet, peer: tuple[str, int], when: Now | Sample) -> None:
        if isinstance(packet, Bundle):
            at = NOW if packet.timetag <= IMMEDIATELY else self._server.when(packet.timetag)
            for item in packet.items:
                self._packet(item, peer, at)
        elif isinstance(packet, Message):
            self._message(packet, peer, when)
        else:
            raise packet

    def _message(self, message: Message, peer: tuple[str, int], when: Now | Sample) -> None:
        match message.address:
            case b"/dirt/play" | b"/play2":
                self._play(message.args, when)
            case b"/dirt/handshake":
                self._answer(
                    (
                        "/dirt/handshake/reply",
                        "&serverHostname",
                        peer[0],
                        "&serverPort",
                        SCSYNTH_PORT,
                        "&controlBusIndices",
                        *BUSES,
                    ),
                    peer,
                )
            case b"/dirt/hello":
                self._answer(("/dirt/hello/reply",), peer)
            case b"/panic":
                self._server.do(Panic(), SOURCE)
            case address:
                self._count(address.decode("utf-8", "replace")[:64])

    def _play(self, args: tuple[Arg, ...], when: Now | Sample) -> None:
        event = fields.read(args)
        if event.sound == PANIC:
            self._server.do(Panic(), SOURCE)
            return
        for name in event.ignored:
            self._count(name)
        if not self._orbits:
            raise RequestError("the patch has no node that plays samples; load one with a sampler, for example tidal")
        orbit = self._orbits[int(event.number("orbit", 0.0)) % len(self._orbits)]
        if not self._has(orbit, event.sound):
            return
        at = when if isinstance(when, Sample) else Sample(int(self._server.moment().sample) + self._server.block)
        made = commands(event, orbit, self._nodes, at, self._server.rate, self._server.tempo()[1], self._numbers)
        for command in made:
            self._server.do(command, SOURCE)
        self.played += 1

    def _has(self, orbit: Orbit, sound: str) -> bool:
        """True if a sound exists, or may: a node's vocabulary is known some time after its start."""
        known = self._nodes[orbit.node].vocabulary.get("s", ())
        if not known or sound in known or is_instrument(sound, orbit, self._nodes):
            return True
        sentence = self.unknown.note(orbit.node, sound, known)
        if sentence:
            say(f"{SOURCE}: {sentence}")
        return False

    def _find_orbits(self) -> None:
        """Updates the orbits after a patch change: once for all datagrams of a turn."""
        nodes = self._server.nodes()
        if [node.id for node in nodes.values()] != [node.id for node in self._nodes.values()]:
            self._orbits = orbits(nodes)
            self.unknown.clear()
        self._nodes = nodes

    def _count(self, name: str) -> None:
        self.ignored[name if name in self.ignored or len(self.ignored) < MOST_KINDS else "others"] += 1

    def _refuse(self, reason: str) -> None:
        """Counts a refusal; prints each kind at most once in `SAY_SECONDS`, any once in `LINE_SECONDS`."""
        self.refused += 1
        now = self._server.now_ns() / 1e9
        if len(self._said) > MOST_KINDS:
            self._said.clear()
        kind = _VALUE.sub("", reason)
        if now - self._line >= LINE_SECONDS and now - self._said.get(kind, -SAY_SECONDS) >= SAY_SECONDS:
            self._said[kind] = self._line = now
            say(f"{SOURCE}: {reason}")

    def _answer(self, message: tuple[Any, ...], peer: tuple[str, int]) -> None:
        try:
            sock = self._socks[-1] if ":" in peer[0] else self._sock
            sock.sendto(encode(*message), peer)
        except OSError:
            pass  # the port is closed

    def _dropped(self) -> int:
        """Datagrams dropped by the kernel."""
        try:
            info = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
            return int(struct.unpack_from("=I", info, 4 * _MEMINFO_DROPS)[0])
        except (OSError, struct.error):
            return 0
