"""OSCQuery's LISTEN over a WebSocket, with a stand-in for control that sends what subscribers are sent."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import wsproto
from tests.clock import LoopTime
from tests.waiting import comes
from tests.web.test_http import PATIENT, running
from wsproto import WSConnection, events

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.kernel.wire.osc import IMMEDIATELY, Message, decode, encode, encode_bundle
from antiphon.web.control_link import ControlLink
from antiphon.web.control_requests import WebRequests
from antiphon.web.http_message import HttpRefusal, text
from antiphon.web.oscquery import listeners
from antiphon.web.oscquery.listeners import AddressSpace
from antiphon.web.protocol.guard import Limits
from antiphon.web.protocol.websocket import TURN_BYTES
from antiphon.web.server import HttpServer

PATIENCE = 30.0


class ControlSocket:
    """Control's OSC socket: remembers who subscribed, and sends them what it is told to."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.subscriber: Any = None

    async def heard(self) -> Message:
        """The next message to control."""
        async with asyncio.timeout(PATIENCE):
            data, self.subscriber = await asyncio.get_running_loop().sock_recvfrom(self.sock, 4096)
        message = decode(data)
        assert isinstance(message, Message)
        return message

    def send(self, packet: bytes) -> None:
        self.sock.sendto(packet, self.subscriber)


class Client:
    """A WebSocket on wsproto."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._conn = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events: list[events.Event] = []

    async def open(self, path: str = "/", **headers: str) -> events.Event:
        host = f"127.0.0.1:{self._server.port}"
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._writer.write(self._conn.send(events.Request(host=host, target=path, extra_headers=extra)))
        return await self.next()

    async def next(self) -> events.Event:
        async with asyncio.timeout(PATIENCE):
            while not self._events:
                data = await self._reader.read(65536)
                self._conn.receive_data(data or None)
                self._events += list(self._conn.events())
        event = self._events.pop(0)
        if isinstance(event, events.Ping):
            self._writer.write(self._conn.send(event.response()))
            return await self.next()
        return event

    def send(self, data: str | bytes) -> None:
        self._writer.write(self._conn.send(events.Message(data=data)))

    def listen(self, address: str, command: str = "LISTEN") -> None:
        self.send(json.dumps({"COMMAND": command, "DATA": address}))

    async def refused(self) -> str:
        """The sentence that answers a message."""
        event = await self.next()
        assert isinstance(event, events.TextMessage)
        return str(json.loads(event.data)["error"])

    async def change(self) -> Message:
        event = await self.next()
        assert isinstance(event, events.BytesMessage), event
        message = decode(bytes(event.data))
        assert isinstance(message, Message)
        return message

    async def settled(self) -> None:
        """All that was sent before has been read by the server."""
        self.send("?")
        await self.refused()

    def close(self) -> None:
        self._writer.close()


@contextmanager
def stand_in(kind: type[ControlLink] = ControlLink) -> Iterator[tuple[ControlLink, ControlSocket, socket.socket]]:
    """The web process's link to a stand-in for control, and control's end of it."""
    control, ends = ControlSocket(), socket_pair()
    link = kind(ends[0], control.sock.getsockname())
    try:
        yield link, control, ends[1]
    finally:
        link.close()
        ends[1].close()
        control.sock.close()


@asynccontextmanager
async def serving(limits: Limits = PATIENT) -> AsyncIterator[tuple[HttpServer, ControlSocket]]:
    with stand_in() as (link, control, _):
        server = HttpServer(control=link, limits=limits)
        server.add("GET", "/", lambda request: text("here"))
        async with running(server):
            yield server, control


async def test_a_listener_is_sent_the_values_it_asked_for_as_osc() -> None:
    async with serving() as (server, control):
        client = Client(server)
        assert isinstance(await client.open(), events.AcceptConnection)
        assert (await control.heard())[::2] == (b"/notify", (1,))
        client.listen("/node/a/gain")
        client.listen("/node/a/mode")
        await client.settled()
        control.send(encode("/node/b/gain", 0.1))
        control.send(encode_bundle(IMMEDIATELY, [encode("/node/a/gain", 0.5), encode("/meter", "a", 0.1, 0.1)]))
        assert (await client.change())[::2] == (b"/node/a/gain", (0.5,))
        client.listen("/node/a/gain", "IGNORE")
        await client.settled()
        control.send(encode("/node/a/gain", 0.7))
        control.send(encode("/node/a/mode", "wavelet"))
        assert (await client.change())[::2] == (b"/node/a/mode", ("wavelet",))
        client.close()
        assert (await control.heard())[::2] == (b"/notify", (0,))


class Fading:
    """A node's parameters: one of each kind whose value is sent otherwise than control sends it."""

    params = (
        Param("gain", default=0.0, low=-20.0, high=20.0, unit="dB"),
        Param("mode", "choice", "gate", choices=("gate", "wavelet", "learned")),
        Param("full", "switch", False),
    )
    catalog = Catalog({"fade": ProcessorInfo("fade", "Fades.", "f", (AUDIO_IN,), (AUDIO_OUT,), params)})


