"""OSC in, OSC out, and what the engine was told, over real UDP sockets."""

import asyncio
import re
import struct
import time
from pathlib import Path
from unittest.mock import ANY

import pytest
from tests import accepted
from tests.control.rig import Client, Rig, refusal

from antiphon.kernel.control.osc.addresses import ADDRESSES
from antiphon.kernel.control.osc.intake import AddressRoute
from antiphon.kernel.engine.link import BeatPassed, Late, NodeState, Reported
from antiphon.kernel.errors import RequestError, WireError
from antiphon.kernel.runtime.shortening import count_of
from antiphon.kernel.session.commands import NOW
from antiphon.kernel.session.router import Router
from antiphon.kernel.wire.osc import Double, Message, decode, encode
from antiphon.web import control_status

GAIN, TRIM, STEPS, MODE, LEARN, LABEL, SIZE, LEVEL = range(3, 11)


async def test_status_is_scsynths_then_ours(live: Rig, client: Client) -> None:
    ((address, args),) = await client.ask("/status")
    assert address == "/status.reply"
    assert args[:9] == (1, 2, 2, 1, 1, pytest.approx(10.0), pytest.approx(20.0), 48000.0, 48000.0)
    client.send("/status")
    await live.settle()
    packet = decode(client.sock.recv(65536))
    assert isinstance(packet, Message)
    assert packet.tags[:10] == b",iiiiiffdd"
    assert set(packet.tags[10:]) == {ord("i")}
    ((address, args),) = await client.ask("/status.ext")
    assert address == "/status.ext.reply"
    assert args[9] == 7


async def test_version_ping_and_lists(live: Rig, client: Client) -> None:
    ((address, args),) = await client.ask("/version")
    assert address == "/version.reply"
    assert args[0] == "antiphon"
    assert [type(a) for a in args] == [str, int, int, str, str, str]
    client.send("/ping", 1, "x", Double(2.5), b"b", (1, (True,)))
    await live.settle()
    packet = decode(client.sock.recv(65536))
    assert isinstance(packet, Message)
    assert packet.tags == b",isdb[i[T]]d"
    assert packet.args == (1, "x", 2.5, b"b", (1, (True,)), pytest.approx(1.0))
    assert await client.ask("/node/list") == [("/node/list.reply", ("a", "gain", "b", "gain"))]
    assert await client.ask("/plugin/list") == [("/plugin/list.reply", ("gain", "Louder or softer."))]
    client.raw(b"/ping\0\0\0")
    await live.settle()
    assert client.heard()[0][0] == "/pong"


FORMS = [
    ("gain", 1.5, GAIN, 1.5), ("gain", True, GAIN, 1.0), ("gain", Double(0.25), GAIN, 0.25), ("trim", 0.1, TRIM, 0.1),
    ("steps", 4.0, STEPS, 4.0), ("mode", "wavelet", MODE, 1.0), ("mode", 1.0, MODE, 1.0), ("mute", True, 1, 1.0),
    ("mute", "on", 1, 1.0),
]  # fmt: skip


async def test_a_value_in_any_clients_form(live: Rig, client: Client) -> None:
    for param, sent, cell, number in FORMS:
        live.engine.values[2, cell] = -1.0
        assert await client.ask(f"/node/b/{param}", sent) == []
        assert live.engine.values[2, cell] == number
        ((_, args),) = await client.ask(f"/node/b/{param}")
        assert args[0] in (pytest.approx(number), "wavelet")


async def test_a_text_takes_a_whole_number_as_its_digits(live: Rig, client: Client) -> None:
    for sent, text in ((2, "2"), (7.0, "7"), (-1, "-1")):
        assert await client.ask("/node/a/label", sent) == []
        assert await client.ask("/node/a/label") == [("/node/a/label", (text,))]
    for wrong in (2.5, True, float("inf")):
        assert await client.refused("/node/a/label", wrong)


