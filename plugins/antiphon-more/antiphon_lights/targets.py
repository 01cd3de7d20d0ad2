"""Receivers: their addresses, latencies and sockets. An unreachable receiver only loses its packets.

The packets are built here: both layouts are fixed headers before 512 bytes. Libraries for them run a thread with its
own clock per universe, but a frame must be sent on its beat.
"""

import asyncio
import contextlib
import heapq
import itertools
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from antiphon.api import UsageError

ARTNET_PORT, SACN_PORT, OS2L_PORT = 6454, 5568, 9996
SLOTS = 512
"""Channels of a universe."""
_ART_DMX, _ART_VERSION = 0x5000, 14
_SACN = struct.Struct(">HH12sHI16s HI64sBHBBH HBBHHHB")
"""Layers root, framing and DMP; flags and length of each count from that field to the packet's end."""
_FLAGS, _FRAMING_AT, _DMP_AT = 0x7000, 38, 115
_NAME, _PRIORITY = b"Antiphon", 100
TERMINATED = 0x40
"""sACN option of the last packet of a stream."""
SACN_BYTES = _SACN.size + SLOTS


def art_dmx(universe: int, sequence: int, slots: bytes) -> bytes:
    """ArtDmx packet. `universe`: from 1, which is Art-Net's port address 0. `sequence`: 1 to 255, 0 for none."""
    address = universe - 1
    head = struct.pack("<8sH", b"Art-Net\0", _ART_DMX)
    return head + struct.pack(">HBBBBH", _ART_VERSION, sequence, 0, address & 255, address >> 8, len(slots)) + slots


def sacn_packet(source: bytes, universe: int, sequence: int, slots: bytes, options: int = 0) -> bytes:
    """sACN data packet, start code 0. `source`: 16-byte sender ID. `universe`: 1 to 63999. `slots`: 512 bytes."""
    root = 0x10, 0, b"ASC-E1.17", _FLAGS | (SACN_BYTES - 16), 4, source
    framing = _FLAGS | (SACN_BYTES - _FRAMING_AT), 2, _NAME, _PRIORITY, 0, sequence, options, universe
    return _SACN.pack(*root, *framing, _FLAGS | (SACN_BYTES - _DMP_AT), 2, 0xA1, 0, 1, SLOTS + 1, 0) + slots


def sacn_group(universe: int) -> str:
    """Multicast address of a universe."""
    return f"239.255.{universe >> 8}.{universe & 255}"


def os2l(event: str, **fields: Any) -> bytes:
    """One event of OS2L, "beat" or "btn", as a line of JSON."""
    return json.dumps({"evt": event, **fields}, separators=(",", ":")).encode() + b"\n"


MAX_TARGETS = 16
LATENCY = -500.0, 2000.0
"""Least and most latency of a receiver, ms; below 0 it gets its packets later."""
MULTICAST = "multicast"
RETRY_SECONDS = 1.0
MAX_WAITING = 1024
"""Maximum batches of packets waiting to be sent; further ones are lost."""
MAX_UNSENT = 64 << 10
"""Maximum unsent bytes of a TCP receiver, beyond which the connection is dropped."""
_FORM = re.compile(r"([^:@]+)(?::(\d{1,5}))?(?:@([-+]?\d{1,5}(?:\.\d+)?))?")


Packets: TypeAlias = "Sequence[tuple[bytes, tuple[str, int]]]"
"""Packets with the host and port of each."""


class LightTarget(NamedTuple):
    """A receiver. `host`: an IPv4 address, or "multicast". `latency`: seconds by which its packets are sent early."""

    host: str
    port: int
    latency: float = 0.0


def read_targets(option: str, texts: Sequence[str], port: int, *, multicast: bool = False) -> tuple[LightTarget, ...]:
    """Parses an option's receivers, each HOST[:PORT][@MS]. `port`: default port, 0 for none.

    Raises UsageError: a receiver is invalid, or its host is unknown.
    """
    if len(texts) > MAX_TARGETS:
        raise UsageError(f"--{option} takes at most {MAX_TARGETS} receivers, not {len(texts)}")
    return tuple(_target(option, text, port, multicast) for text in texts)


def _target(option: str, text: str, usual: int, multicast: bool) -> LightTarget:
    form = f"HOST{'[:PORT]' if usual else ':PORT'}[@MS]{' or multicast' if multicast else ''}"
    found = _FORM.fullmatch(text)
    host, port, late = (found[1], int(found[2] or usual), float(found[3] or 0.0)) if found else ("", usual, 0.0)
    if not host or not 1 <= port <= 65535:
        raise UsageError(f"--{option} takes {form} with a port of 1 to 65535, not {text[:80]!r}")
    if not LATENCY[0] <= late <= LATENCY[1]:
        raise UsageError(f"--{option} takes a latency of {LATENCY[0]:g} to {LATENCY[1]:g} ms, not {late:g}")
    if not multicast or host != MULTICAST:
        try:
            host = str(socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0])
        except (OSError, UnicodeError):
            raise UsageError(f"--{option}: there is no host {host[:80]!r} in this network") from None
    return LightTarget(host, port, late / 1e3)