class FakeSession:
    """The nodes of the moment; no values."""

    def __init__(self) -> None:
        self.state = self
        self.graph = Graph((NodeSpec("a", "fade"),))

    def value(self, node: str, param: str) -> float:
        raise RequestError("unknown")


class FakeApp:
    """What the web's requests use of control."""

    def __init__(self) -> None:
        self.catalog, self.session, self.executor = Fading.catalog, FakeSession(), self

    def settle(self) -> None: ...


@asynccontextmanager
async def with_nodes(folder: Path) -> AsyncIterator[tuple[HttpServer, ControlSocket, FakeApp]]:
    """As `serving`, with a control that answers which nodes there are, and a client's first look at them done."""
    app = FakeApp()
    with stand_in() as (link, control, end):
        requests = WebRequests(end, folder)
        tasks = [asyncio.create_task(link.serve()), asyncio.create_task(requests.serve(app))]  # type: ignore[arg-type]
        server = HttpServer(control=link, limits=PATIENT)
        server.add("GET", "/", lambda request: text("here"))
        server.listeners.space = AddressSpace(Fading.catalog)
        try:
            async with running(server):
                yield server, control, app
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def opened(server: HttpServer, control: ControlSocket) -> Client:
    """A client that is subscribed, once the server knows the nodes there are."""
    client = Client(server)
    await client.open()
    await control.heard()
    assert server.listeners._looking is not None
    await asyncio.wait_for(server.listeners._looking, PATIENCE)
    return client


async def test_values_are_sent_as_the_tree_declares_them(tmp_path: Path) -> None:
    async with with_nodes(tmp_path) as (server, control, _):
        client = await opened(server, control)
        for address in ("/node/a/full", "/node/a/gain/norm", "/node/a/mode/norm", "/node/a/mode", "/node/out/mute"):
            client.listen(address)
        await client.settled()
        sent = [("full", 1), ("gain", 10.0), ("mode", "wavelet")]
        control.send(encode_bundle(IMMEDIATELY, [encode(f"/node/a/{name}", value) for name, value in sent]))
        control.send(encode("/node/out/mute", 0))
        got = [await client.change() for _ in range(5)]
        assert {(m.address, m.tags, m.args) for m in got} == {
            (b"/node/a/full", b",T", (True,)),
            (b"/node/a/gain/norm", b",f", (0.75,)),
            (b"/node/a/mode", b",s", ("wavelet",)),
            (b"/node/a/mode/norm", b",f", (0.5,)),
            (b"/node/out/mute", b",F", (False,)),
        }


async def test_nodes_that_come_and_go_are_sent_to_every_client(tmp_path: Path) -> None:
    async with with_nodes(tmp_path) as (server, control, app):
        client = await opened(server, control)
        app.session.graph = Graph((NodeSpec("a", "other"), NodeSpec("b", "fade")))
        control.send(encode("/patch/loaded", "new"))
        got = [json.loads((await client.next()).data) for _ in range(3)]  # type: ignore[attr-defined]
        assert sorted((each["DATA"], each["COMMAND"]) for each in got) == [
            ("/node/a", "PATH_ADDED"),
            ("/node/a", "PATH_REMOVED"),
            ("/node/b", "PATH_ADDED"),
        ]
        of_a = [each["COMMAND"] for each in got if each["DATA"] == "/node/a"]
        assert of_a == ["PATH_REMOVED", "PATH_ADDED"], "in their order"
        app.session.graph = Graph((NodeSpec("b", "fade"),))
        control.send(encode("/patch/loaded", "less"))
        event = await client.next()
        assert json.loads(event.data) == {"COMMAND": "PATH_REMOVED", "DATA": "/node/a"}  # type: ignore[attr-defined]
        client.listen("/node/b/full")
        await client.settled()
        control.send(encode("/node/b/full", 1))
        assert (await client.change()).tags == b",T", "a node that came later is known"


def test_commands_that_wait_are_at_most_two_for_a_path() -> None:
    listener = listeners.WebListener()
    for _ in range(100):
        listener.queue_path("PATH_REMOVED", "/node/a")
        listener.queue_path("PATH_ADDED", "/node/a")
    assert listener.paths == {"/node/a": ["PATH_REMOVED", "PATH_ADDED"]}


async def test_a_binary_message_is_an_osc_packet_for_the_server(tmp_path: Path) -> None:
    async with with_nodes(tmp_path) as (server, control, _):
        client = await opened(server, control)
        client.send(encode("/node/a/gain", -3.0))
        assert (await control.heard())[::2] == (b"/node/a/gain", (-3.0,))
        client.send(b"no packet")
        assert await client.refused()


async def test_of_several_changes_that_wait_the_last_is_sent() -> None:
    listener = listeners.WebListener()
    listener.command('{"COMMAND": "LISTEN", "DATA": "/a"}')
    for number in range(100):
        listener.change("/a", encode("/a", number))
        listener.change("/b", encode("/b", number))
    assert listener.pending == {"/a": encode("/a", 99)}


