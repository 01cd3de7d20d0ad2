"""Strudel's WebSocket at a real server: who may connect, what is played, and what is refused."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.serve.test_dirt import figures, playing, record
from tests.waiting import play_for, until
from wsproto import ConnectionType, WSConnection, events

from antiphon_bench.rig import ServerProcess
from antiphon_dirt.strudel import MAX_BYTES, MAX_CLIENTS, may_connect

RATE = 48000


class Client:
    """A WebSocket to a port, as a browser opens it."""

    def __init__(self, port: int, origin: str = "", host: str = "127.0.0.1") -> None:
        self._sock = socket.create_connection((host, port), 60.0)
        self._ws = WSConnection(ConnectionType.CLIENT)
        headers = [(b"Origin", origin.encode())] if origin else []
        self._sock.sendall(self._ws.send(events.Request(f"localhost:{port}", "/", extra_headers=headers)))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def opened(self) -> Client:
        """Itself, once the server has accepted."""
        assert isinstance(self.receive()[0], events.AcceptConnection)
        return self

    def send(self, event: events.Event) -> None:
        self._sock.sendall(self._ws.send(event))

    def play(self, *args: object, at: float | None = None, **more: object) -> None:
        stamp = {} if at is None else {"timestamp": at * 1000.0}
        self.send(events.TextMessage(json.dumps({"address": "/dirt/play", "args": args, **stamp, **more})))

    def receive(self) -> list[events.Event]:
        """The next events; the last is a CloseConnection where the server has ended it."""
        found: list[events.Event] = []
        while not found:
            data = self._sock.recv(65536)
            with contextlib.suppress(Exception):  # a second end of one connection
                self._ws.receive_data(data or None)
            found = list(self._ws.events())
        return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int]]:
    with playing(tmp_path_factory.mktemp("strudel"), "--strudel-port") as made:
        yield made


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        *[(one, True) for one in ("", "https://strudel.cc", "http://localhost:4321", "https://127.0.0.1", "http://[::1]:80")],
        *[(one, False) for one in ("null", "http://strudel.cc", "https://strudel.cc.evil.org", "https://evil.org", "file://")],
        *[(one, False) for one in ("https://localhost.evil.org", "http://[::1", "chrome-extension://localhost", "x")],
    ],
)  # fmt: skip
def test_only_pages_of_strudel_and_of_this_machine_may_connect(origin: str, may: bool) -> None:
    assert may_connect(origin) is may


def test_another_page_is_answered_403_and_its_events_are_not_read(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    before = figures(server)
    with Client(port, "https://evil.org") as client:
        assert [e.status_code for e in client.receive() if isinstance(e, events.RejectConnection)] == [403]
    until(lambda: figures(server)["turned_away"] == before["turned_away"] + 1, 10.0, "it is counted")
    assert figures(server)["received"] == before["received"]


def test_what_is_wrong_is_counted_and_what_follows_plays(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    before = figures(server)
    wrong = ["", "x", "[]", "{}", '{"address": 1}', "[" * 9000, '{"address": "/dirt/play", "args": {}}']
    with Client(port, "https://strudel.cc").opened() as client:
        for text in wrong:
            client.send(events.TextMessage(text))
        for at in (-1.0, 1e300, time.time() + 1e6):
            client.play("s", "bd", at=at)
        client.play("s", ["bd"])
        client.play("s", "bd", "n", {"a": 1}, "color", None)
        client.send(events.TextMessage('{"address": "/live/eval", "args": ["print(1)"]}'))
        client.send(events.Ping(b"still there?"))
        while not any(isinstance(event, events.Pong) for event in client.receive()):
            pass
    until(lambda: figures(server)["received"] == before["received"] + 13, 10.0, "all have come")
    after = figures(server)
    assert after["refused"] - before["refused"] == len(wrong) + 4
    assert after["played"] - before["played"] == 1
    assert {"n", "color", "/live/eval"} <= set(after["ignored"])  # type: ignore[call-overload]


@pytest.mark.parametrize("event", [events.TextMessage("x" * (MAX_BYTES + 1)), events.BytesMessage(b"x")])
def test_a_message_that_is_too_long_or_no_text_ends_the_connection(
    stage: tuple[ServerProcess, int], event: events.Event
) -> None:
    server, port = stage
    with Client(port).opened() as client:
        client.send(event)
        while not any(isinstance(one, events.CloseConnection) for one in client.receive()):
            pass
    until(lambda: figures(server)["strudel_clients"] == 0, 10.0, "it is gone")


def test_silent_and_too_many_connections_are_closed(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CLIENTS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        until(lambda: figures(server)["strudel_clients"] == MAX_CLIENTS, 10.0, "all are there")
        with socket.create_connection(("127.0.0.1", port), 10.0) as one, contextlib.suppress(ConnectionResetError):
            assert one.recv(1) == b""
        until(lambda: figures(server)["strudel_clients"] == 0, 20.0, "what asks for nothing is closed")
    with Client(port, host="localhost").opened():
        pass


def test_a_flood_is_played_and_events_sound_at_their_time_stamps(stage: tuple[ServerProcess, int]) -> None:
    server, port = stage
    stop, before_late = record(server), server.status()["late"]
    before, gap, count = figures(server), 4801, 40
    with Client(port).opened() as flood, Client(port).opened() as client:
        start = time.time() + 3.0
        for n in range(count):
            client.play("s", "bd", "gain", 1.0, at=start + n * gap / RATE)
        for _ in range(3000):
            flood.play("s", "bd", "gain", 0.01, "cut", 1)
        until(lambda: figures(server)["received"] == before["received"] + count + 3000, 20.0, "all have come")
    play_for(server, max(0.5, start + count * gap / RATE + 0.5 - time.time()))
    late = server.status()["late"] - before_late
    found = np.flatnonzero(stop() > 0.4)[-count:]
    assert late > 0 or np.abs(np.diff(found) - gap).max() <= 1


def test_a_port_that_is_taken_is_a_sentence_before_anything_plays(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = ServerProcess("--audio", "headless", "--strudel-port", str(port), home=tmp_path)
        with pytest.raises(RuntimeError, match=f"TCP port {port} is taken"), server:
            pass
