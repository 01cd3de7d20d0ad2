"""Senders take turns, and what is kept for one of them leaves room for the others."""

import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from time import thread_time
from typing import Any

import pytest
from tests.control.rig import CATALOG, Client, Rig, rig, save_three
from tests.waiting import SHARED, comes

from antiphon.joining.patch_lists import MAX_WAITING
from antiphon.kernel.control.osc import arguments, intake as intake_module
from antiphon.kernel.control.osc.addresses import ADDRESSES
from antiphon.kernel.control.osc.intake import EACH_BYTES, EACH_MESSAGES, MAX_BYTES
from antiphon.kernel.control.subscribers.clients import HELD_ANSWER_SECONDS, MAX_HELD, Access
from antiphon.kernel.graph.graph import NodeSpec, in_series
from antiphon.kernel.io.osc_peer import Lane, Peer, Rotation
from antiphon.kernel.wire.osc import Message, address_text, decode, encode, encode_bundle
from antiphon.operations import patch_list

MOST_SECONDS = 0.05
"""Processor time of one turn, at most, on an idle machine."""
EIGHT = in_series([NodeSpec(f"n{n}", "gain") for n in range(8)], CATALOG)


@pytest.fixture
async def eight(tmp_path: Path, home: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "state", patch=False) as made:
        made.app.executor.perform(made.app.session.state.load(EIGHT, "eight"))
        made.app.structure_changed()
        await made.settle()
        yield made


def put(live: Rig, peer: Peer, packet: bytes) -> None:
    """A packet as if it had come from there, not handled yet."""
    peer.lane.put(packet, peer)
    live.app.intake.lanes.add(peer.lane)


async def handled(live: Rig) -> None:
    """All that was put is handled."""
    live.app.turns.wake()
    while live.app.intake.lanes:
        await live.settle(0)


def made_peer(live: Rig, host: str, port: int, sent: list[bytes]) -> Peer:
    peer = live.app.udp.peer((host, port))
    peer._send = sent.append
    return peer


