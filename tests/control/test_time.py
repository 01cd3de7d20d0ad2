"""Time tags, syncs, and what is put off until its time. The clock is moved by hand."""

from typing import Any
from unittest.mock import ANY, Mock

import pytest
from tests.control.fake_engine import RATE
from tests.control.rig import Client, Rig

from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.engine.action_schedule import OTHER
from antiphon.kernel.engine.link import BeatPassed, Late
from antiphon.kernel.session.actions import ACTIONS, NodeReset
from antiphon.kernel.session.commands import NOW, ClearSchedule, NudgeBeat, Panic
from antiphon.kernel.wire.osc import encode, encode_bundle
from antiphon.web import control_status

GAIN = 3


def set_gain(value: float, node: str = "a") -> bytes:
    return encode(f"/node/{node}/gain", value)


async def test_a_future_bundle_enters_at_its_sample_and_counts_from_then(live: Rig, client: Client) -> None:
    at = round(live.engine.sample + 0.5 * RATE)
    client.bundle(live.time.timetag(0.5), set_gain(2.0), encode("/sync", 7))
    await live.settle()
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.5,))]
    await live.move(0.49)
    assert client.heard() == []
    await live.move(0.011)
    assert live.engine.applied[-2:] == [("set", 1, GAIN, 2.0, 0.0, at), ("sync", ANY, at)]
    assert client.heard() == [("/synced", (7,))]
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (2.0,))]


async def test_the_past_is_applied_at_once_and_reported(live: Rig) -> None:
    client, other = live.client(), live.client()
    await client.ask("/notify", 1)
    live.time.move(1.0)
    other.bundle(live.time.timetag(-0.25), set_gain(1.5))
    other.bundle(live.time.timetag(-0.0015), set_gain(1.25, "b"))
    other.bundle(live.time.timetag(-0.5), encode("/node/list"))
    await live.settle(2)
    assert live.engine.values[1, GAIN] == 1.5
    assert live.app.executor.value("b", "gain") == 1.25
    assert other.heard() == [("/node/list.reply", ("a", "gain", "b", "gain"))]
    late = dict(m[1] for m in client.heard() if m[0] == "/late")
    assert late == {"/node/a/gain": pytest.approx(0.25), "/node/list": pytest.approx(0.5)}
    assert live.app.counts()["late"] == 3


async def test_the_beat_is_nudged_at_a_tags_sample_and_within_its_range(live: Rig, client: Client) -> None:
    await client.ask("/notify", 1)
    at = round(live.engine.sample + 0.1 * RATE)
    client.bundle(live.time.timetag(0.1), encode("/beat/nudge", -0.25))
    await live.settle()
    await live.move(0.11)
    assert live.engine.applied[-1] == ("nudge", -0.25, at)
    assert await client.ask("/beat/nudge", 1) == []
    assert live.engine.applied[-1] == ("nudge", 1.0, None)
    for args, said in (
        ((), "beats is missing: it takes -16 to 16"),
        ((17,), "beats takes -16 to 16, not 17"),
        ((1, 2), "f:beats"),
    ):
        assert said in await client.refused("/beat/nudge", *args)
    live.engine.say(Late(0, OTHER + ACTIONS.row(NudgeBeat).code, 0.5))
    await live.settle(2)
    assert ("/late", ("/beat/nudge", 0.5)) in client.heard()


async def test_what_is_for_control_waits_for_its_time_too(live: Rig, client: Client) -> None:
    client.bundle(
        live.time.timetag(0.2),
        encode("/node/a/gain"),
        encode("/node/remove", "b"),
        encode("/sync", 3),
        encode("/scene/store", 1),
    )
    client.bundle(live.time.timetag(0.1), set_gain(1.75))
    await live.settle()
    assert client.heard() == []
    assert "b" in live.app.session.state.nodes
    await live.move(0.21)
    await live.settle()
    heard = client.heard()
    assert ("/node/a/gain", (1.75,)) in heard
    assert [a for a, _ in heard] == ["/node/a/gain", "/done", "/synced"]
    assert "b" not in live.app.session.state.nodes