async def test_ramps_norms_triggers_and_resets(live: Rig, client: Client) -> None:
    assert await client.ask("/node/a/gain", 2.0, 1.5) == []
    assert live.engine.applied[-1] == ("set", 1, GAIN, 2.0, 1.5, None)
    assert await client.ask("/node/a/gain/norm", 0.25) == []
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.5,))]
    assert await client.ask("/node/a/gain/norm") == [("/node/a/gain/norm", (0.25,))]
    await client.ask("/node/a/cutoff/norm", 0.5)
    ((_, (cutoff,)),) = await client.ask("/node/a/cutoff")
    assert cutoff == pytest.approx(200.0, rel=1e-6)
    live.engine.applied.clear()
    for args in ((), (1,), (1.0,), (0,), (0.0,)):
        assert await client.ask("/node/a/learn", *args) == []
    assert live.engine.applied == [("set", 1, LEARN, 1.0, 0.0, None)] * 3
    live.engine.applied.clear()
    for args in ((), (1.0,), (0.0,)):
        assert await client.ask("/node/a/reset", *args) == []
    assert live.engine.applied == [("reset", 1, None)] * 2


async def test_the_last_of_many_values_wins_and_nothing_changes_places(live: Rig, client: Client) -> None:
    live.engine.applied.clear()
    for address, value in (("a/gain", 0.1), ("b/gain", 0.2), ("a/gain", 0.3)):
        client.send(f"/node/{address}", value)
    client.send("/node/a/learn")
    client.send("/node/a/gain", 0.4)
    client.send("/sync", 9)
    client.send("/node/a/gain", 0.5)
    await live.settle()
    told = [entry[:4] for entry in live.engine.applied]
    assert told == [
        ("set", 2, GAIN, pytest.approx(0.2)),
        ("set", 1, GAIN, pytest.approx(0.3)),
        ("set", 1, LEARN, 1.0),
        ("set", 1, GAIN, pytest.approx(0.4)),
        ("sync", ANY, None),
        ("set", 1, GAIN, pytest.approx(0.5)),
    ]
    assert client.heard() == [("/synced", (9,))]


@pytest.mark.needs("answer")
async def test_refusals_say_what_is_allowed_and_change_nothing(live: Rig) -> None:
    state = live.app.session.state
    before = state.to_json(), list(state.numbers)
    live.engine.applied.clear()

    async def answer(line: str) -> str:
        said = await refusal(live.client(), line)
        assert (state.to_json(), list(state.numbers)) == before, line
        assert live.engine.applied == [], line
        return said

    await accepted.compare_async(__file__, answer)
    assert live.app.counts()["osc_failed"] == len(accepted.inputs(__file__))


async def test_patterns_set_and_ask(live: Rig, client: Client) -> None:
    assert await client.ask("/node/*/gain", 0.75) == []
    assert await client.ask("/node/{a,b}/gain") == [("/node/a/gain", (0.75,)), ("/node/b/gain", (0.75,))]
    assert await client.ask("/node/?/wet", 7.0) == [
        ("/fail", ("/node/a/wet", "wet takes 0 to 1, not 7")),
        ("/fail", ("/node/b/wet", "wet takes 0 to 1, not 7")),
    ]
    client.raw(b"/" + b"*" * 65000 + b"\0" * 3 + b",\0\0\0")
    await live.settle()
    ((sort, (_, reason)),) = client.heard()
    assert sort == "/fail"
    assert "at most 512 bytes" in reason


# What real clients send, as it was seen on the wire.


async def test_sync_as_browsers_and_sclang_send_it(live: Rig, client: Client) -> None:
    client.raw(b"/sync\0\0\0,f\0\0" + struct.pack(">f", 5.0))
    await live.settle()
    assert client.heard() == [("/synced", (5,))]
    client.raw(b"/sync\0\0\0,i\0\0" + struct.pack(">i", 1001))
    await live.settle()
    packet = decode(client.sock.recv(100))
    assert packet == Message(b"/synced", b",i", (1001,))


async def test_empty_bundles_and_bundles_for_now(live: Rig, client: Client) -> None:
    client.bundle(1)
    client.bundle(0, encode("/node/a/gain", 0.25), encode("/node/a/gain"), encode("/ping"))
    await live.settle()
    assert [a for a, _ in client.heard()] == ["/node/a/gain", "/pong"]
    assert live.app.executor.value("a", "gain") == 0.25


