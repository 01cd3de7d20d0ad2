"""The HTTP server over real sockets, mostly in raw bytes."""

import asyncio
import json
import logging
import re
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from tests.clock import LoopTime
from tests.waiting import comes

from antiphon.kernel.errors import PluginError
from antiphon.web.operations import operation
from antiphon.web.protocol import connection
from antiphon.web.protocol.guard import Site, decode_path
from antiphon.web.server import HttpRefusal, HttpRequest, HttpServer, Limits, Response, answer, text

PATIENT = Limits(request_seconds=120.0, idle_seconds=120.0)
"""On a busy machine a hundred requests may take longer than anybody has for one."""
OVER = 121.0
"""Seconds after which they are up."""


class NameQuery(msgspec.Struct):
    """A query with a name."""

    name: str


@asynccontextmanager
async def running(server: HttpServer) -> AsyncIterator[HttpServer]:
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def serving(limits: Limits = PATIENT) -> AsyncIterator[HttpServer]:
    server = HttpServer(limits=limits)
    server.add("GET", "/hello", lambda request: text("hello"))
    server.add("GET", "/echo/*", lambda request: answer([request.path, request.query, request.peer]))
    server.add("POST", "/length", lambda request: answer(len(request.body)))
    async with running(server):
        yield server


async def send(server: HttpServer, data: bytes, eof: bool = False) -> bytes:
    """Everything the server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        if eof:
            writer.write_eof()
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def get(server: HttpServer, target: str = "/hello", *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def status(reply: bytes) -> int:
    assert reply.startswith(b"HTTP/1.1 "), reply[:80]
    return int(reply[9:12])


def body(reply: bytes) -> bytes:
    return reply.partition(b"\r\n\r\n")[2]


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with serving() as made:
        yield made


async def test_a_request_is_answered_and_counted(server: HttpServer) -> None:
    reply = await send(server, get(server))
    assert (status(reply), body(reply)) == (200, b"hello")
    assert b"nosniff" in reply
    assert server.status()["http_requests"] == 1
    assert server.status()["http_refused"] == 0


async def test_head_says_the_length_and_sends_nothing(server: HttpServer) -> None:
    reply = await send(server, get(server, method="HEAD"))
    assert status(reply) == 200
    assert b"content-length: 5" in reply
    assert body(reply) == b""


async def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order() -> None:
    async with serving(Limits(requests=7)) as server:
        one = f"GET /echo/%d HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n"
        reply = await send(server, "".join(one % n for n in range(20)).encode())
        said = [f'["/echo/{n}", null'.encode() in reply for n in range(20)]
        assert said == [True] * 7 + [False] * 13  # then the server closes
        assert reply.count(b"HTTP/1.1 200") == 7


async def test_a_half_closed_client_is_answered(server: HttpServer) -> None:
    request = f"GET /hello HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode()
    assert body(await send(server, request, eof=True)) == b"hello"


FOREIGN_HOSTS = [
    "evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:{port}",
    "localhost.:{port}", "localhost:{port}:{port}", "user@127.0.0.1:{port}", "127.0.0.1:{port}/x", "0.0.0.0:{port}",
    "[::2]:{port}", "::1:{port}", "[127.0.0.1]:{port}", "127.1:{port}", "localhost:{port}, localhost:{port}", "",
    "127.0.0.1:0{port}000", "2130706433:{port}", "localhost\t:{port}",
]  # fmt: skip


async def test_a_foreign_host_is_refused(server: HttpServer) -> None:
    for count, host in enumerate(FOREIGN_HOSTS, 1):
        named = host.format(port=server.port)
        reply = await send(server, f"GET /hello HTTP/1.1\r\nHost: {named}\r\nConnection: close\r\n\r\n".encode())
        assert 400 <= status(reply) < 500, host
        assert b"hello" not in body(reply), host
        assert server.gate.counters.refused == count, host


TARGETS = {
    200: ("http://127.0.0.1:{port}/hello", "HTTP://localhost:{port}/hello"),
    421: (
        "http://evil.example/hello", "http://evil.example:{port}/hello", "https://127.0.0.1:{port}/hello",
        "http://127.0.0.1:{port}@evil.example/hello", "http://user@127.0.0.1:{port}/hello", "http:///hello",
        "ftp://127.0.0.1:{port}/hello",
    ),
    400: ("*", "hello", "/hello#x"),
    404: ("//127.0.0.1:{port}/hello",),
}  # fmt: skip


async def test_absolute_targets_name_us_too(server: HttpServer) -> None:
    for expected, targets in TARGETS.items():
        for target in targets:
            assert status(await send(server, get(server, target.format(port=server.port)))) == expected, target


FOREIGN_ORIGINS = [
    "null", "", "http://127.0.0.1", "http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://evil.example",
    "http://127.0.0.1:{port}.evil.example", "http://evil.example@127.0.0.1:{port}", "file://",
]  # fmt: skip


async def test_a_foreign_origin_is_refused() -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    async with serving() as server:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            assert status(await send(server, get(server, "/hello", f"Origin: http://{host}:{server.port}"))) == 200
        for origin in FOREIGN_ORIGINS:
            named = origin.format(port=server.port)
            for more in ((), upgrade):
                assert status(await send(server, get(server, "/hello", f"Origin: {named}", *more))) == 403, origin


async def test_a_strangers_page_may_link_here_but_not_fetch(server: HttpServer) -> None:
    for mode, expected in (("navigate", 200), ("no-cors", 403), ("cors", 403)):
        sent = get(server, "/hello", "Sec-Fetch-Site: cross-site", f"Sec-Fetch-Mode: {mode}")
        assert status(await send(server, sent)) == expected


HOSTILE_PATHS = [
    "/../etc/passwd", "/echo/%2e%2e/x", "/echo/..%2fx", "/echo/%2e", "/echo/a%00b", "/echo/%zz", "/echo/%",
    "/echo/%ff", "/echo/%5c..%5c", "/echo/%0d%0aX:%20y", "/echo/" + "a" * 5000, "/echo/" + "%61" * 3000,
    "/" + "a" * 65536,
]  # fmt: skip


async def test_hostile_paths_are_refused(server: HttpServer) -> None:
    for path in HOSTILE_PATHS:
        assert 400 <= status(await send(server, get(server, path))) < 500, path
        assert status(await send(server, get(server))) == 200


async def test_paths_are_decoded_once(server: HttpServer) -> None:
    reply = await send(server, get(server, "/echo/%c3%a9%252e?a%20b"))
    assert json.loads(body(reply)) == ["/echo/é%2e", "a%20b", "127.0.0.1"]


class Names:
    """An operation that answers the names it was given, in the path and in the query."""

    @operation("GET", "/name/{part}")
    def names(self, request: HttpRequest, part: str, query: "NameQuery") -> Response:
        """Answers both."""
        return answer([part, query.name])


@pytest.mark.parametrize(
    "name", ["100%.wav", "100%25.wav", "%41.wav", "a+b.wav", "a b.wav", "a&name=c.wav", "a=b.wav", "é%C3%A9.wav"]
)
async def test_a_name_is_decoded_once(name: str, server: HttpServer) -> None:
    server.serve(Names())
    reply = await send(server, get(server, f"/name/{quote(name, safe='')}?name={quote(name, safe='')}"))
    assert json.loads(body(reply)) == [name, name]


async def test_smuggling_and_bad_framing_are_refused(server: HttpServer) -> None:
    both = ("Content-Length: 4", "Transfer-Encoding: chunked")
    framings: list[tuple[str, ...]] = [
        both, both[::-1], ("Content-Length: 4", "Content-Length: 5"), ("Content-Length: -1",), ("Content-Length: 4_0",),
        ("Transfer-Encoding: xchunked",), ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Content-Length : 4",),
    ]  # fmt: skip
    for framing in framings:
        smuggled = b"0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        reply = await send(server, get(server, "/length", *framing, method="POST") + smuggled)
        assert 400 <= status(reply) < 500, framing
        assert len(re.findall(rb"HTTP/1\.1 \d", reply)) == 1, framing
    assert (await send(server, get(server, "/length", *both, method="POST").replace(b"1.1", b"1.0", 1)))[9:12] == b"400"


async def test_bodies_are_taken_up_to_their_limit() -> None:
    async with serving(Limits(body=1000)) as server:
        sent = get(server, "/length", "Content-Length: 1000", method="POST") + bytes(1000)
        assert body(await send(server, sent)) == b"1000"
        reply = await send(server, get(server, "/length", "Content-Length: 1001", method="POST") + bytes(1001))
        assert status(reply) == 413
        chunks = b"1\r\nx\r\n" * 1001 + b"0\r\n\r\n"
        chunked = get(server, "/length", "Transfer-Encoding: chunked", method="POST")
        assert status(await send(server, chunked + chunks)) == 413
        assert body(await send(server, chunked + chunks[6:])) == b"1000"
        assert server.gate.body_bytes == 0


async def test_bodies_of_all_clients_together_are_bounded() -> None:
    async with serving(Limits(body=1000, bodies=1500)) as server:
        _, first = await asyncio.open_connection("127.0.0.1", server.port)
        first.write(get(server, "/length", "Content-Length: 1000", method="POST") + bytes(900))
        await comes(lambda: server.gate.body_bytes == 900, "a piece of the body")
        sent = get(server, "/length", "Content-Length: 1000", method="POST") + bytes(1000)
        assert status(await send(server, sent)) == 429
        first.close()
        await comes(lambda: server.gate.body_bytes == 0, "the body is forgotten")
        assert status(await send(server, sent)) == 200


async def test_a_get_carries_no_body(server: HttpServer) -> None:
    assert status(await send(server, get(server, "/hello", "Content-Length: 0"))) == 200
    assert status(await send(server, get(server, "/hello", "Content-Length: 1") + b"x")) == 413
    chunked = get(server, "/hello", "Transfer-Encoding: chunked")
    assert status(await send(server, chunked + b"1\r\nx\r\n0\r\n\r\n")) == 413


async def test_a_body_in_crumbs_is_refused() -> None:
    async with serving(Limits(chunks=100)) as server:
        chunked = get(server, "/length", "Transfer-Encoding: chunked", method="POST")
        assert body(await send(server, chunked + b"1\r\nx\r\n" * 100 + b"0\r\n\r\n")) == b"100"
        assert status(await send(server, chunked + b"1\r\nx\r\n" * 101 + b"0\r\n\r\n")) == 413


async def test_a_dropped_client_gives_its_share_of_memory_back() -> None:
    async with serving(Limits(connections=1)) as server:
        _, first = await asyncio.open_connection("127.0.0.1", server.port)
        first.write(get(server, "/length", "Content-Length: 1000", method="POST") + bytes(900))
        await comes(lambda: server.gate.body_bytes == 900, "a piece of the body")
        assert status(await send(server, get(server))) == 200
        assert server.gate.counters.dropped == 1
        assert server.gate.body_bytes == 0
        first.close()


async def test_clients_that_leave_before_their_time_is_up_stop_nothing() -> None:
    """A reset just as the server says 408: the sweep goes on."""
    time = LoopTime()
    async with serving() as server:
        for _ in range(20):
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.sendall(b"GET /")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await comes(lambda: any(c.receiving for c in server.connections.waiting), "a piece of the head")
            for one in list(server.connections.waiting):
                one.transport.pause_reading()  # type: ignore[union-attr]  # it does not see the reset
            sock.close()
        time.passes(OVER)
        await comes(lambda: not server.connections.waiting, "each is closed")
        assert server.gate.counters.errors == 0
        assert status(await send(server, get(server))) == 200


async def test_the_loop_stays_free_while_many_send_crumbs(server: HttpServer) -> None:
    bomb = get(server, "/length", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n" * 1000
    opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(100)]
    waiting = server.connections.waiting
    await comes(lambda: len(waiting) == 100 and all(one.transport for one in waiting), "a hundred")
    for _, writer in opened:
        writer.write(bomb)
    worst = 0.0
    while server.gate.body_bytes < 100 * 1000:
        started = time.thread_time()
        await asyncio.sleep(0)  # one turn of the loop, which is what OSC has to wait for
        worst = max(worst, time.thread_time() - started)
    assert worst < 0.1
    for _, writer in opened:
        writer.close()


async def test_a_client_that_sends_all_before_it_reads_sees_the_answer() -> None:
    def blocking(port: int, sent: bytes) -> bytes:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            sock.settimeout(60)
            sock.connect(("127.0.0.1", port))
            sock.sendall(sent)
            return sock.recv(1000)

    async with serving() as server:
        size = 3_900_000
        sent = get(server, "/length", f"Content-Length: {size}", method="POST") + bytes(size)
        assert status(await asyncio.to_thread(blocking, server.port, sent)) == 413


async def test_expect_100_continue(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(get(server, "/length", "Content-Length: 3", "Expect: 100-continue", method="POST"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    writer.write(b"abc")
    assert body(await reader.read()) == b"3"
    writer.close()


async def test_header_blocks_are_bounded(server: HttpServer) -> None:
    assert status(await send(server, get(server, "/hello", "X: " + "a" * 15000))) == 200
    for headers in ([f"X: {'a' * 17000}"], [f"X{n}: {'a' * 100}" for n in range(300)], ["A:"] * 101):
        assert status(await send(server, get(server, "/hello", *headers))) == 431
    endless = f"GET /hello HTTP/1.1\r\nHost: localhost:{server.port}\r\nX: {'a' * 300_000}"
    assert status(await send(server, endless.encode())) == 431


async def test_other_methods_and_addresses(server: HttpServer) -> None:
    reply = await send(server, get(server, "/hello", method="DELETE"))
    assert (status(reply), b"allow: GET" in reply) == (405, True)
    assert status(await send(server, get(server, "/nothing"))) == 404
    reply = await send(server, get(server, "/length", "Access-Control-Request-Method: POST", method="OPTIONS"))
    assert status(reply) == 405
    assert b"access-control" not in reply.lower()
    assert status(await send(server, get(server, f"127.0.0.1:{server.port}", method="CONNECT"))) == 400


async def test_an_incomplete_request_and_a_silent_connection_are_closed() -> None:
    time = LoopTime()
    async with serving() as server:
        half = f"GET /hello HTTP/1.1\r\nHost: localhost:{server.port}\r\n".encode()
        asked = [asyncio.ensure_future(send(server, data)) for data in (half, b"", b"GET / HT")]
        waiting = server.connections.waiting
        await comes(lambda: [c.idle for c in waiting].count(False) == 2 and len(waiting) == 3, "what each sends")
        time.passes(OVER)
        replies = await asyncio.gather(*asked)
        assert [reply[:12] for reply in replies] == [b"HTTP/1.1 408", b"", b"HTTP/1.1 408"]
        assert server.gate.counters.timeouts == 3
        await comes(lambda: not server.connections.waiting, "each is closed")


async def test_dripping_bytes_does_not_buy_time() -> None:
    time = LoopTime()
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        reply = asyncio.ensure_future(reader.read())
        for byte in b"GET /hello HTTP/1.1\r\nX: " + b"a" * 20:
            writer.write(bytes([byte]))
            await comes(lambda: any(not c.idle for c in server.connections.waiting) or reply.done(), "a byte")
            time.passes(OVER / 40)
        assert (await asyncio.wait_for(reply, 30)).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_a_kept_connection_that_falls_silent_is_closed() -> None:
    time = LoopTime()
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET /hello HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
        assert status(await reader.readuntil(b"\r\n\r\nhello")) == 200
        time.passes(OVER)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_a_client_that_does_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.4)
    async with serving() as server:
        server.add("GET", "/big", lambda request: Response(body=bytes(20_000_000)))
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(f"GET /big HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode() * 3)
        await comes(lambda: server.gate.counters.requests > 0, "a request")
        await comes(lambda: not server.connections.count, "its end")
        assert server.gate.counters.requests == 1  # the others waited for the first to be read
        writer.close()


async def test_when_full_the_longest_waiting_connection_makes_room() -> None:
    async with serving(Limits(connections=10)) as server:
        opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(10)]
        await comes(lambda: len(server.connections.waiting) == 10, "ten")
        assert body(await send(server, get(server))) == b"hello"
        assert await asyncio.wait_for(opened[0][0].read(), 30) == b""
        assert server.gate.counters.dropped == 1
        second = asyncio.ensure_future(opened[1][0].read())
        await asyncio.sleep(0)
        assert not second.done()
        second.cancel()
        for _, writer in opened:
            writer.close()


async def test_a_handler_that_raises_is_one_line_and_500(caplog: pytest.LogCaptureFixture) -> None:
    time = LoopTime()

    def broken(request: HttpRequest) -> Response:
        raise RuntimeError("two\nlines")

    async def slow(request: HttpRequest) -> Response:
        time.passes(OVER)
        await asyncio.Event().wait()
        return text("never")

    async def late(request: HttpRequest) -> Response:
        await asyncio.sleep(0)
        return text("late")

    def refusing(request: HttpRequest) -> Response:
        raise HttpRefusal(409, "not now")

    async with serving(Limits(120.0, 120.0, handler_seconds=60.0)) as server:
        server.add("GET", "/plugins/broken", broken)
        server.add("GET", "/plugins/none", lambda request: None)  # type: ignore[arg-type, return-value]
        server.add("GET", "/plugins/header", lambda request: Response(headers=(("X", "a\r\nY: b"),)))
        server.add("GET", "/plugins/text", lambda request: Response(body="text"))  # type: ignore[arg-type]
        server.add("GET", "/plugins/slow", slow)
        server.add("GET", "/plugins/late", late)
        server.add("GET", "/plugins/refusing", refusing)
        with caplog.at_level(logging.ERROR):
            for name in ("broken", "none", "header", "text"):
                reply = await send(server, get(server, f"/plugins/{name}"))
                assert status(reply) == 500, name
                assert b"two" not in reply
            assert status(await send(server, get(server, "/plugins/slow"))) == 503
        assert body(await send(server, get(server, "/plugins/late"))) == b"late"
        assert status(await send(server, get(server, "/plugins/refusing"))) == 409
        assert server.gate.counters.errors == 5
        assert len(caplog.records) == 5
        assert all("\n" not in record.getMessage() and not record.exc_info for record in caplog.records)


def test_plugins_cannot_take_our_paths() -> None:
    server = HttpServer()
    server.routes.reserve(frozenset({"api", "node"}))
    server.add("get", "/plugins/x/y", lambda request: text(""))
    server.add("GET", "/gallery", lambda request: text(""))
    for path in ("/", "/api/status", "/node/x", "/*", "x", "//x", "/plugins/../api", "/plugins/x/y"):
        with pytest.raises(PluginError):
            server.add("GET", path, lambda request: text(""))
    with pytest.raises(PluginError):
        server.add("BREW", "/plugins/pot", lambda request: text(""))
    server.add("POST", "/plugins/x/y", lambda request: text(""))
    assert set(server.routes.paths()) == {("/plugins/x/y", "GET"), ("/gallery", "GET"), ("/plugins/x/y", "POST")}


async def test_of_several_routes_the_plainest_answers(server: HttpServer) -> None:
    for path in ("/plugins/x/*", "/plugins/x/{name}", "/plugins/x/y"):
        server.add("GET", path, lambda request, path=path: answer([path, request.parts]))
    for asked, served, parts in (
        ("/plugins/x/y", "/plugins/x/y", {}),
        ("/plugins/x/z%20", "/plugins/x/{name}", {"name": "z "}),
        ("/plugins/x/y/z", "/plugins/x/*", {"rest": "y/z"}),
    ):
        assert json.loads(body(await send(server, get(server, asked)))) == [served, parts]


async def test_numbers_json_cannot_hold_are_null() -> None:
    assert answer({"a": [float("nan"), 1.5], "b": float("inf")}).body == b'{"a": [null, 1.5], "b": null}'


FRAGMENTS = st.sampled_from(
    [b"GET ", b"POST /length", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"\n", b":", b"Host: localhost", b"%00", b"/hello",
     b"Content-Length: 5", b"Transfer-Encoding: chunked", b"0\r\n\r\n", b"ffffffff\r\n", b"\x00", b"Connection: close",
     b"Expect: 100-continue", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"Upgrade: websocket"]
)  # fmt: skip


@pytest.fixture(scope="module")
def loop_and_server():
    loop = asyncio.new_event_loop()
    server = HttpServer(limits=PATIENT)
    server.add("GET", "/hello", lambda request: text("hello"))
    server.add("POST", "/length", lambda request: answer(len(request.body)))
    complaints: list[object] = []
    loop.set_exception_handler(lambda loop, context: complaints.append(context))
    loop.run_until_complete(server.start())
    yield loop, server, complaints
    loop.run_until_complete(server.stop())
    loop.close()


@settings(max_examples=150)
@given(data=st.lists(st.binary(max_size=40) | FRAGMENTS, max_size=12).map(b"".join))
def test_any_bytes_leave_the_next_request_answered(loop_and_server, data: bytes) -> None:
    loop, server, complaints = loop_and_server

    async def attack() -> None:
        reply = await send(server, data.replace(b"localhost", f"localhost:{server.port}".encode()), eof=True)
        assert reply == b"" or reply.startswith(b"HTTP/1.1 ")
        assert body(await send(server, get(server))) == b"hello"

    loop.run_until_complete(attack())
    assert not complaints
    assert server.gate.counters.errors == 0


@given(st.text(alphabet="./%\\abc0123456789\x00\xe9", max_size=30))
def test_a_decoded_path_never_climbs(path: str) -> None:
    try:
        decoded = decode_path("/" + path)
    except HttpRefusal:
        return
    assert decoded.startswith("/")
    assert not {".", ".."} & set(decoded.split("/"))
    assert "\x00" not in decoded
    assert "\\" not in decoded


async def test_stopping_ends_handlers_and_connections() -> None:
    server = HttpServer()
    began = asyncio.Event()

    async def forever(request: HttpRequest) -> Response:
        began.set()
        await asyncio.Event().wait()
        return text("never")

    server.add("GET", "/forever", forever)
    await server.start()
    waiting = asyncio.ensure_future(send(server, get(server, "/forever")))
    await began.wait()
    await asyncio.wait_for(server.stop(), 30)
    assert await asyncio.wait_for(waiting, 30) == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


def test_default_ports_need_not_be_named() -> None:
    assert Site("http", 80).names_this_server("localhost")
    assert Site("https", 443, frozenset({"192.168.1.5"})).names_this_server("192.168.1.5")
    assert not Site("http", 4401).names_this_server("localhost")
    assert Site("https", 4401).names_this_server("10.0.0.7:4401", local="10.0.0.7")
    assert not Site("https", 4401).names_this_server("10.0.0.8:4401", local="10.0.0.7")
