"""Control's answers to the web process: right, in slices, and within a share of its time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.control.rig import Rig

from antiphon.kernel.control import web_requests
from antiphon.kernel.control.subscribers.approvals import Approvals
from antiphon.kernel.control.web_requests import ControlShare, WebRequests
from antiphon.kernel.runtime.processes.child_process import pair
from antiphon.web import control_link
from antiphon.web.control_link import ControlLink
from antiphon.web.http_message import Refusal


@asynccontextmanager
async def linked(live: Rig, folder: Path) -> AsyncIterator[tuple[ControlLink, WebRequests, Any]]:
    """Both ends, served; and the task of control's."""
    ends = pair()
    link, requests = ControlLink(ends[0], ("127.0.0.1", live.app.osc_port)), WebRequests(ends[1], folder)
    tasks = [asyncio.create_task(link.serve()), asyncio.create_task(requests.serve(live.app))]
    await asyncio.sleep(0)
    try:
        yield link, requests, tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            end.close()


async def test_status_nodes_and_addresses_are_control_s_own(live: Rig, tmp_path: Path) -> None:
    async with linked(live, tmp_path) as (link, requests, _):
        told = await link.status()
        assert told["control"] == live.app.status()["control"]
        nodes = {item.node.name: item for item in await link.nodes()}
        assert list(nodes) == ["a", "b", "in", "out"]
        assert nodes["a"].node.type == "gain"
        assert nodes["a"].values["gain"] == live.app.executor.value("a", "gain") == 0.5
        assert nodes["out"].values["gain"] == 0.0
        about = await link.about()
        assert about.osc_port == live.app.osc_port
        assert "/ping" in [path for path, _, _ in about.methods]
        assert requests.answered == 3


async def test_a_value_sent_just_before_is_in_the_answer(live: Rig, tmp_path: Path) -> None:
    async with linked(live, tmp_path) as (link, _, _):
        link.send("/node/a/gain", 0.25)
        await live.settle()
        assert {n.node.name: n.values["gain"] for n in await link.nodes()}["a"] == 0.25


async def test_an_address_is_approved_and_forgotten_in_control_and_in_the_file(live: Rig, tmp_path: Path) -> None:
    async with linked(live, tmp_path) as (link, _, _):
        assert await link.approve("192.168.1.7") is True
        found = await link.surfaces()
        assert (found["held"], found["approved"]) == ([], ["192.168.1.7"])
        assert [(one["ip"], one["state"], one["seconds"] > 40_000) for one in found["machines"]] == [
            ("192.168.1.7", "approved", True)
        ]
        assert list(Approvals(tmp_path).load()) == ["192.168.1.7"]
        assert await link.forget("192.168.1.7") is True
        assert live.app.access.approved() == []
        with pytest.raises(Refusal, match="neither approved nor held") as refused:
            await link.forget("192.168.1.7")
        assert refused.value.status == 404


async def test_what_asks_for_the_same_shares_an_answer_and_gets_one_made_after_it_asked(
    live: Rig, tmp_path: Path
) -> None:
    async with linked(live, tmp_path) as (link, requests, _):
        await asyncio.gather(*(link.status() for _ in range(500)))
        assert requests.answered <= 2


async def test_waiting_requests_are_bounded(live: Rig, tmp_path: Path) -> None:
    ends = pair()
    link = ControlLink(ends[0], ("127.0.0.1", 9))
    asking = [asyncio.create_task(link.approve("192.168.1.7")) for _ in range(control_link.MAX_WAITING + 1)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await asking[-1]
    assert refused.value.status == 503
    for task in asking:
        task.cancel()
    link.close()
    ends[1].close()


async def test_a_control_that_begins_anew_is_asked_again_at_once(live: Rig, tmp_path: Path) -> None:
    ends = pair()
    link = ControlLink(ends[0], ("127.0.0.1", 9))
    serving = asyncio.create_task(link.serve())
    asking = asyncio.create_task(link.status())
    loop = asyncio.get_running_loop()
    ends[1].setblocking(False)
    await loop.sock_recv(ends[1], 4096)  # one that is killed with the request in its hands
    requests = asyncio.create_task(WebRequests(ends[1], tmp_path).serve(live.app))
    async with asyncio.timeout(control_link.AGAIN):
        assert "blocks" in await asking
    for task in (serving, requests):
        task.cancel()
    await asyncio.gather(serving, requests, return_exceptions=True)
    for end in ends:
        end.close()


async def test_silence_is_503(live: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_link, "PATIENCE", 0.05)
    ends = pair()
    link = ControlLink(ends[0], ("127.0.0.1", 9))
    serving = asyncio.create_task(link.serve())
    with pytest.raises(Refusal, match="does not answer") as refused:
        await link.status()
    assert refused.value.status == 503
    serving.cancel()
    for end in ends:
        end.close()


async def test_garbage_is_refused_and_the_next_request_answered(live: Rig, tmp_path: Path) -> None:
    async with linked(live, tmp_path) as (link, requests, _):
        link._link.send(b"\xff{}")
        link._link.send(json.dumps({"number": 1, "topic": "approve", "ip": ""}).encode())
        link._link.send(json.dumps({"number": 1, "topic": "status", "ip": "10.0.0.1"}).encode())
        assert "blocks" in await link.status()
        assert requests.refused == 3


async def test_a_long_answer_is_made_in_turns(live: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_requests, "TURN_SECONDS", 0.0)
    turns = 0

    async def counted() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with linked(live, tmp_path) as (link, _, _):
        await link.about()
        counting = asyncio.create_task(counted())
        await asyncio.sleep(0)
        turns = 0
        assert len(await link.nodes()) == 4
        assert turns >= 4  # one for each node at least
        counting.cancel()


def test_answers_take_no_more_than_their_share() -> None:
    now = [0.0]
    share = ControlShare(lambda: now[0])
    spent = 0.0
    while now[0] < 100.0:
        spent += 0.0005
        now[0] += 0.0005 + share.spend(0.0005)
    assert spent <= 100.0 * web_requests.SHARE + web_requests.CREDIT_SECONDS + 0.001


def test_after_a_pause_some_answers_come_at_once() -> None:
    now = [0.0]
    share = ControlShare(lambda: now[0])
    now[0] = 60.0
    assert [share.spend(0.001) for _ in range(39)] == [0.0] * 39
    assert share.spend(0.002) > 0.0