@pytest.mark.parametrize("shape", ["one bundle", "many datagrams"])
async def test_another_sender_waits_for_a_share_of_a_turn(
    eight: Rig, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake, order = eight.app.intake, []
    greedy, other = made_peer(eight, "127.0.0.1", 5, []), made_peer(eight, "127.0.0.1", 6, [])
    call = intake.call
    monkeypatch.setattr(intake, "call", lambda *given: order.append(given[2]) or call(*given))  # type: ignore[func-returns-value]
    pattern = encode("/node/*/*")
    if shape == "one bundle":
        put(eight, greedy, encode_bundle(1, [pattern] * 2728))
    else:
        for _ in range(2728):
            put(eight, greedy, pattern)
    intake.turn()
    put(eight, other, encode("/ping"))
    before = len(order)
    intake.turn()
    intake.turn()
    assert other in order, "it is handled within two turns"
    each = len(eight.app.router.match(b"/node/*/*"))
    assert len(order) - before <= 4 * each, "of 2,728 patterns only some were handled before it or with it"
    assert intake.lanes


async def test_messages_of_one_sender_keep_their_order(eight: Rig) -> None:
    clients = [eight.client() for _ in range(3)]
    for n in range(200):
        for client in clients:
            client.send("/ping", n)
    await eight.settle(ticks=3)
    for client in clients:
        assert [args[0] for _, args in client.heard()] == list(range(200))


async def test_a_sync_is_answered_behind_what_others_sent_before_it(
    eight: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, expect, seen = eight.app, eight.app.syncs.expect, []
    value = app.executor.value
    monkeypatch.setattr(app.syncs, "expect", lambda *given: seen.append(value("n0", "gain")) or expect(*given))  # type: ignore[func-returns-value]
    first, second = made_peer(eight, "127.0.0.1", 5, []), eight.client()
    put(eight, first, encode_bundle(1, [encode("/node/n0/gain", 1.0)] * 700 + [encode("/node/n0/gain", 0.25)]))
    second.send("/sync", 3)
    app.udp.drain()
    app.intake.turn()
    app.intake.turn()
    assert seen == []
    put(eight, first, encode_bundle(1, [encode("/node/n1/gain", 1.5)] * 2000))
    while not seen:
        app.intake.turn()
    assert seen == [0.25]
    assert app.intake.lanes, "what came behind it is not waited for"
    await handled(eight)
    await eight.settle()
    assert ("/synced", (3,)) in second.heard()


def test_lanes_take_turns_and_a_lone_one_has_all_of_it() -> None:
    rotation, lanes = Rotation(), [Lane() for _ in range(8)]
    rotation.add(lanes[0])
    rotation.add(lanes[0])
    assert len(rotation) == 1
    assert rotation.take_next(100) == (lanes[0], 100)
    assert not rotation
    for lane in lanes:
        rotation.add(lane)
    assert [rotation.take_next(100) for _ in range(8)] == [
        (lane, share) for lane, share in zip(lanes, (12, 14, 16, 20, 25, 33, 50, 100), strict=True)
    ]


async def test_many_lanes_delay_a_new_one_by_a_message_each(live: Rig) -> None:
    senders = [made_peer(live, "127.0.0.1", 1000 + n, []) for n in range(300)]
    for sender in senders:
        for _ in range(50):
            put(live, sender, encode("/sound/nothing"))
    late = made_peer(live, "127.0.0.1", 5, [])
    put(live, late, encode("/ping"))
    while late.lane.waiting:
        live.app.intake.turn()
    assert live.app.intake.received <= len(senders) + 100


@pytest.fixture
def slow_clock(live: Rig, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Processor time, and what a message to /sound/nothing takes of it: 5 ms; in seconds."""
    clock, intake = [0.0, 0.005], live.app.intake
    handle = intake._handle_one

    def slowly(packet: Any, *given: Any) -> int:
        clock[0] += clock[1] * (packet.address == b"/sound/nothing")
        return handle(packet, *given)

    monkeypatch.setattr(intake_module, "thread_time", lambda: clock[0])
    monkeypatch.setattr(intake, "_handle_one", slowly)
    return clock


async def test_a_lane_that_has_just_become_slow_is_behind_the_others(live: Rig, slow_clock: list[float]) -> None:
    slow_clock[1], intake = 0.012, live.app.intake
    for _ in range(5):
        intake.turn()  # none waited
    slow, other = made_peer(live, "127.0.0.1", 5, []), made_peer(live, "127.0.0.1", 6, [])
    for _ in range(3):
        put(live, slow, encode("/sound/nothing"))
    put(live, other, encode("/ping"))
    intake.turn()
    assert other.lane.waiting
    intake.turn()
    assert not other.lane.waiting


async def test_lanes_of_slow_messages_wait_for_what_those_took(live: Rig, slow_clock: list[float]) -> None:
    """Another's message waits for about a turn, not for a slow one of each lane."""
    clock, intake = slow_clock, live.app.intake
    senders = [made_peer(live, "127.0.0.1", 1000 + n, []) for n in range(16)]
    for sender in senders:
        for _ in range(50):
            put(live, sender, encode("/sound/nothing"))
    waits = []
    for n in range(40):
        late, began = made_peer(live, "127.0.0.1", 2000 + n, []), clock[0]
        put(live, late, encode("/ping"))
        while late.lane.waiting:
            intake.turn()
        waits.append(clock[0] - began)
    assert max(waits[1:]) <= 0.0101, "that of one"
    assert sum(len(sender.lane.queue) for sender in senders) <= 16 * 50 - 80, "they go on meanwhile"
    assert max(len(sender.lane.queue) for sender in senders) - min(len(sender.lane.queue) for sender in senders) <= 3


# ---- messages with a time tag


def dated(live: Rig, *packets: bytes, seconds: float = 60.0) -> bytes:
    return encode_bundle(live.time.timetag(seconds), list(packets))


def fails(sent: list[bytes]) -> list[str]:
    found = [decode(packet) for packet in sent]
    return [str(m.args[1]) for m in found if isinstance(m, Message) and m.address == b"/fail"]


async def test_dated_messages_are_bounded_in_bytes_in_all_and_for_each_machine(live: Rig) -> None:
    big = "x" * (EACH_BYTES // 40)
    answers: dict[str, list[bytes]] = {}
    for host in (f"10.0.0.{n}" for n in range(1, 9)):
        live.app.access.approve(host)
        peer = made_peer(live, host, 9000, answers.setdefault(host, []))
        for _ in range(30):
            put(live, peer, dated(live, encode("/scene/store", big)))
        await handled(live)
    assert live.app.counts()["dated_bytes"] <= MAX_BYTES
    first, last = fails(answers["10.0.0.1"]), fails(answers["10.0.0.8"])
    assert "10.0.0.1 has" in first[0]
    assert "send them nearer" in first[0]
    assert last, "the room of all is full"
    await live.client().ask("/clearSched")
    assert live.app.counts()["dated_bytes"] == 0


async def test_many_arguments_weigh_what_python_takes_for_them(live: Rig, client: Client) -> None:
    for _ in range(8):
        client.raw(dated(live, encode("/scene/store", *range(4000))))
    await live.settle(ticks=3)
    assert len(live.app.intake.deferred) < 8
    assert live.app.counts()["dated_bytes"] <= EACH_BYTES


async def test_one_machine_leaves_places_for_another(live: Rig) -> None:
    live.app.access.approve("10.0.0.1")
    sent: list[bytes] = []
    for port in range(8):
        peer = made_peer(live, "10.0.0.1", 9000 + port, sent)
        put(live, peer, dated(live, *[encode("/scene/store", 1)] * 600))
    await handled(live)
    assert len(live.app.intake.deferred) == EACH_MESSAGES
    owner = live.client()
    owner.raw(dated(live, encode("/scene/store", 7), seconds=0.5))
    await live.settle()
    assert fails(sent)
    await live.move(0.6)
    assert ("/done", ("/scene/store", 7)) in owner.heard()
    assert len(live.app.intake.deferred) == EACH_MESSAGES
    await live.move(60.0)
    assert len(live.app.intake.deferred) == 0
    assert live.app.counts()["dated_bytes"] == 0


@pytest.mark.parametrize("address", [item.path for item in ADDRESSES if item.at_once])
async def test_what_is_answered_at_once_takes_no_date(live: Rig, client: Client, address: str) -> None:
    client.raw(dated(live, encode(address)))
    await live.settle()
    ((answered, (failed, reason)),) = client.heard()
    assert (answered, failed) == ("/fail", address)
    assert "without a time tag" in reason
    assert live.app.counts()["dated_bytes"] == 0


async def test_a_question_of_a_connection_that_ended_is_dropped_and_what_it_asked_for_is_done(live: Rig) -> None:
    sock = socket.create_connection(("127.0.0.1", live.app.osc_port))
    packet = dated(live, encode("/node/a/gain"), encode("/scene/store", 9), seconds=1.0)
    sock.sendall(len(packet).to_bytes(4, "big") + packet)
    while not len(live.app.intake.deferred):
        await live.settle()
    sock.close()
    while live.app.tcp.connections:
        await live.settle()
    await live.move(1.1)
    assert live.app.counts()["dated_dropped"] == 1
    assert 9 in live.app.session.state.shown.scenes
    assert live.app.counts()["dated_bytes"] == 0


async def test_the_list_of_patches_is_read_beside_the_turn_and_once_for_all_that_ask(
    live: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate, read = threading.Event(), threading.Event(), []

    def names() -> list[str]:
        begun.set()
        assert gate.wait(60.0)
        read.append(["one", "two", "three"][: len(read) + 1])
        return read[-1]

    monkeypatch.setattr(patch_list, "names", names)
    first, other = live.client(), live.client()
    first.send("/patch/list")
    await comes(begun.is_set, "the first reading")
    for _ in range(20):
        first.send("/patch/list")
    assert [address for address, _ in await other.ask("/ping")] == ["/pong"]
    for _ in range(MAX_WAITING):
        other.send("/patch/list")
    await live.settle()
    assert {address for address, _ in other.heard()} == {"/fail"}
    gate.set()
    heard: list[tuple[str, ...]] = []
    await comes(lambda: heard.extend(args for _, args in first.heard()) or len(heard) == 21, "every answer")  # type: ignore[func-returns-value]
    assert (heard[0], set(heard[1:])) == (("one",), {("one", "two")})
    assert len(read) == 2


async def test_synced_comes_behind_a_list_that_is_being_read(live: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(patch_list, "names", lambda: gate.wait(60) and ["one"])
    client, other = live.client(), live.client()
    client.send("/patch/list")
    client.send("/sync", 7)
    assert await other.ask("/sync", 8) == [("/synced", (8,))]
    assert client.heard() == []
    gate.set()
    heard: list[str] = []
    await comes(lambda: heard.extend(address for address, _ in client.heard()) or len(heard) == 2, "both")  # type: ignore[func-returns-value]
    assert heard == ["/patch/list.reply", "/synced"]


async def test_dated_loads_of_one_moment_are_read_one_after_the_other(
    live: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save_three(live)
    monkeypatch.setattr(arguments, "QUICK_BYTES", -1)
    client, heard = live.client(), list[tuple[str, tuple[object, ...]]]()
    client.raw(dated(live, *(encode("/patch/load", name) for name in ("three", "two")), seconds=1.0))
    await live.settle()
    await live.move(1.1)

    async def answered() -> bool:
        await live.settle()
        heard.extend(client.heard())
        return len(heard) >= 2

    await comes(answered, "both answers")
    assert heard == [("/done", ("/patch/load", name)) for name in ("three", "two")]
    assert live.app.session.state.shown.name == "two"


async def test_a_list_that_is_cut_says_so(live: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_list, "names", lambda: [f"patch number {n}" for n in range(5000)])
    client = live.client()
    client.send("/patch/list")
    heard: list[tuple[str, tuple[object, ...]]] = []
    await comes(lambda: heard.extend(client.heard()) or len(heard) == 2, "a list and a remark")  # type: ignore[func-returns-value]
    (_, names), (_, remark) = heard
    assert remark == (
        "/patch/list", f"these are the first {len(names)} of 5000, which a datagram holds; ask by TCP"
    )  # fmt: skip
    assert 2500 < len(names) < 5000


async def test_messages_that_take_long_are_few_in_a_turn(eight: Rig) -> None:
    done: list[float] = []

    def slow(peer: Peer, args: tuple[object, ...], when: object) -> None:
        began = thread_time()
        while thread_time() < began + 0.01:
            pass
        done.append(began)

    route = eight.app.router.exact[b"/panic"]
    eight.app.router.exact[b"/panic"] = replace(route, handler=slow)
    sent: list[bytes] = []
    other = made_peer(eight, "127.0.0.1", 6, sent)
    for port in range(20):
        greedy = made_peer(eight, "127.0.0.1", 7 + port, [])
        for _ in range(50):
            put(eight, greedy, encode("/panic"))
    put(eight, other, encode("/ping", 1))
    turns = 0
    while not sent:
        before = len(done)
        eight.app.turns._turn()
        assert len(done) - before <= 1, "of those that take 10 ms a turn handles one"
        turns += 1
    assert turns <= 21, "each sender had one turn"


async def test_no_address_holds_another_sender_for_long(eight: Rig) -> None:
    """A sender as fast as it can, at every address: a turn of control takes 50 ms of its processor at most."""
    app, sent = eight.app, list[bytes]()
    greedy, other = made_peer(eight, "127.0.0.1", 5, []), made_peer(eight, "127.0.0.1", 6, sent)
    slowest: list[tuple[float, bytes]] = []
    for address in list(app.router.exact):
        packets = [encode(address_text(address), *args) for args in ((), (1,), ("x",), ("x", "y"), (1.0, 60, 100))]
        put(eight, greedy, encode_bundle(1, packets * 50))
        for packet in packets * 100:
            put(eight, greedy, packet)
        put(eight, other, encode("/ping", 1))
        while not sent:
            before = thread_time()
            app.turns._turn()
            slowest.append((thread_time() - before, address))
        sent.clear()
        greedy.lane.queue.clear()
        greedy.lane.rest.clear()
        greedy.lane.room.packets = greedy.lane.room.bytes = 0
    assert max(slowest)[0] < SHARED * MOST_SECONDS, max(slowest)


# ---- those that wait for approval


async def test_a_machine_that_waits_is_answered_once_and_never_more_than_it_sent(live: Rig) -> None:
    sent: list[bytes] = []
    packets = [b"", b"/a\0\0,\0\0\0", encode("/node/a/gain", 1.0), encode("/node/a/gain", 1.0, "x" * 200)]
    for port in range(400):
        put(live, made_peer(live, "10.0.0.1", 9000 + port, sent), b"")
    await handled(live)
    assert sent == []
    for size, packet in enumerate(packets):
        for port in range(3):
            put(live, made_peer(live, f"10.0.1.{size}", 9000 + port, sent), packet)
        await handled(live)
        assert sum(map(len, sent)) <= len(packet)
        assert len(sent) == (1 if size >= 2 else 0)
        sent.clear()


def test_the_memory_of_whom_was_answered_is_the_machines_and_bounded() -> None:
    now = 100.0
    access = Access(clock=lambda: now)
    assert access.hold("10.0.0.1")
    access.note_answer("10.0.0.1")
    assert not access.hold("10.0.0.1")
    answered = 0
    for n in range(10 * MAX_HELD):
        if access.hold(f"10.0.1.{n}"):
            access.note_answer(f"10.0.1.{n}")
            answered += 1
    assert answered == MAX_HELD - 1
    now += HELD_ANSWER_SECONDS
    assert access.hold("10.0.0.1")


def test_the_last_that_knocked_are_listed() -> None:
    access = Access()
    for n in range(200):
        access.hold(f"10.0.1.{n}")
    access.hold("10.0.0.9")
    assert len(access.held_addresses()) == MAX_HELD
    assert access.held_addresses()[-1] == "10.0.0.9"
    for n in range(200, 200 + MAX_HELD - 1):
        access.hold(f"10.0.1.{n}")
        access.hold("10.0.0.9")
    assert "10.0.0.9" in access.held_addresses()