async def test_a_bundle_inside_is_never_earlier_than_the_one_around(live: Rig, client: Client) -> None:
    live.engine.applied.clear()
    inner = [
        encode_bundle(live.time.timetag(0.1), [encode("/node/a/learn")]),
        encode_bundle(1, [encode("/node/a/learn")]),
        encode_bundle(live.time.timetag(0.4), [encode("/node/a/learn")]),
    ]
    client.bundle(live.time.timetag(0.2), *inner)
    now = live.engine.sample
    await live.settle()
    await live.move(1.0)
    assert [round(e[-1] - now) for e in live.engine.applied] == [9600, 9600, 19200]


async def test_further_ahead_than_an_hour_is_refused(live: Rig, client: Client) -> None:
    client.bundle(live.time.timetag(3601), set_gain(2.0))
    client.bundle(2 << 32, set_gain(2.0))
    await live.settle()
    first, second = client.heard()
    assert first[1][0] == second[1][0] == "#bundle"
    assert "at most 3600 s ahead" in first[1][1]
    assert len(live.app.session.schedule) == 0


async def test_a_step_of_the_wall_clock_is_followed(live: Rig, client: Client) -> None:
    live.time.offset += 10**12
    await live.settle()
    now = live.engine.sample
    live.engine.applied.clear()
    client.bundle(live.time.timetag(0.1), encode("/node/a/learn"))
    await live.settle()
    await live.move(0.5)
    assert round(live.engine.applied[0][-1] - now) == 4800


async def test_the_schedule_is_bounded_and_says_so_once(live: Rig, client: Client) -> None:
    tag = live.time.timetag(10.0)
    limit = live.app.session.schedule.limit = 8000
    per = 750
    sent = 0
    for n in range(0, limit + per, per):
        sent += per
        client.bundle(tag, *[encode("/node/a/learn")] * per)
        await live.settle(0)
        while live.app.intake.lanes:
            await live.settle(0)
        assert len(live.app.session.schedule) == min(n + per, limit)
    told = client.heard()
    assert len(told) == 1
    assert "8000 events are scheduled" in told[0][1][1]
    assert live.app.counts()["osc_failed"] == sent - limit
    assert await client.ask("/node/b/gain", 0.25) == []
    assert live.app.executor.value("b", "gain") == 0.25


async def test_clear_drops_what_is_scheduled_and_says_so_to_who_waits(live: Rig, client: Client) -> None:
    client.bundle(live.time.timetag(1.0), set_gain(2.0), encode("/sync", 5))
    client.bundle(live.time.timetag(1.5), encode("/node/remove", "a"), encode("/sync", 6))
    await live.settle()
    ((sort, (of, reason)),) = await client.ask("/clearSched")
    assert (sort, of) == ("/fail", "/sync")
    assert reason.startswith("5 was dropped by /clearSched")
    assert len(live.app.syncs) == 0
    await live.move(2.0)
    assert live.app.executor.value("a", "gain") == 0.5
    assert client.heard() == []
    assert await client.ask("/sync", 6) == [("/synced", (6,))]


@pytest.mark.parametrize("command", [Panic(), ClearSchedule()])
async def test_a_transports_panic_drops_what_control_holds_too(
    live: Rig, client: Client, command: Panic | ClearSchedule
) -> None:
    client.bundle(live.time.timetag(1.0), encode("/sync", 5), encode("/scene/store", 7))
    await live.settle()
    assert control_status.status(live.app)["dated_bytes"] > 0
    live.app.command(command, "midi:keys")
    await live.settle()
    assert control_status.status(live.app)["dated_bytes"] == 0
    ((sort, (of, _)),) = client.heard()
    assert (sort, of) == ("/fail", "/sync")


async def test_panic_reaches_the_engine(live: Rig, client: Client) -> None:
    client.bundle(live.time.timetag(1.0), set_gain(2.0), encode("/sync", 5))
    await live.settle()
    ((sort, (of, reason)),) = await client.ask("/panic")
    assert (sort, of) == ("/fail", "/sync")
    assert "/panic" in reason
    assert live.engine.applied[-1] == ("panic", None)
    assert await client.ask("/panic", 0.0) == []
    assert [e[0] for e in live.engine.applied].count("panic") == 1


async def test_sync_waits_for_a_plan_being_made(live: Rig, client: Client) -> None:
    live.engine.hold_plans = True
    await client.ask("/node/add", "gain", "c", "b")
    assert await client.ask("/sync", 1) == []
    live.engine.hold_plans = False
    await live.settle(2)
    assert client.heard() == [("/synced", (1,))]


