"""Other ways in than OSC: transports, and the web process."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.control.rig import CATALOG, Rig, save_three
from tests.waiting import comes

from antiphon.kernel.contract.catalog import Catalog, TransportInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.control.osc import arguments
from antiphon.kernel.control.osc.intake import MAX_BEHIND
from antiphon.kernel.control.transports import TransportHost
from antiphon.kernel.engine.link import EVERY_NODE
from antiphon.kernel.errors import AntiphonError, EngineBusy
from antiphon.kernel.graph import patch
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.actions import EngineEffect, NodeSet
from antiphon.kernel.session.commands import Play, Sample, SetParam
from antiphon.kernel.session.transport import Transport
from antiphon.kernel.session.transport_server import TransportServer
from antiphon.web import control_link, control_requests, control_status
from antiphon.web.control_link import ControlLink
from antiphon.web.control_requests import Approvals, ControlShare, WebRequests
from antiphon.web.http_message import HttpRefusal

UNASKED = """
import asyncio, sys
from types import SimpleNamespace
import antiphon.kernel.control.process
from antiphon.kernel.contract.catalog import Catalog, TransportInfo
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.runtime.settings import ServeSettings

hooks = {"antiphon_midi": ("antiphon_transports",), "antiphon_mqtt": ("antiphon_transports",)}
found = (TransportInfo("midi", "", "antiphon_midi", ("midi", "midi-in", "midi-out")),
         TransportInfo("mqtt", "", "antiphon_mqtt", ("mqtt-url",)))
asked = ServeSettings(**eval(sys.argv[1]))
started = []
def host(name, settings, *, fresh):
    if name.startswith("antiphon_"):
        return None  # of a plugin's OSC addresses
    started.append(name)
    raise SystemExit(0) if name in sys.argv[2:] else AssertionError(name)
app = SimpleNamespace(transports=SimpleNamespace(host=host), events=SimpleNamespace(listeners=[]),
                      plugin_addresses=SimpleNamespace(add=lambda *_: None), offers=[])
try:
    asyncio.run(ServerHooks(Catalog({}, (), hooks, found), asked, fresh=True).start(app))
except SystemExit:
    pass