SETTING = encode("/node/a/gain", 0.75)


@pytest.mark.parametrize(
    "wrong",
    [
        encode("/x"),
        encode("/node/b/gain", 99.0),
        encode("/node/b/gain/norm", "x"),
        encode("/node/b/learn", b"x"),
        encode("/note/on", 60, 100, 1, "nobody"),
        encode("/note/off", 200),
        encode("/scene/recall", 99),
        encode("/tempo", 1.0),
        encode("/beat/nudge"),
        encode("/transport/play", "x"),
        encode("/patch/load"),
        encode("/at", 4.0, "/patch/undo"),
        encode("/at", 4.0, "/at", 5.0, "/note/on", 60),
        encode("/at", 4.0, "/node/b/gain", 99.0),
        encode("/at", 4.0, "/x"),
        b"/node/b/gain\0\0\0\0,f\0\0",
    ],
)
async def test_a_bundle_with_a_refused_message_does_nothing(live: Rig, client: Client, wrong: bytes) -> None:
    live.engine.applied.clear()
    client.bundle(1, SETTING, encode("/note/on", 60, 100), wrong)
    client.bundle(live.time.timetag(0.5), SETTING, wrong)
    await live.settle()
    live.time.move(1.0)
    await live.settle()
    said = [args[1] for address, args in client.heard() if address == "/fail"]
    assert len(said) == 2
    assert all(one.endswith("nothing of its bundle was done") for one in said)
    assert live.engine.applied == []
    assert live.app.executor.value("a", "gain") == 0.5


async def test_a_bundle_that_adds_a_node_sets_it_too(live: Rig, client: Client) -> None:
    client.bundle(1, encode("/node/add", "gain", "c"), encode("/node/c/gain", 0.25))
    await live.settle()
    assert live.app.executor.value("c", "gain") == 0.25


async def test_a_pattern_reaches_values_and_questions_alone(live: Rig, client: Client) -> None:
    """Every address: what acts is not among those that any pattern matches."""
    app = live.app
    reached = {route.address for depth in range(1, 7) for route in matched(app.router, b"/*" * depth)}
    commands = {item.path for item in app.directory.fixed if not item.asks}
    assert not reached & commands
    assert {"/status", "/node/list", "/patch/list", "/plugin/list"} <= reached
    for name in reached - {item.path for item in app.directory.fixed}:
        _, root, *_, last = name.split("/")
        assert root in ("node", "macro"), name
        assert last not in ("reset", "learn", "play"), name
    before, taps = app.plans.to_json(), []
    app.outbox.tap(taps.append)
    for depth in range(1, 7):
        client.raw(encode("/" + "/".join(["**"] * (depth - 1) + ["****"]), b"blob"))
    await live.settle()
    assert taps == []
    assert app.plans.to_json() == before


def matched(router: Router[AddressRoute], pattern: bytes) -> list[AddressRoute]:
    try:
        return router.match(pattern)
    except WireError:
        return []


async def test_answers_of_other_servers_are_never_answered(live: Rig, client: Client) -> None:
    for address in ("/fail", "/done", "/pong", "/synced", "/late", "/status.reply"):
        assert await client.ask(address, "x") == []
    assert live.app.counts()["osc_ignored"] == 6


async def test_tempo_and_transport(live: Rig, client: Client) -> None:
    live.engine.applied.clear()
    for address, args in (
        ("/tempo", (90.0,)),
        ("/tempo", (100, 4)),
        ("/transport/play", ()),
        ("/transport/play", (4.0,)),
        ("/transport/stop", ()),
        ("/beat", (8.0,)),
    ):
        assert await client.ask(address, *args) == []
    assert live.engine.applied == [
        ("tempo", 90.0, 0.0, None),
        ("tempo", 100.0, 4.0, None),
        ("transport", True, None, None),
        ("transport", True, 4.0, None),
        ("transport", False, None, None),
        ("transport", None, 8.0, None),
    ]
    assert await client.ask("/tempo") == [("/tempo", (100.0,))]
    live.engine.bpm = 95.5  # on its way there
    assert await client.ask("/tempo") == [("/tempo", (95.5,))]
    await client.ask("/tempo", 80.0)
    live.engine.bpm = 95.5  # it plays that from the next block on
    assert await client.ask("/tempo") == [("/tempo", (80.0,))]
    live.engine.beat = 2.5
    assert await client.ask("/beat") == [("/beat", (2.5,))]


