"""No route holds the threads of the others, and each has its turn."""

import asyncio
import io
import os
import threading
import zipfile
from functools import partial
from pathlib import Path

import pytest
from tests.waiting import comes
from tests.web.test_http import body, get, send, serving, status

from antiphon.web.api.recordings import zip_folder
from antiphon.web.protocol import lanes
from antiphon.web.protocol.lanes import LANE, SHARE, LanePool
from antiphon.web.server import HttpRequest, Response, text


@pytest.mark.parametrize(("routes", "calls", "working"), [(1, 24, SHARE), (20, 2, 20)])
async def test_slow_routes_leave_threads_to_others(routes: int, calls: int, working: int) -> None:
    gate, begun = threading.Event(), []

    async def slow(number: int, request: HttpRequest) -> Response:
        await asyncio.to_thread(lambda: (begun.append(number), gate.wait(60)))
        return text("slow")

    async def quick(request: HttpRequest) -> Response:
        return text(await asyncio.to_thread(lambda: "quick"))

    async with serving() as server:
        paths = [f"/plugins/slow{n}" for n in range(routes)]
        for number, path in enumerate(paths):
            server.add("GET", path, partial(slow, number))
        server.add("GET", "/plugins/quick", quick)
        waiting = [asyncio.create_task(send(server, get(server, path))) for path in paths for _ in range(calls)]
        await comes(lambda: len(server.connections.busy) == routes * calls, "all ask")
        await comes(lambda: len(begun) >= working and set(begun) == set(range(routes)), "each route works")
        assert body(await send(server, get(server, "/plugins/quick"))) == b"quick"
        assert all(begun.count(number) <= SHARE for number in range(routes))
        gate.set()
        assert {body(reply) for reply in await asyncio.gather(*waiting)} == {b"slow"}


async def test_a_lane_that_is_full_refuses_with_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_WAITING", 2)
    gate = threading.Event()

    async def slow(request: HttpRequest) -> Response:
        await asyncio.to_thread(gate.wait, 60)
        return text("slow")

    async with serving() as server:
        server.add("GET", "/plugins/slow", slow)
        waiting = [asyncio.create_task(send(server, get(server, "/plugins/slow"))) for _ in range(SHARE + 4)]
        await comes(lambda: sum(task.done() for task in waiting) >= 2, "two are refused")
        gate.set()
        assert {status(reply) for reply in await asyncio.gather(*waiting)} == {200, 503}


def test_a_lane_has_its_threads_again_when_others_end() -> None:
    pool, gate, held, done = LanePool(), threading.Event(), threading.Event(), []
    try:
        for number in range(lanes.THREADS // 2):
            LANE.set(number)
            pool.submit(gate.wait, 60)
        LANE.set("mine")
        first = pool.submit(held.wait, 60)
        following = [pool.submit(done.append, number) for number in range(3)]
        gate.set()
        for one in (*following, pool.submit(done.append, "late")):
            one.result(60)
        assert done == [0, 1, 2, "late"], "beside the first, which holds one thread, in order"
        held.set()
        assert first.result(60)
    finally:
        gate.set()
        held.set()
        LANE.set(None)
        pool.shutdown()
    assert pool._lanes == {}


def test_a_call_that_fails_or_is_cancelled_frees_its_lane() -> None:
    pool, gate = LanePool(), threading.Event()
    LANE.set("route")
    try:
        held = [pool.submit(gate.wait, 60) for _ in range(SHARE)]
        cancelled, failing = pool.submit(print), pool.submit(lambda: 1 / 0)
        assert cancelled.cancel()
        gate.set()
        assert isinstance(failing.exception(60), ZeroDivisionError)
        assert all(one.result(60) for one in held)
        assert pool.submit(lambda: 3).result(60) == 3
    finally:
        LANE.set(None)
        pool.shutdown()
    assert pool._lanes == {}


def test_tracks_of_a_machine_without_a_clock_are_fetched(tmp_path: Path) -> None:

    folder = tmp_path / "take"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    os.utime(folder / "a.txt", (0, 0))
    os.utime(folder / "b.txt", (5_000_000_000, 5_000_000_000))
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_folder(folder)))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["take/a.txt", "take/b.txt"]