@pytest.mark.parametrize(
    "message",
    ["", "[]", "{", '{"COMMAND": "LISTEN"}', '{"COMMAND": "DROP", "DATA": "/a"}', '{"COMMAND": "LISTEN", "DATA": 1}',
     '{"COMMAND": "LISTEN", "DATA": "a"}', json.dumps({"COMMAND": "LISTEN", "DATA": "/" + "a" * 300}), "[" * 3000],
)  # fmt: skip
async def test_what_is_no_command_is_refused_in_a_sentence(message: str) -> None:
    async with serving() as (server, _):
        client = Client(server)
        await client.open()
        client.send(message)
        assert await client.refused()


async def test_addresses_messages_and_listeners_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "MAX_ADDRESSES", 3)
    monkeypatch.setattr(listeners, "MAX_LISTENERS", 2)
    async with serving() as (server, _):
        clients = [Client(server) for _ in range(3)]
        opened = [await client.open() for client in clients]
        assert [type(event).__name__ for event in opened] == ["AcceptConnection"] * 2 + ["RejectConnection"]
        for number in range(4):
            clients[0].listen(f"/{number}")
        assert "at most 3 addresses" in await clients[0].refused()
        clients[1].send("x" * 5000)
        event = await clients[1].next()
        assert isinstance(event, events.CloseConnection)
        assert event.code == 1009


async def test_the_guard_stands_before_a_websocket_too() -> None:
    async with serving() as (server, _):
        ours = f"http://127.0.0.1:{server.port}"
        for origin, accepted in ((ours, True), ("http://evil.example", False), ("null", False)):
            client = Client(server)
            event = await client.open(Origin=origin)
            assert isinstance(event, events.AcceptConnection) is accepted
            if not accepted:
                assert isinstance(event, events.RejectConnection)
                assert event.status_code == 403
            client.close()

        def closed(request: object, needed: bool) -> None:
            raise HttpRefusal(401, "the token")

        server.gate.authorise = closed
        client = Client(server)
        event = await client.open()
        assert isinstance(event, events.RejectConnection)
        assert event.status_code == 401


async def test_a_listener_that_answers_no_ping_is_closed() -> None:
    time = LoopTime()
    async with serving() as (server, _):
        client = Client(server)
        await client.open()
        reading = asyncio.ensure_future(client._reader.read())

        def ended() -> bool:
            time.passes(50.0)
            return reading.done()

        await comes(ended, "it is disconnected")
        await comes(lambda: len(server.listeners) == 0, "it is forgotten")


async def test_stopping_ends_listeners() -> None:
    async with serving() as (server, _):
        client = Client(server)
        await client.open()
        await asyncio.wait_for(server.stop(), PATIENCE)
        assert len(server.listeners) == 0


async def test_jobs_are_sent_to_those_who_listen_to_them() -> None:
    async with serving() as (server, _):
        follower, other = Client(server), Client(server)
        for client in (follower, other):
            await client.open()
        follower.listen("/api/jobs")
        await follower.settled()
        server.listeners.job("a", {"id": "a", "progress": 0.5})
        server.listeners.files()
        told = [await follower.next(), await follower.next()]
        assert [json.loads(event.data) for event in told if isinstance(event, events.TextMessage)] == [
            {"COMMAND": "JOB", "DATA": {"id": "a", "progress": 0.5}},
            {"COMMAND": "FILES"},
        ]
        await other.settled()  # the next that it gets is the answer to what it sends


async def test_a_client_that_pings_without_end_is_disconnected_and_delays_nobody() -> None:
    async with serving() as (server, _):
        flooding = []
        for _ in range(8):
            client = Client(server)
            await client.open()
            flooding.append(client)
        ping = client._conn.send(events.Ping(payload=b""))
        for client in flooding:
            client._writer.write(ping * 40_000)
        polite = Client(server)
        await polite.open()
        for _ in range(20):
            polite._writer.write(polite._conn.send(events.Ping(payload=b"x")))
            assert isinstance(await polite.next(), events.Pong)
        for client in flooding:
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    assert len(await client._reader.read()) <= 400, "some pings of a second are answered"
        for _ in range(5):
            polite.send("?" * 2000)
        for _ in range(5):
            await polite.refused()


async def test_what_many_clients_send_at_once_is_handled_piece_by_piece_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handled = {"turn": 0, "most": 0, "all": 0}
    received = WSConnection.receive_data

    def receive(ws: WSConnection, data: bytes | None) -> None:
        handled["turn"] += len(data or b"")
        handled["all"] += len(data or b"")
        handled["most"] = max(handled["most"], handled["turn"])
        received(ws, data)

    async with serving() as (server, _):
        clients = [Client(server) for _ in range(8)]
        for client in clients:
            await client.open()
        monkeypatch.setattr(WSConnection, "receive_data", receive)
        loop = asyncio.get_running_loop()

        def begin_turn() -> None:
            handled["turn"] = 0
            timer[0] = loop.call_soon(begin_turn)

        timer = [loop.call_soon(begin_turn)]
        text = clients[0]._conn.send(events.TextMessage(data="{}"))
        for client in clients:
            client._writer.write(text * 250)
        await comes(lambda: handled["all"] == 8 * 250 * len(text), "all of it")
        timer[0].cancel()
        assert handled["most"] <= 2 * TURN_BYTES