async def test_recording_names_stay_in_their_folders(live: Rig, client: Client, home: Path) -> None:
    ((_, args),) = await client.ask("/record/start", "take one")
    assert args == ("/record/start", str(home / "data" / "recordings" / "take one.wav"))
    assert await client.ask("/record/stop") == [("/done", ("/record/stop",))]
    assert live.engine.recorded == [args[1], None]
    await asyncio.to_thread(Path(args[1]).touch)
    assert "already" in await client.refused("/record/start", "take one")
    for given, stored in (("two.mp3", "two.mp3"), ("Three.FLAC", "Three.FLAC"), ("take.4", "take.4.wav")):
        ((sort, args),) = await client.ask("/record/start", given)
        assert (sort, Path(args[1]).name) == ("/done", stored)
    reason = await client.refused("/record/start", "five.aiff")
    assert reason == ".aiff cannot be recorded; name a .wav, .flac, .ogg, .mp3"
    ((sort, _),) = await client.ask("/session/record")
    assert sort == "/done"
    await client.ask("/session/stop")
    assert live.engine.sessions[-1] is None


async def test_two_takes_begun_in_one_second_are_two_files(
    client: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda _form: "2026-11-20_10-00-05")
    for address, stem in (
        ("/record/start", ""),
        ("/session/record", ""),
        ("/record/tracks/start", ""),
        ("/capture", "out-"),
    ):
        given = (1,) if stem else ()
        names = []
        for _ in range(3):
            answers = await client.ask(address, *given)
            names += [Path(str(args[-1])).name for sort, args in answers if sort == "/done"]
            await client.ask("/session/stop")
            await client.ask("/record/tracks/stop")
        made = sorted(path.name for path in (home / "data").glob(f"**/{stem}2026-11-20*") if stem in path.name)
        whole = f"{stem}2026-11-20_10-00-05"
        suffix = "" if address in ("/session/record", "/record/tracks/start") else ".wav"
        wanted = [f"{whole}{number}{suffix}" for number in ("", "-2", "-3")]
        assert set(wanted) <= set(made)
        assert names in ([], wanted)


async def test_events_reach_subscribers(live: Rig, client: Client) -> None:
    assert await client.ask("/notify", 1) == [("/done", ("/notify", 0))]
    live.engine.levels = {-2: (0.5, 0.25), 1: (0.125, 0.0625), 99: (1.0, 1.0)}
    for report in (
        BeatPassed(4),
        Late(1, GAIN, 0.5),
        Late(1, GAIN, 0.25),
        Late(2, GAIN, 0.009),
        Late(0, 0, 0.5),
        NodeState(2, "failed", "it raised"),
        Reported(1, LEVEL, 0.75),
    ):
        live.engine.say(report)
    await live.settle(2)
    heard = client.heard()
    assert [m for m in heard if m[0] in ("/beat", "/bar")] == [("/beat", (4, 120.0)), ("/bar", (1, 120.0))]
    assert [m for m in heard if m[0] == "/late"] == [("/late", ("/node/a/gain", 0.5)), ("/late", ("", 0.5))]
    assert ("/node/state", ("b", "failed", "it raised")) in heard
    assert ("/node/a/level", (0.75,)) in heard
    assert {m for m in heard if m[0] == "/meter"} == {("/meter", ("out", 0.5, 0.25)), ("/meter", ("a", 0.125, 0.0625))}
    assert control_status.status(live.app)["nodes"][1]["reason"] == "it raised"
    assert live.app.executor.value("a", "level") == 0.75