assert started == sys.argv[2:], started
names = ("mido", "rtmidi", "jack", "aiomqtt", "paho", "pluggy", "antiphon_midi", "antiphon_mqtt")
print(*(name for name in names if name in sys.modules))
"""


@pytest.fixture
def host(live: Rig) -> TransportHost:
    return live.app.transports.host("wire", ServeSettings(), fresh=True)


@pytest.mark.parametrize(
    ("settings", "started", "imported"),
    [
        ("{}", [], []),
        ("{'options': {'midi-in': ('keys',)}}", ["midi"], ["pluggy", "antiphon_midi"]),
        ("{'secrets': {'mqtt-url': 'mqtt://here'}}", ["mqtt"], ["pluggy", "antiphon_mqtt"]),
    ],
)
def test_control_imports_nothing_of_a_transport_that_nobody_asks_for(
    settings: str, started: list[str], imported: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNASKED, settings, *started], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == imported


async def test_a_message_is_answered_as_a_surfaces_is(live: Rig, host: TransportHost) -> None:
    heard: list[tuple[str, tuple[object, ...]]] = []

    def reply(address: str, args: tuple[object, ...]) -> None:
        heard.append((address, args))

    host.message("/node/a/gain", source="wire", reply=reply)
    host.message("/node/a/gain", 1.5, source="wire")
    host.message("/ping", "x", 3, source="wire", reply=reply)
    await live.settle()
    assert heard[0] == ("/node/a/gain", (0.5,))
    assert (heard[1][0], heard[1][1][:2]) == ("/pong", ("x", 3))
    assert live.app.executor.value("a", "gain") == 1.5


async def test_what_cannot_be_done_is_raised(host: TransportHost) -> None:
    for address, args, said in (
        ("/nothing", (), "there is no address /nothing"),
        ("/node/a/gain", (9.0,), "gain"),
        ("/scene/recall", (7,), "7"),
    ):
        with pytest.raises(AntiphonError, match=said):
            host.message(address, *args, source="wire")


async def test_a_message_comes_after_those_that_waited_for_a_patch(
    live: Rig, host: TransportHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save_three(live)
    monkeypatch.setattr(arguments, "QUICK_BYTES", -1)
    host.message("/patch/load", "three", source="wire")
    for _ in range(600):
        host.message("/tempo", 90.0, source="wire")
    lane = host._lane
    await comes(lambda: not lane.held, "the patch")
    host.message("/tempo", 140.0, source="wire")

    async def handled() -> bool:
        await live.settle()
        return not lane.rest

    await comes(handled, "all messages")
    assert live.app.session.state.tempo == 140.0


async def test_presses_while_a_patch_is_read_each_take_a_step(
    live: Rig, host: TransportHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save_three(live)
    (paths.make_folder(paths.patches() / "live") / "s.toml").write_text(
        'format = 1\npatches = ["one", "two", "three"]\n'
    )
    await live.client().ask("/set/load", "s")
    gate, load, heard = threading.Event(), patch.load, list[object]()

    def read(name: str | Path, *given: Any, **named: Any) -> patch.Patch:
        assert gate.wait(60.0)
        return load(name, *given, **named)

    monkeypatch.setattr(arguments, "QUICK_BYTES", -1)
    monkeypatch.setattr(patch, "load", read)
    for _ in range(3):
        host.message("/set/next", source="pedal", reply=lambda *answer: heard.append(answer))
    await live.settle()
    assert live.app.session.state.shown.name == "one"
    for _ in range(MAX_BEHIND - 2):
        host.message("/set/previous", 0, source="pedal")
    with pytest.raises(EngineBusy, match="being read"):
        host.message("/set/next", source="pedal")
    gate.set()

    async def answered() -> bool:
        await live.settle()
        return len(heard) == 3

    await comes(answered, "three answers")
    done = [("/done", ("/set/next", name)) for name in ("two", "three")]
    assert sorted(heard) == sorted([*done, ("/fail", ("/set/next", "this is the last patch of s"))])
    assert live.app.session.state.shown.name == "three"


async def test_what_is_done_in_a_turn_is_sent_at_its_end(live: Rig, host: TransportHost) -> None:
    seen: list[EngineEffect] = []
    values: list[tuple[str, object]] = []
    host.on_effect(seen.append)
    host.on_value(lambda address, value: values.append((address, value)))
    with host.turn():
        host.do(SetParam("a", "gain", 0.25), "wire")
        assert values == []
    await live.settle()
    assert [effect for effect in seen if isinstance(effect, NodeSet)][-1].number == 0.25
    assert values == [("/node/a/gain", 0.25)]


async def test_notes_go_to_those_who_want_them(live: Rig, host: TransportHost) -> None:
    heard: list[object] = []
    transports = live.app.transports
    assert transports.wanted_node() == 0
    host.on_note(heard.append, lambda: 2)
    assert transports.wanted_node() == 2
    other = 0
    live.app.transports.host("other", ServeSettings(), fresh=True).on_note(lambda _event: None, lambda: other)
    assert transports.wanted_node() == 2
    other = 3
    assert transports.wanted_node() == EVERY_NODE
    live.engine.say(Play(2, Event("on", 0, 60, 1.0, 1), Sample(0)))
    await live.settle()
    assert heard == [Play(2, Event("on", 0, 60, 1.0, 1), Sample(0))]


async def test_the_status_has_each_by_its_name_and_nothing_of_the_servers_is_covered(live: Rig) -> None:
    live.app.catalog = Catalog(
        CATALOG.types, transports=(TransportInfo("wire", "", "p"), TransportInfo("idle", "", "p"))
    )
    for name in ("wire", "engine"):
        live.app.transports.host(name, ServeSettings(), fresh=True).status(lambda: {"here": 1})
    status = control_status.status(live.app)
    assert (status["wire"], status["idle"]) == ({"here": 1}, None)
    assert "here" not in status["engine"]


async def test_a_file_of_a_transport_goes_with_the_state(live: Rig, host: TransportHost) -> None:
    from antiphon.kernel.control import state

    host.file("notes.bin").write_bytes(b"1")
    assert host.file("notes.bin").name in state.files(host.folder)


async def test_the_settings_choose_and_a_start_that_fails_is_logged(
    live: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[str] = []

    class Wire(Transport):
        def start(self, server: TransportServer) -> None:
            begun.append(server.settings.patch)
            raise OSError("no wire")

    hooks = ServerHooks(Catalog(transports=(TransportInfo("wire", "", "p"),)), ServeSettings(patch="x"), fresh=True)
    monkeypatch.setattr("antiphon.kernel.plugins.finding.sources", list)
    hooks._register("wire", Wire)
    hooks._register("another", Wire)
    await hooks.start(live.app)
    assert begun == ["x"]
    assert "transport wire: OSError: no wire" in caplog.text


@pytest.fixture
async def ends() -> AsyncIterator[tuple[ControlLink, socket.socket]]:
    """Web's end, which nobody serves, and the socket of control's."""
    both = socket_pair()
    yield ControlLink(both[0], ("127.0.0.1", 9)), both[1]
    for end in both:
        end.close()


@asynccontextmanager
async def linked(live: Rig, folder: Path) -> AsyncIterator[tuple[ControlLink, WebRequests, Any]]:
    """Both ends, served; and the task of control's."""
    ends = socket_pair()
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
        assert told["control"] == control_status.status(live.app)["control"]
        nodes = {item.node.name: item for item in await link.nodes()}
        assert [await link.nodes(name) for name in ("a", "absent")] == [[nodes["a"]], []]
        assert list(nodes) == ["a", "b", "in", "out"]
        assert nodes["a"].node.type == "gain"
        assert nodes["a"].values["gain"] == live.app.executor.value("a", "gain") == 0.5
        assert nodes["out"].values["gain"] == 0.0
        about = await link.addresses_and_port()
        assert about.osc_port == live.app.osc_port
        assert "/ping" in [path for path, _, _ in about.methods]
        assert requests.answered == 5


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
        assert live.app.access.approved_addresses() == []
        with pytest.raises(HttpRefusal, match="neither approved nor held") as refused:
            await link.forget("192.168.1.7")
        assert refused.value.status == 404


