"""Strudel's clients take turns: of all together one piece is handled before the event loop goes on."""

import asyncio
from contextlib import nullcontext
from typing import Any, cast

import pytest
from wsproto import ConnectionType, WSConnection, events

from antiphon_dirt.strudel import StrudelPort

EVENT = '{"address": "/dirt/play", "args": ["s", "bd", "cps", 0.5]}'


class _Transport:
    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass


class _Client:
    """A client that sends its request, and `count` events at once when it is accepted. It is its own writer."""

    transport = _Transport()

    def __init__(self, count: int) -> None:
        self._ws, self._count = WSConnection(ConnectionType.CLIENT), count
        self.reader = asyncio.StreamReader(1 << 30)
        self.reader.feed_data(self._ws.send(events.Request("localhost", "/")))

    def write(self, data: bytes) -> None:
        self._ws.receive_data(data)
        if any(isinstance(event, events.AcceptConnection) for event in self._ws.events()):
            self.reader.feed_data(b"".join(self._ws.send(events.TextMessage(EVENT)) for _ in range(self._count)))
            self.reader.feed_eof()

    def close(self) -> None:
        pass


class _Server:
    def turn(self) -> Any:
        return nullcontext()


async def test_clients_that_have_sent_all_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    port = StrudelPort(cast(Any, _Server()), cast(Any, None), ())
    pieces, turns, most = 0, 0, 0

    def play(texts: list[str]) -> None:
        nonlocal pieces
        pieces += 1

    monkeypatch.setattr(port, "_play", play)
    made = [_Client(500) for _ in range(4)]
    clients = [asyncio.create_task(port._serve(one.reader, cast(Any, one))) for one in made]
    while not all(client.done() for client in clients):
        before = pieces
        await asyncio.sleep(0)  # what OSC has to wait for
        most, turns = max(most, pieces - before), turns + 1
    assert pieces > 4 * 8
    assert most == 1
    assert turns >= pieces