async def test_plugins_hear_of_events(live: Rig) -> None:
    heard: list[dict[str, object]] = []
    live.app.events.listeners.append(heard.append)
    for report in (Late(1, GAIN, 0.5), Late(1, GAIN, 0.005), NodeState(2, "failed", "it raised")):
        live.engine.say(report)
    live.engine.start(99)
    await live.settle(2)
    assert heard == [
        {"kind": "late", "address": "/node/a/gain", "seconds": 0.5},
        {"kind": "node", "node": "b", "state": "failed", "reason": "it raised"},
        {"kind": "engine", "pid": 99},
        {"kind": "patch", "name": "two gains", "latency": 64},
    ]


async def test_the_monitor_sees_every_packet(live: Rig) -> None:
    watcher, client = live.client(), live.client()
    assert await watcher.ask("/monitor", 1) == [("/done", ("/monitor",))]
    client.send("/node/a/gain", 0.5)
    client.raw(b"junk")
    await live.settle()
    assert watcher.heard() == [
        ("/packet", (f"127.0.0.1:{client.port}", encode("/node/a/gain", 0.5))),
        ("/packet", (f"127.0.0.1:{client.port}", b"junk")),
    ]
    await watcher.ask("/monitor", 0)
    watcher.heard()
    assert await client.ask("/ping")
    assert watcher.heard() == []
    assert live.app.intake.tap is None


async def test_every_declared_address_is_answered(live: Rig) -> None:
    for item in ADDRESSES:
        assert live.app.router.exact[item.path.encode()].usage == item.usage
    assert len({item.path for item in ADDRESSES}) == len(ADDRESSES)


async def test_more_arguments_than_an_address_has_are_refused_by_every_one(live: Rig) -> None:
    peer = live.app.udp.peer(("127.0.0.1", 9000))
    for item in ADDRESSES:
        if "…" not in item.args:
            count = len(item.args.split()) + 2
            said = f"takes {item.args or 'no arguments'}; it came with {count_of(count, 'argument')}"
            with pytest.raises(RequestError, match=re.escape(said)):
                live.app.router.exact[item.path.encode()].handler(peer, (0,) * count, NOW)


async def test_hold_strangers_and_let_approved_ones_play(live: Rig, client: Client) -> None:
    stranger = live.app.udp.peer(("192.168.7.7", 9000))
    sent: list[bytes] = []
    stranger._send = sent.append

    async def from_stranger(packet: bytes) -> list[str]:
        stranger.lane.put(packet, stranger)
        live.app.intake.lanes.add(stranger.lane)
        live.app.turns.wake()
        found = [decode(p) for p in sent]
        sent.clear()
        return [p.args[1] if p.address == b"/fail" else p.address.decode() for p in found if isinstance(p, Message)]  # type: ignore[misc]

    (told,) = await from_stranger(
        encode("/node/a/gain", 1.75, "a long message, so that a long answer may go back to it")
    )
    assert "antiphon approve 192.168.7.7" in told
    assert await from_stranger(encode("/node/a/gain", 1.75)) == []
    assert live.app.executor.value("a", "gain") == 0.5
    assert live.app.access.held_addresses() == ["192.168.7.7"]
    live.app.access.approve("192.168.7.7")
    assert await from_stranger(encode("/node/a/gain", 1.75)) == []
    assert live.app.executor.value("a", "gain") == 1.75
    (told,) = await from_stranger(encode("/node/remove", "a"))
    assert "token" in told
    for address in (
        "/patch/load",
        "/session/record",
        "/record/start",
        "/record/tracks/start",
        "/node/add",
        "/patch/save",
        "/monitor",
    ):
        (told,) = await from_stranger(encode(address, "x"))
        assert "token" in told
    live.app.access.forget("192.168.7.7")
    await from_stranger(encode("/node/a/gain", 0.25))
    assert live.app.executor.value("a", "gain") == 1.75
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (1.75,))]


async def test_a_failed_node_stands_under_trouble(live: Rig) -> None:
    node = next(iter(live.app.session.state.nodes.values()))
    assert node.name not in control_status.status(live.app)["trouble"]
    node.state, node.reason = "failed", "gave NaN"
    assert f"{node.name} is failed: gave NaN; /node/{node.name}/reset" in control_status.status(live.app)["trouble"]
