"""Notes and controls by OSC, on their way to the engine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests import accepted
from tests.control.fake_engine import RATE
from tests.control.rig import CATALOG, Client, Rig, refusal, rig
from tests.waiting import comes

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_IN, EVENTS_OUT
from antiphon.kernel.engine.action_schedule import OTHER
from antiphon.kernel.engine.link import EVERY_NODE, Late
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.commands import Play, Sample
from antiphon.kernel.session.play import BEGIN
from antiphon.kernel.session.schedule import MAX_PENDING
from antiphon.kernel.wire.osc import Double, encode

KINDS = ("on", "off", "control", "bend")


def events(live: Rig) -> list[tuple[Any, ...]]:
    """What the engine has played, and forgets."""
    found = [done for done in live.engine.applied if done[0] in (*KINDS, "program", "pitch", "pressure", "timbre")]
    live.engine.applied.clear()
    return found


PLAYS = ProcessorInfo("plays", "Plays notes.", "test", (EVENTS_IN,), (AUDIO_OUT,), (Param("tone", default=0.5),))
HEARS = ProcessorInfo("hears", "Hears notes.", "test", (AUDIO_IN,), (EVENTS_OUT,), ())


@pytest.fixture
async def live(tmp_path: Path, home: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "state", catalog=Catalog({**CATALOG.types, "plays": PLAYS, "hears": HEARS})) as made:
        yield made


@pytest.fixture
async def keys(live: Rig) -> Client:
    """A client; node `k` (number 3) takes notes."""
    client = live.client()
    assert await client.ask("/node/add", "plays", "k") == []
    live.engine.applied.clear()
    return client


async def test_every_message_becomes_its_event(live: Rig, keys: Client) -> None:
    for message in (
        ("/note/on", 60, 127),
        ("/note/on", 61.0, 127.0, 16),
        ("/note/on", 62, 0),
        ("/note/off", 60),
        ("/note/off", 61, 64, 16, "k"),
        ("/cc", 64, 1),
        ("/cc", 1, 0.25, 2),
        ("/cc", 2, 127),
        ("/bend", -0.5),
        ("/bend", 0.5, 3),
        ("/note/on", 63, 127, "k"),
    ):
        assert await keys.ask(*message) == []
    assert [done[:-1] for done in events(live)] == [
        ("on", 3, 60, 1.0, 1),
        ("on", 3, 61, 1.0, 16),
        ("off", 3, 62, 0.0, 1),
        ("off", 3, 60, 0.0, 1),
        ("off", 3, 61, 0.0, 16),
        ("control", 3, 64, 1.0, 1),
        ("control", 3, 1, 0.25, 2),
        ("control", 3, 2, 1.0, 1),
        ("bend", 3, 0, -0.5, 1),
        ("bend", 3, 0, 0.5, 3),
        ("on", 3, 63, 1.0, 1),
    ]


async def test_what_cannot_be_played_is_answered_and_changes_nothing(live: Rig, keys: Client) -> None:
    await accepted.compare_async(__file__, lambda line: refusal(keys, line))
    assert events(live) == []
    assert live.app.counts()["osc_failed"] == len(accepted.inputs(__file__))


async def test_without_a_name_notes_go_where_no_wire_brings_any(live: Rig, keys: Client) -> None:
    await keys.ask("/node/add", "plays", "m")
    await keys.ask("/node/add", "hears", "h")
    await keys.ask("/note/on", 60, 127)
    assert [done[1] for done in events(live)] == [3, 4]
    await keys.ask("/node/connect", "h.notes", "k.notes")
    await keys.ask("/bend", 0.5)
    assert [done[1] for done in events(live)] == [4]
    await keys.ask("/node/connect", "h.notes", "m.notes")
    await keys.ask("/cc", 1, 0.5)
    assert [done[1] for done in events(live)] == [3, 4]


async def test_a_time_tag_is_the_sample_it_enters_at(live: Rig, keys: Client) -> None:
    at = round(live.engine.sample + 0.5 * RATE)
    start = live.time.timetag(0.5)
    for n, address in enumerate(("/note/on", "/note/off", "/cc")):
        keys.bundle(start + round(n * 37 * 2**32 / RATE), encode(address, 60, 1))
    keys.bundle(start + round(3 * 37 * 2**32 / RATE), encode("/bend", 1.0))
    await live.settle()
    assert events(live) == []
    assert live.app.counts()["scheduled"] == 4
    await live.move(0.51)
    assert [(done[0], done[-1]) for done in events(live)] == [(k, at + 37 * n) for n, k in enumerate(KINDS)]
    assert live.app.counts()["scheduled"] == 0


async def test_notes_of_a_client_that_leaves_end(live: Rig, keys: Client) -> None:
    live.engine.beat = 4.0
    _, script = await asyncio.open_connection("127.0.0.1", live.app.osc_port)
    for message in (
        encode("/at", Double(4.0), "/note/on", 60, 127),
        encode("/at", Double(4.0), "/note/on", 61, 127),
        encode("/at", Double(6.0), "/note/off", 61),
        encode("/at", Double(7.0), "/note/on", 62, 127, "k"),
        encode("/note/on", 63, 127),
    ):
        script.write(len(message).to_bytes(4, "big") + message)
    begun: list[Any] = []
    while len(begun) < 3:
        await live.settle()
        begun += events(live)
    script.transport.abort()
    await comes(lambda: not live.app.tcp.connections, "the connection ends")
    await live.settle()
    assert [done[:3] for done in events(live)] == [("off", 3, 60)]
    live.engine.beat = 8.0
    await live.settle()
    assert [done[:3] for done in events(live)] == [("off", 3, 61), ("on", 3, 62), ("off", 3, 62)]


async def test_a_late_note_is_reported_by_its_address(live: Rig, keys: Client) -> None:
    await keys.ask("/notify", 1)
    for kind, seconds in (("on", 0.5), ("bend", 0.25), ("off", 0.001)):
        live.engine.say(Late(3, OTHER + ACTIONS.row(kind).code, seconds))
    await live.settle(2)
    assert [m for m in keys.heard() if m[0] == "/late"] == [("/late", ("/note/on", 0.5)), ("/late", ("/bend", 0.25))]


async def test_notes_for_a_plan_still_being_made_wait_for_it(live: Rig, client: Client) -> None:
    live.engine.hold_plans = True
    assert await client.ask("/node/add", "plays", "k") == []
    for message in (("/note/on", 60, 127), ("/cc", 64, 1), ("/note/off", 60)):
        assert await client.ask(*message) == []
    assert events(live) == []
    live.engine.hold_plans = False
    await live.settle(2)
    assert [done[0] for done in events(live)] == ["on", "control", "off"]


async def test_notes_for_a_plan_that_is_refused_are_gone(live: Rig, client: Client) -> None:
    live.engine.refuse = "no such luck"
    live.engine.hold_plans = True
    await client.ask("/node/add", "plays", "k")
    assert await client.ask("/note/on", 60, 127) == []
    live.engine.hold_plans = False
    await live.settle(2)
    assert events(live) == []
    assert client.heard() == [("/fail", ("/node/add", "no such luck"))]


@pytest.mark.parametrize(("drop", "left"), [("/panic", []), ("/clearSched", ["on", "off"])])
async def test_what_waits_for_a_plan_is_dropped_too_but_no_note_hangs(
    live: Rig, client: Client, drop: str, left: list[str]
) -> None:
    live.engine.hold_plans = True
    await client.ask("/node/add", "plays", "k")
    await client.ask("/note/on", 60, 127)
    client.bundle(
        live.time.timetag(0.5), encode("/note/off", 60), encode("/note/on", 61, 1), encode("/node/k/tone", 1.0)
    )
    await live.settle()
    await client.ask(drop)
    live.engine.hold_plans = False
    await live.settle(2)
    assert [done[0] for done in events(live)] == left
    await live.move(1.0)
    assert events(live) == []
    assert (3, 3) not in live.engine.values


async def test_a_full_ring_keeps_the_order_and_a_new_engine_is_told_again(live: Rig, keys: Client) -> None:
    live.engine.room = 2
    for note in range(6):
        keys.send("/note/on", note, 127)
    await live.settle()
    assert [done[2] for done in events(live)] == [0, 1]
    live.engine.room = 100
    live.app.outbox.flush()
    await live.settle()
    assert [done[2] for done in events(live)] == [2, 3, 4, 5]
    keys.bundle(live.time.timetag(0.5), encode("/note/on", 60, 127))
    await live.settle()
    live.engine.start(5)
    await live.settle(2)
    await live.move(0.6)
    assert [done[2] for done in events(live)] == [0, 1, 2, 3, 4, 5, 60]
    assert live.app.outbox.dropped == 0


@pytest.mark.parametrize(
    ("then", "again"),
    [
        ((), [("control", 64), ("on", 60), ("on", 67)]),
        (("/note/off", 60), [("control", 64), ("on", 67)]),
        (("/cc", 123, 0.0), [("control", 64)]),
        (("/cc", 121, 0.0), [("on", 60), ("on", 67)]),
        (("/panic",), [("control", 64)]),
        (("/node/k/reset",), [("control", 64)]),
        (("/node/remove", "k"), []),
    ],
    ids=["", "off", "all-off", "reset-controllers", "panic", "reset", "removed"],
)
async def test_keys_held_while_the_engine_dies_sound_again(
    live: Rig, keys: Client, then: tuple[Any, ...], again: list[tuple[str, int]]
) -> None:
    keys.send("/cc", 64, 1.0)
    for note in (60, 64, 67):
        keys.bundle(live.time.timetag(0.1), encode("/note/on", note, 100))
    await live.settle()
    await live.move(0.2)
    keys.send("/note/off", 64)
    # an event with values of its own is a pattern's, which no key holds
    keys.send("/cc", BEGIN, 1.0)
    await keys.ask("/note/on", 72, 100)
    if then:
        keys.send(*then)
        await live.settle(2)
    events(live)
    live.engine.start(5)
    await live.settle(2)
    assert [(done[0], done[2]) for done in events(live)] == again


async def test_a_key_that_is_let_go_while_no_engine_is_there_ends(live: Rig, keys: Client) -> None:
    await keys.ask("/note/on", 60, 100)
    events(live)
    live.engine.start(5)
    keys.send("/note/off", 60)
    await live.settle(2)
    assert [(done[0], done[2]) for done in events(live)] in ([("on", 60), ("off", 60)], [("off", 60)])


async def test_more_than_can_be_scheduled_is_refused_for_all_nodes_or_none(live: Rig, keys: Client) -> None:
    await keys.ask("/node/add", "plays", "m")
    live.app.session.schedule.limit = 3
    keys.bundle(live.time.timetag(1.0), encode("/note/on", 60, 1), encode("/note/on", 61, 1))
    await live.settle()
    ((address, (where, said)),) = keys.heard()
    assert (address, where) == ("/fail", "/note/on")
    assert "events are scheduled already" in said
    assert [e.event.number for e in live.app.session.resend() if isinstance(e, Play)] == [60, 60]
    assert MAX_PENDING > 3
    await live.move(1.1)
    assert [done[1:3] for done in events(live)] == [(3, 60), (4, 60)]


async def test_a_watcher_is_sent_every_note_with_its_beat_before_it_begins(live: Rig, keys: Client) -> None:
    watcher, other = live.client(), live.client()
    await other.ask("/notify", 1)
    assert await watcher.refused("/note/watch", 1) == "you are not subscribed; send /notify 1 first"
    await watcher.ask("/notify", 1)
    assert await watcher.ask("/note/watch", 1) == [("/done", ("/note/watch",))]
    live.engine.beat = 4.0
    await keys.ask("/note/on", 60, 100)
    for message in (("/note/on", 64, 127, 2, "k"), ("/note/off", 64, 0, 2, "k")):
        await keys.ask("/at", 8.0, *message)
    await keys.ask("/note/off", 60)
    await live.settle(2)
    notes = [args for address, args in watcher.heard() if address == "/note/event"]
    assert [note[1:] for note in notes] == [(60, 100, 1, "k"), (64, 127, 2, "k"), (64, 0, 2, "k"), (60, 0, 1, "k")]
    assert [note[0] for note in notes] == [pytest.approx(4.0, abs=0.1), 8.0, 8.0, pytest.approx(4.0, abs=0.1)]
    assert all(address != "/note/event" for address, _ in other.heard())
    await watcher.ask("/note/watch", 0)
    await keys.ask("/note/on", 60, 100)
    assert all(address != "/note/event" for address, _ in watcher.heard())


async def test_a_flood_of_notes_is_cut_and_takes_no_place_of_other_events(live: Rig, keys: Client) -> None:
    await keys.ask("/notify", 1)
    await keys.ask("/note/watch", 1)
    dropped = live.app.feedback.dropped
    for _ in range(300):
        live.app.command(Play("k", Event("on", 0, 60, 0.5)), "test")
    live.app.feedback.event("/cue", "drop")
    await live.settle(2)
    heard = [address for address, _ in keys.heard()]
    assert heard.count("/note/event") == 256
    assert heard.count("/cue") == 1
    assert live.app.feedback.dropped - dropped == 44


async def test_subscribers_are_sent_that_the_schedule_was_cleared(live: Rig, keys: Client) -> None:
    await keys.ask("/notify", 1)
    assert await keys.ask("/clearSched") == [("/clearSched", ())]


async def test_subscribers_are_told_the_notes_nodes_play(live: Rig, client: Client) -> None:
    await live.settle(2)
    assert live.engine.echoed == 0, "nobody listens"
    await client.ask("/notify", 1)
    await live.settle(2)
    assert live.engine.echoed == EVERY_NODE
    for report in (
        Play(1, Event("on", 0, 60, 0.5, 2), Sample(0)),
        Play(1, Event("control", 0, 7, 0.5, 2), Sample(0)),
        Play(2, Event("on", 0, 61, 0.001, 1), Sample(0)),
        Play(1, Event("off", 0, 60, 0.0, 2), Sample(0)),
        Play(99, Event("on", 0, 1, 1.0, 1), Sample(0)),
    ):
        live.engine.say(report)
    await live.settle(2)
    assert [m for m in client.heard() if m[0].startswith("/note")] == [
        ("/note/on", (60, 64, 2, "a")),
        ("/note/on", (61, 1, 1, "b")),
        ("/note/off", (60, 0, 2, "a")),
    ]
    await client.ask("/notify", 0)
    await live.settle(2)
    assert live.engine.echoed == 0
