"""A server that drains: no new connections, idle ones closed, what runs is finished, what lasts is not waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.waiting import comes
from tests.web.test_http import running

from antiphon.web.http_message import HttpRequest, Response, text
from antiphon.web.protocol.guard import Limits, Site
from antiphon.web.server import HttpServer, drain

LONG = 600.0
"""Seconds that no test waits for."""


@asynccontextmanager
async def slow_server() -> AsyncIterator[tuple[HttpServer, asyncio.Event, asyncio.Event]]:
    """A server whose /slow answers once the second event is set; it sets the first one when it is asked."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow(request: HttpRequest) -> Response:
        asked.set()
        await answered.wait()
        return text("done")

    server = HttpServer(limits=Limits(request_seconds=LONG))
    server.add("GET", "/slow", slow)
    async with running(server):
        yield server, asked, answered


async def connected(server: HttpServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def test_a_request_that_runs_is_answered_and_an_idle_connection_is_closed() -> None:
    async with slow_server() as (server, asked, answered):
        reader, writer = await connected(server)
        idle, _ = await connected(server)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
        await asked.wait()
        draining = asyncio.create_task(drain(server, LONG))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):  # it is closed before the answer
            await idle.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await connected(server)
        assert not draining.done()
        answered.set()
        assert (await reader.read()).endswith(b"done")
        assert await draining


async def test_a_request_that_is_half_received_is_answered() -> None:
    async with slow_server() as (server, _, answered):
        answered.set()
        reader, writer = await connected(server)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: ")
        await comes(lambda: not all(c.idle for c in server.connections.waiting), "the first half is received")
        draining = asyncio.create_task(drain(server, LONG))
        turns = []
        server.draining.append(lambda: turns.append(0) or 0)
        await comes(lambda: len(turns) > 3, "several of its turns")
        assert not draining.done()
        writer.write(b"127.0.0.1:%d\r\n\r\n" % server.port)
        assert (await reader.read()).endswith(b"done")
        assert await draining


async def test_what_does_not_end_is_left() -> None:
    async with slow_server() as (server, asked, _):
        _, writer = await connected(server)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
        await asked.wait()
        assert not await drain(server, 0.1)


async def test_work_that_runs_is_waited_for() -> None:
    left = [3, 2, 1, 0]
    async with slow_server() as (server, _, _):
        server.draining.append(lambda: left.pop(0))
        assert await drain(server, LONG)
        assert left == []


def test_a_proxys_name_is_ours_and_so_is_its_origin() -> None:
    site = Site("http", 4401, proxied=frozenset({"studio.example", "studio.example:8443"}))
    assert site.names_this_server("Studio.example")
    assert site.names_this_server("studio.example:8443")
    assert not site.names_this_server("studio.example:4401")
    assert not site.names_this_server("other.example")
    site.check([(b"host", b"studio.example"), (b"origin", b"https://studio.example")])
    with pytest.raises(Exception, match="other sites"):
        site.check([(b"host", b"studio.example"), (b"origin", b"http://studio.example")])