async def test_what_asks_for_the_same_shares_an_answer_and_gets_one_made_after_it_asked(
    live: Rig, tmp_path: Path
) -> None:
    async with linked(live, tmp_path) as (link, requests, _):
        await asyncio.gather(*(link.status() for _ in range(500)))
        assert requests.answered <= 2


async def test_waiting_requests_are_bounded(ends: tuple[ControlLink, socket.socket]) -> None:
    link, _ = ends
    asking = [asyncio.create_task(link.approve("192.168.1.7")) for _ in range(control_link.MAX_WAITING + 1)]
    await asyncio.sleep(0)
    with pytest.raises(HttpRefusal) as refused:
        await asking[-1]
    assert refused.value.status == 503
    for task in asking:
        task.cancel()
    link.close()


async def test_a_control_that_begins_anew_is_asked_again_at_once(
    live: Rig, ends: tuple[ControlLink, socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_link, "REPEAT_SECONDS", 300.0)
    monkeypatch.setattr(control_link, "TIMEOUT_SECONDS", 300.0)
    link, end = ends
    serving = asyncio.create_task(link.serve())
    asking = asyncio.create_task(link.status())
    loop = asyncio.get_running_loop()
    end.setblocking(False)
    await loop.sock_recv(end, 4096)  # one that is killed with the request in its hands
    requests = asyncio.create_task(WebRequests(end, tmp_path).serve(live.app))
    async with asyncio.timeout(60.0):
        assert "blocks" in await asking
    for task in (serving, requests):
        task.cancel()
    await asyncio.gather(serving, requests, return_exceptions=True)


async def test_silence_is_503(ends: tuple[ControlLink, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_link, "TIMEOUT_SECONDS", 0.05)
    link, _ = ends
    serving = asyncio.create_task(link.serve())
    with pytest.raises(HttpRefusal, match="does not answer") as refused:
        await link.status()
    assert refused.value.status == 503
    serving.cancel()


async def test_garbage_is_refused_and_the_next_request_answered(live: Rig, tmp_path: Path) -> None:
    async with linked(live, tmp_path) as (link, requests, _):
        link._link.send(b"\xff{}")
        link._link.send(json.dumps({"number": 1, "topic": "approve", "ip": ""}).encode())
        link._link.send(json.dumps({"number": 1, "topic": "status", "ip": "10.0.0.1"}).encode())
        assert "blocks" in await link.status()
        assert requests.refused == 3


async def test_a_long_answer_is_made_in_turns(live: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_requests, "TURN_SECONDS", 0.0)
    turns = 0

    async def counted() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with linked(live, tmp_path) as (link, _, _):
        await link.addresses_and_port()
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
        now[0] += 0.0005 + share.charge_cpu_time(0.0005)
    assert spent <= 100.0 * control_requests.SHARE + control_requests.CREDIT_SECONDS + 0.001


def test_after_a_pause_some_answers_come_at_once() -> None:
    now = [0.0]
    share = ControlShare(lambda: now[0])
    now[0] = 60.0
    assert [share.charge_cpu_time(0.001) for _ in range(39)] == [0.0] * 39
    assert share.charge_cpu_time(0.002) > 0.0
