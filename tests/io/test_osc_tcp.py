"""OSC over TCP: both framings, byte by byte, cut off, silent, slow, and too many."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.control.rig import Rig, rig

from antiphon.kernel.control.osc.intake import Lane
from antiphon.kernel.errors import WireError
from antiphon.kernel.io import osc_tcp
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.io.osc_tcp import TIMEOUT_SECONDS, TcpServer
from antiphon.kernel.wire import frames
from antiphon.kernel.wire.osc import decode, encode, encode_bundle


def prefixed(packet: bytes) -> bytes:
    return struct.pack(">I", len(packet)) + packet


class TcpClient:
    def __init__(self, live: Rig) -> None:
        self.live = live
        self.sock = socket.create_connection(("127.0.0.1", live.app.osc_port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)

    async def say(self, data: bytes) -> bytes:
        self.sock.sendall(data)
        await self.live.settle()
        return self.heard()

    def heard(self) -> bytes:
        """All that came; the end of the stream is b"END"."""
        found = b""
        while True:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return found
            except ConnectionResetError:
                return found + b"END"
            if not data:
                return found + b"END"
            found += data


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "state") as made:
        yield made


@pytest.fixture
def client(live: Rig) -> Iterator[TcpClient]:
    made = TcpClient(live)
    yield made
    made.sock.close()


@pytest.mark.parametrize("wrap", [prefixed, frames.wrap])
async def test_both_framings_are_answered_in_kind(client: TcpClient, wrap: Callable[[bytes], bytes]) -> None:
    assert await client.say(wrap(encode("/node/a/gain"))) == wrap(encode("/node/a/gain", 0.5))
    stream = wrap(encode("/sync", 7)) + wrap(encode("/nothing"))
    heard = b""
    for n in range(len(stream)):
        heard += await client.say(stream[n : n + 1])
    assert wrap(encode("/synced", 7)) in heard
    assert b"/fail" in heard


@pytest.mark.parametrize("wrap", [prefixed, frames.wrap])
@pytest.mark.parametrize("bad", [b"junk", b"/x\0\0,Q\0\0", bytes(12), b"#bundle\0\0", b"/x\0\0,f\0\0"])
async def test_a_bad_packet_leaves_the_connection_open(
    client: TcpClient, wrap: Callable[[bytes], bytes], bad: bytes
) -> None:
    assert b"/fail" in await client.say(wrap(encode("/node/a/gain/norm", 9.0)))
    assert b"/fail" in await client.say(wrap(bad))
    assert await client.say(wrap(encode("/node/a/gain"))) == wrap(encode("/node/a/gain", 0.5))


async def test_one_frame_and_the_end_at_once(live: Rig, client: TcpClient) -> None:
    client.sock.sendall(prefixed(encode("/node/a/gain", 0.25)) + prefixed(encode("/node/a/gain")))
    client.sock.shutdown(socket.SHUT_WR)
    await live.settle(2)
    assert live.app.executor.value("a", "gain") == 0.25
    assert client.heard() == prefixed(encode("/node/a/gain", 0.25)) + b"END"


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\0\xff\0\0", b"\0\x20\0\0aaaa"])
async def test_what_cannot_be_framed_is_told_and_closed(live: Rig, client: TcpClient, start: bytes) -> None:
    heard = await client.say(start)
    assert b"/fail" in heard
    assert heard.endswith(b"END")
    assert (await live.client().ask("/ping"))[0][0] == "/pong"


async def test_a_subscriber_over_tcp_until_it_hangs_up(live: Rig, client: TcpClient) -> None:
    mover = live.client()
    assert await client.say(prefixed(encode("/notify", 1))) == prefixed(encode("/done", "/notify", 0))
    mover.send("/node/a/gain", 1.5)
    await live.settle()
    assert client.heard() == prefixed(encode("/node/a/gain", 1.5))
    assert await client.say(prefixed(encode("/node/a/gain", 1.0))) == b""
    client.sock.close()
    await live.settle(40)
    assert len(live.app.surfaces) == 0
    await mover.ask("/node/a/gain", 0.5)


async def test_a_hostile_bundle_does_not_hold_up_udp(live: Rig, client: TcpClient) -> None:
    other = live.client()
    client.sock.setblocking(True)
    client.sock.sendall(prefixed(encode_bundle(1, [encode("/nothing")] * 4000)))
    client.sock.setblocking(False)
    for _ in range(4):
        await asyncio.sleep(0)
    other.send("/ping")
    for _ in range(12):
        await asyncio.sleep(0)
    assert other.heard()[0][0] == "/pong"
    assert live.app.intake.lanes  # the bundle is not done with yet
    while live.app.intake.lanes:
        await live.settle()
    assert live.app.counts()["osc_failed"] == 4000


async def test_many_packets_of_one_connection_pause_it_and_none_is_lost(live: Rig, client: TcpClient) -> None:
    frames = b"".join(prefixed(encode("/node/a/gain", n / 5000)) for n in range(5000))
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client.sock, frames + prefixed(encode("/node/a/gain")))
    heard = b""
    while not heard:
        await live.settle(0)
        heard = client.heard()
    ((_, _, args),) = [decode(heard[4:])]
    assert args == (pytest.approx(4999 / 5000),)


class Served:
    """A bare server with a clock of ours."""

    def __init__(self) -> None:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        self.clock = FakeClock()
        self.clients: list[socket.socket] = []
        self.lanes: list[Lane] = []
        self.failed: list[WireError] = []
        self.server = TcpServer(sock, lambda _h: Level.OWNER, self.lanes.append, self._fail, self.clock)

    def _fail(self, _peer: Peer, error: WireError) -> None:
        self.failed.append(error)

    async def connect(self, host: str = "127.0.0.1") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), source_address=(host, 0))
        client.setblocking(False)
        self.clients.append(client)
        await settle()
        return client


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    await made.server.start()
    yield made
    for client in made.clients:
        client.close()
    await made.server.stop()


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(10) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_an_unfinished_frame_is_closed_an_idle_client_stays(served: Served) -> None:
    idle, silent, half = [await served.connect() for _ in range(3)]
    idle.sendall(prefixed(encode("/ping")))
    half.sendall(b"\0\0\0\x10/pi")
    await settle()
    for _ in range(3):
        # A byte now and then does not make it younger.
        served.clock.now += TIMEOUT_SECONDS / 3 + 0.1
        half.sendall(b"n")
        await settle()
        served.server.sweep()
    await settle()
    assert ended(half)
    assert not ended(idle)
    assert not ended(silent)
    assert served.server.timed_out == 1


async def test_a_client_that_does_not_read_is_dropped(served: Served) -> None:
    client = await served.connect()
    client.sendall(prefixed(encode("/ping")))
    await settle()
    ((_, peer),) = served.lanes[0].queue
    for _ in range(2000):
        peer.send(bytes(10000))
    assert served.server.dropped > 0
    served.clock.now += TIMEOUT_SECONDS + 1
    served.server.sweep()
    await settle()
    assert not served.server.connections


async def test_where_all_places_are_taken_the_silent_and_then_the_longest_unheard_go(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(osc_tcp, "MAX_CONNECTIONS", 3)
    clients = [await served.connect() for _ in range(3)]
    for client in (clients[2], clients[0]):
        client.sendall(prefixed(encode("/ping")))
        await settle()
        served.clock.now += 1.0
    more = await served.connect()
    await settle()
    assert [ended(client) for client in clients] == [False, True, False]
    more.sendall(prefixed(encode("/ping")))
    await settle()
    await served.connect()
    await settle()
    assert ended(clients[2])
    assert not ended(clients[0])
    assert (served.server.displaced, served.server.refused) == (2, 0)


async def test_a_stranger_takes_no_place_of_those_approved_and_few_of_all(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(osc_tcp, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(osc_tcp, "MAX_HELD", 2)
    levels = {"127.0.0.1": Level.OWNER, "127.0.0.2": Level.SURFACE, "127.0.0.3": Level.HELD}
    served.server.level = levels.__getitem__
    strangers = [await served.connect("127.0.0.3") for _ in range(2)]
    for stranger in strangers:
        stranger.sendall(prefixed(encode("/ping")))
        await settle()
        served.clock.now += 1.0
    # what a held one says makes it no younger
    strangers[0].sendall(prefixed(encode("/ping")))
    await settle()
    strangers.append(await served.connect("127.0.0.3"))
    assert [ended(s) for s in strangers] == [True, False, False]
    surfaces = [await served.connect("127.0.0.2") for _ in range(3)]
    assert len(served.server.connections) == 5
    surfaces.append(await served.connect("127.0.0.2"))
    assert [ended(s) for s in strangers[1:]] == [True, False]
    owners = [await served.connect() for _ in range(5)]
    assert all(ended(s) for s in (*strangers[1:], *surfaces))
    assert not any(ended(o) for o in owners)
    late = [await served.connect("127.0.0.2"), await served.connect("127.0.0.3")]
    await settle()
    assert all(ended(client) for client in late)
    assert served.server.refused == 2


async def test_a_client_that_vanished_is_found_by_the_kernel(served: Served) -> None:
    await served.connect()
    (connection,) = served.server.connections
    assert connection._transport is not None
    sock = connection._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == osc_tcp.PROBES
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == osc_tcp.IDLE
