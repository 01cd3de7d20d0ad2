"""The UDP socket: drained whole, bounded, counted, never ended by what it hears or sends."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from antiphon.kernel.io import osc_udp
from antiphon.kernel.io.osc_peer import Lane, Level, Rotation
from antiphon.kernel.io.osc_udp import MAX_PEERS, UdpEndpoint, _listed_drops


class Wired:
    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.lanes = Rotation()
        self.woken = 0
        self.refused: list[str] = []
        self.end = UdpEndpoint(self.sock, self.lanes, lambda _host: Level.OWNER, self._wake, self.refused.append)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("127.0.0.1", 0))
        self.client.connect(("127.0.0.1", self.end.port))

    @property
    def lane(self) -> Lane:
        """The client's."""
        return self.end.peer(self.client.getsockname()).lane

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def wired() -> Iterator[Wired]:
    made = Wired()
    yield made
    made.sock.close()
    made.client.close()


def test_everything_is_drained_in_order(wired: Wired) -> None:
    for n in range(1000):
        wired.client.send(b"%d" % n)
    wired.end.drain()
    assert [data for data, _ in wired.lane.queue] == [b"%d" % n for n in range(1000)]
    assert len({peer.key for _, peer in wired.lane.queue}) == 1


def test_the_queue_is_bounded_and_counts(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osc_udp, "MAX_QUEUED", 10)
    for n in range(15):
        wired.client.send(b"%d" % n)
    wired.end.drain()
    assert len(wired.lane.queue) == 10
    assert wired.end.queue_dropped == 5


def test_the_queue_is_bounded_in_bytes_too(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osc_udp, "MAX_QUEUED_BYTES", 1000)
    for _ in range(5):
        wired.client.send(bytes(300))
    wired.end.drain()
    assert len(wired.lane.queue) == 3
    assert wired.end.queue_dropped == 2
    while wired.lane.waiting:
        wired.lane.take()
    wired.client.send(bytes(300))
    wired.end.drain()
    assert len(wired.lane.queue) == 1


def test_the_kernels_drops_are_counted(wired: Wired) -> None:
    wired.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(200):
        wired.client.send(bytes(500))
    lost = wired.end.kernel_dropped()
    assert 0 < lost < 200
    assert _listed_drops(wired.sock) == lost
    wired.end.drain()
    assert len(wired.lane.queue) == 200 - lost


def test_a_large_buffer_is_asked_for(wired: Wired) -> None:
    assert wired.end.receive_buffer == wired.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert wired.end.receive_buffer >= 208 * 1024


async def test_a_refused_answer_is_reported_and_listening_goes_on(wired: Wired) -> None:
    wired.end.start()
    gone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gone.bind(("127.0.0.1", 0))
    gone.connect(("127.0.0.1", 9))  # it keeps its port, and all but that one are refused there
    address = gone.getsockname()
    for _ in range(3):
        wired.end.peer(address).send(b"/x\0\0,\0\0\0")
        for _ in range(4):
            await asyncio.sleep(0)
    assert wired.refused == [f"127.0.0.1:{address[1]}"] * 3
    wired.client.send(b"after")
    for _ in range(4):
        await asyncio.sleep(0)
    assert [data for data, _ in wired.lane.queue] == [b"after"]
    # A refusal of one peer's datagram is no refusal of the next peer's.
    wired.end.peer(address).send(b"/x\0\0,\0\0\0")
    wired.end.peer(wired.client.getsockname()).send(b"/y\0\0,\0\0\0")
    assert wired.client.recv(100) == b"/y\0\0,\0\0\0"
    wired.end.stop()
    gone.close()


def test_what_cannot_be_sent_is_counted(wired: Wired) -> None:
    wired.end.peer(wired.client.getsockname()).send(bytes(70000))
    assert wired.end.send_dropped == 1


def test_senders_are_remembered_up_to_a_bound(wired: Wired) -> None:
    for n in range(MAX_PEERS + 10):
        wired.end.peer(("127.0.0.1", n + 1)).last_received = float(n)
    assert len(wired.end._peers) <= MAX_PEERS
    assert wired.end.find_peer("127.0.0.1:1") is None
    newest = f"127.0.0.1:{MAX_PEERS + 10}"
    found = wired.end.find_peer(newest)
    assert found is not None
    assert found.key == newest


async def test_localhost_is_both_loopbacks_and_each_gets_its_answer(wired: Wired) -> None:
    wired.end.start()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        try:
            client.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no ::1")
        client.connect(("::1", wired.end.port))
        client.settimeout(60.0)
        client.send(b"six")
        wired.client.send(b"four")
        wired.end.drain()
        peer = wired.end.peer(("::1", client.getsockname()[1]))
        assert [data for data, _ in peer.lane.queue] == [b"six"]
        assert [data for data, _ in wired.lane.queue] == [b"four"]
        assert wired.end.find_peer(peer.key) is peer
        peer.send(b"answer")
        assert client.recv(100) == b"answer"
        wired.end.stop()
        client.send(b"gone")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)


async def test_a_taken_port_of_ipv6_is_said(wired: Wired, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        try:
            other.bind(("::1", wired.end.port))
        except OSError:
            pytest.skip("this machine has no ::1")
        wired.end.start()
        wired.end.stop()
    assert f"port {wired.end.port} of ::1 is taken" in caplog.text
