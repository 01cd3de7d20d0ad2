"""OSC over UDP: drains the socket into a bounded queue each turn of the loop, before any message is handled."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable

from antiphon.kernel.io.listening import open_ipv6_loopback
from antiphon.kernel.io.osc_peer import LaneUsage, Level, Peer, Rotation
from antiphon.kernel.wire.osc import MAX_DATAGRAM

RECEIVE_BUFFER = 8 << 20
FORCED_BUFFER = 64 << 20
"""Receive buffer size where the system's limit may be exceeded: the kernel needs 77 MB for 100,000 small packets."""
MAX_QUEUED = 262_144
MAX_QUEUED_BYTES = 32 << 20
PER_DRAIN = 8192
MAX_PEERS = 1024
"""Maximum known senders, 2.4 KB each: a script that opens a socket for each message is a new sender each time."""
_SO_RCVBUFFORCE = 33
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0x2000)

Address = tuple[str, int]


class UdpEndpoint:
    """One port: datagrams are received by `drain`, replies are sent by its peers.

    `sock`: bound; the same port of ::1 is opened as well. `lanes`: get the datagrams, in a lane for each sender.
    `level`: returns a host's permissions. `wake`: called after datagrams were drained. `refused`: called with the key
    of a peer whose machine has no socket at that port. `queue_dropped`: datagrams for which our queue had no space.
    """

    def __init__(
        self,
        sock: socket.socket,
        lanes: Rotation,
        level: Callable[[str], Level],
        wake: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        sock.setblocking(False)
        self.receive_buffer = enlarge_buffer(sock)
        _ask_for_refusals(sock)
        self._sock, self._lanes = sock, lanes
        self._socks: tuple[socket.socket, ...] = (sock,)
        self._level, self._wake, self._refused = level, wake, refused
        self._peers: dict[Address, Peer] = {}
        self.queue_dropped = 0
        self.room = LaneUsage()
        self.send_dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for sock in (added := open_ipv6_loopback(self._sock)):
            enlarge_buffer(sock)
            _ask_for_refusals(sock)
        self._socks = (self._sock, *added)
        for sock in self._socks:
            self._loop.add_reader(sock.fileno(), self._readable)

    def stop(self) -> None:
        if self._loop is not None:
            for sock in self._socks:
                self._loop.remove_reader(sock.fileno())
            for sock in self._socks[1:]:
                sock.close()
            self._loop, self._socks = None, self._socks[:1]

    def peer(self, address: Address) -> Peer:
        """Returns the sender of an address: the same object for as long as it is known."""
        sender = self._peers.get(address)
        if sender is None:
            if len(self._peers) >= MAX_PEERS:
                self._forget()
            host = address[0]
            sender = Peer(
                f"{host}:{address[1]}", host, self._level(host), lambda p: self._send(p, address), address, self.room
            )
            self._peers[address] = sender
        return sender

    def find_peer(self, key: str) -> Peer | None:
        host, _, port = key.rpartition(":")
        return self._peers.get((host, int(port))) if port.isdigit() else None

    def update_levels(self) -> None:
        """Updates the level of every known sender."""
        for peer in self._peers.values():
            peer.level = self._level(peer.host)

    def drain(self) -> None:
        """Reads all pending datagrams, `PER_DRAIN` of a socket at most."""
        for sock in self._socks:
            self._drain(sock)

    def _drain(self, sock: socket.socket) -> None:
        receive, peers, room, lanes = sock.recvfrom, self._peers, self.room, self._lanes
        for _ in range(PER_DRAIN):
            try:
                data, address = receive(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                # an ICMP error: a reply was refused by the other machine
                self._take_refusals()
                continue
            if room.packets >= MAX_QUEUED or room.bytes + len(data) > MAX_QUEUED_BYTES:
                self.queue_dropped += 1
                continue
            address = address[:2]  # of IPv6 there are two more
            peer = peers.get(address) or self.peer(address)
            peer.lane.put(data, peer)
            lanes.add(peer.lane)

    def kernel_dropped(self) -> int:
        """Number of datagrams that the kernel dropped for this port."""
        return sum(map(_dropped, self._socks))

    def _readable(self) -> None:
        before = self.room.packets
        self.drain()
        if self.room.packets == before:
            self._take_refusals()
        self._wake()

    def _send(self, packet: bytes, address: Address) -> None:
        sock = self._socks[-1] if ":" in address[0] else self._sock
        for _ in range(2):
            try:
                sock.sendto(packet, address)
                return
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                # the error of an earlier datagram, perhaps to another address: this one has not been sent yet
                self._take_refusals()
            except OSError:
                break
        self.send_dropped += 1

    def _take_refusals(self) -> None:
        for sock in self._socks:
            with contextlib.suppress(OSError):
                for _ in range(64):
                    _, _, _, address = sock.recvmsg(0, 512, _ERRQUEUE)
                    if address:
                        self._refused(f"{address[0]}:{address[1]}")

    def _forget(self) -> None:
        """Forgets the senders that were silent for the longest time. Subscribers keep a reference to their peer."""
        peers = self._peers
        # not one with queued packets: it would get a second lane, and its packets their order wrong
        for address in sorted(peers, key=lambda a: (peers[a].lane.waiting, peers[a].last_received))[: MAX_PEERS // 4]:
            del peers[address]


def enlarge_buffer(sock: socket.socket) -> int:
    """Sets a large receive buffer, beyond the system's limit where permitted; returns its size in bytes."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, FORCED_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def _ask_for_refusals(sock: socket.socket) -> None:
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    except OSError:
        # not Linux: lost subscribers are detected by their silence only
        return


def _dropped(sock: socket.socket) -> int:
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
        return int(struct.unpack_from("=I", info, 4 * _MEMINFO_DROPS)[0])
    except (OSError, struct.error):
        return _listed_drops(sock)


def _listed_drops(sock: socket.socket) -> int:
    """Number of dropped datagrams in /proc/net; 0 on systems without it."""
    inode = str(os.fstat(sock.fileno()).st_ino)
    try:
        with open("/proc/net/udp", encoding="ascii") as table:
            rows = [line.split() for line in table]
    except OSError:
        return 0
    return next((int(row[-1]) for row in rows if len(row) > 10 and row[9] == inode), 0)