async def test_a_full_ring_loses_nothing_and_keeps_the_order(live: Rig, client: Client) -> None:
    live.engine.applied.clear()
    live.engine.room = 2
    for n in range(8):
        client.send("/node/a/learn")
        client.send("/node/a/gain", n / 8)
    client.send("/sync", 1)
    await live.settle()
    assert client.heard() == []
    live.engine.room = 1000
    await live.settle(2)
    assert client.heard() == [("/synced", (1,))]
    assert [e[0] for e in live.engine.applied] == ["set"] * 16 + ["sync"]
    assert [e[3] for e in live.engine.applied[1:16:2]] == [n / 8 for n in range(8)]


async def test_what_waits_for_room_goes_first(live: Rig) -> None:
    live.engine.applied.clear()
    live.engine.room = 0
    live.app.outbox.send(NodeReset(1))
    live.engine.room = 10
    live.app.outbox.send(NodeReset(2))
    await live.settle()
    assert [e[1] for e in live.engine.applied] == [1, 2]


async def test_swing_is_set_asked_for_and_checked(live: Rig, client: Client) -> None:
    assert await client.ask("/swing") == [("/swing", (0.0, 0.5))]
    assert await client.ask("/swing", 0.25) == []
    assert live.engine.applied[-1] == ("swing", 0.25, 0.5, None)
    at = round(live.engine.sample + 0.1 * RATE)
    client.bundle(live.time.timetag(0.1), encode("/swing", 0.5, 0.25))
    await live.settle()
    assert await client.ask("/swing") == [("/swing", (0.25, 0.5))]
    await live.move(0.11)
    assert live.engine.applied[-1] == ("swing", 0.5, 0.25, at)
    assert await client.ask("/swing") == [("/swing", (0.5, 0.25))]
    for args, said in (
        ((1,), "amount takes 0 to 0.75, not 1"),
        ((0.5, 0.01), "step takes 0.0625 to 4, not 0.01"),
        ((0.5, 0.5, 1), "takes [f:amount] [f:step]"),
        (("much",), "amount"),
    ):
        assert said in await client.refused("/swing", *args)


async def test_a_new_engine_gets_the_swing(live: Rig, client: Client) -> None:
    await client.ask("/swing", 0.5, 0.25)
    live.engine.applied.clear()
    live.engine.start(4711)
    await live.settle(2)
    assert ("swing", 0.5, 0.25, None) in live.engine.applied


async def test_bars_begin_at_whole_multiples_of_its_beats(live: Rig, client: Client) -> None:
    await client.ask("/notify", 1)
    assert await client.ask("/bar/beats") == [("/bar/beats", (4,))]
    assert await client.ask("/bar/beats", 3) == []
    for args in ((0,), (65,), (1.5,), (3, 4)):
        await client.refused("/bar/beats", *args)
    live.engine.bpm = 132.0
    for beat in (-3, 5, 6, 7):
        live.engine.say(BeatPassed(beat))
    await live.settle(2)
    assert [m for m in client.heard() if m[0] in ("/beat", "/bar")] == [
        ("/beat", (-3, 132.0)),
        ("/bar", (-1, 132.0)),
        ("/beat", (5, 132.0)),
        ("/beat", (6, 132.0)),
        ("/bar", (2, 132.0)),
        ("/beat", (7, 132.0)),
    ]


def test_a_sync_that_is_reached_while_its_sender_is_answered_is_answered_behind() -> None:
    replies: Any = Mock()
    syncs, making = Syncs(replies, Mock()), [1]
    syncs.busy.append(lambda peer: bool(making))
    syncs.answer_synced(syncs.expect(Mock(), 7, NOW))
    syncs.release()
    assert not replies.reply.called
    making.clear()
    syncs.release()
    assert [call.args[1] for call in replies.reply.call_args_list] == [encode("/synced", 7)]


async def test_value_due_before_its_plan_gives_way_to_a_later(live: Rig, client: Client) -> None:
    live.engine.hold_plans = True
    await client.ask("/node/add", "gain", "c")
    client.bundle(live.time.timetag(0.1), set_gain(0.75, "c"))
    client.bundle(live.time.timetag(0.5), set_gain(0.25, "c"))
    await live.move(0.2)
    await client.ask("/node/c/gain", 1.5)
    live.engine.hold_plans = False
    await live.settle(2)
    number = live.app.session.state.nodes["c"].id
    assert live.engine.values[number, GAIN] == 1.5
    await live.move(0.4)
    assert live.engine.values[number, GAIN] == 0.25