class UdpSender:
    """A send-only socket with a thread that sends each batch of packets at its time.

    The thread has real-time priority where allowed, as an event loop wakes 5 ms late on a busy machine. `lost`: packets
    refused by the system or in excess; `reason`: why the last one was refused. `late`: maximum delay in seconds of
    recent batches.
    """

    def __init__(self) -> None:
        """Opens the socket; it receives nothing, and may send to broadcast addresses."""
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.sent = self.lost = 0
        self.reason, self.late = "", 0.0
        self._waiting: list[tuple[int, int, Packets]] = []
        self._turn = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="lights", daemon=True).start()

    def send(self, packets: Packets, due: int = 0) -> None:
        """Sends packets at a time of CLOCK_MONOTONIC in ns, or at once; refused and excess packets count as lost."""
        with self._changed:
            if due <= time.monotonic_ns():
                self._send(packets)
            elif len(self._waiting) < MAX_WAITING:
                heapq.heappush(self._waiting, (due, next(self._turn), packets))
                self._changed.notify()
            else:
                self.lost += len(packets)

    def drop(self) -> None:
        """Discards the waiting packets."""
        with self._changed:
            self._waiting.clear()

    def _run(self) -> None:
        with contextlib.suppress(AttributeError, PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        with self._changed:
            while True:
                left = self._waiting[0][0] - time.monotonic_ns() if self._waiting else None
                if left is None or left > 0:
                    self._changed.wait(None if left is None else left / 1e9)
                    continue
                self.late = max(0.999 * self.late, -left / 1e9)
                self._send(heapq.heappop(self._waiting)[2])

    def _send(self, packets: Packets) -> None:
        for packet, address in packets:
            try:
                self._sock.sendto(packet, address)
                self.sent += 1
            except OSError as error:
                self.lost += 1
                self.reason = error.strerror or str(error)


class DmxTarget:
    """A receiver of Art-Net or, with a `source` as of `sacn_packet`, of sACN."""

    def __init__(self, target: LightTarget, sender: UdpSender, source: bytes | None) -> None:
        self.target, self._sender, self._source = target, sender, source
        self._sequence: dict[int, int] = {}

    def send(self, universes: Sequence[int], frame: bytes, options: int = 0, due: int = 0) -> None:
        """Sends a frame, 512 bytes a universe, at a time as of `UdpSender.send`."""
        packets: list[tuple[bytes, tuple[str, int]]] = []
        for place, universe in enumerate(universes):
            slots = frame[SLOTS * place : SLOTS * (place + 1)]
            number = self._sequence.get(universe, 0) % 255 + 1
            self._sequence[universe] = number
            host = sacn_group(universe) if self.target.host == MULTICAST else self.target.host
            if self._source is None:
                packet = art_dmx(universe, number, slots)
            else:
                packet = sacn_packet(self._source, universe, number, slots, options)
            packets.append((packet, (host, self.target.port)))
        self._sender.send(packets, due)

    def end(self, universes: Sequence[int]) -> None:
        """Ends sACN streams dark, with the three packets that the standard requires."""
        for _ in range(3 if self._source is not None else 0):
            self.send(universes, bytes(SLOTS * len(universes)), TERMINATED)


class Os2lDesk(asyncio.Protocol):
    """A connection for OS2L that reconnects after a loss; the desk's answers are discarded.

    `reason`: why there is no connection, or "".
    """

    def __init__(self, target: LightTarget, retry: float = RETRY_SECONDS) -> None:
        """Creates it unconnected. `retry`: seconds between two attempts."""
        self.target, self._retry = target, retry
        self._transport: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()
        self.sent = self.lost = 0
        self.reason = "connecting"

    async def run(self) -> None:
        """Connects, and again after each loss, until cancelled."""
        while True:
            self._gone.clear()
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, self.target.host, self.target.port)
                await self._gone.wait()
            except OSError as error:
                self.reason = error.strerror or str(error)
            finally:
                if self._transport is not None:
                    self._transport.abort()
            await asyncio.sleep(self._retry)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport, self.reason = transport, ""

    def connection_lost(self, error: Exception | None) -> None:
        self._transport, self.reason = None, str(error or "the receiver closed the connection")
        self._gone.set()

    def send(self, data: bytes) -> None:
        """Sends data; counts it as lost without a receiver."""
        if self._transport is None or self._transport.is_closing():
            self.lost += 1
        elif self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()
            self.lost += 1
        else:
            self._transport.write(data)
            self.sent += 1
