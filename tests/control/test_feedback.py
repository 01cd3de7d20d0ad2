"""Who is told what moved, and how the dead are found."""

import asyncio
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, strategies as st
from tests.clock import FakeClock
from tests.control.rig import Client, Rig, rig

from antiphon.kernel.control.subscribers.clients import LEASE, MAX_HELD, MAX_SURFACES, Access, Surfaces
from antiphon.kernel.control.subscribers.feedback import BUNDLE_BYTES, Feedback, group_packets
from antiphon.kernel.engine.link import Reported
from antiphon.kernel.errors import RequestError, UsageError
from antiphon.kernel.io.osc_peer import FEW, PER_SECOND, FailLimiter, Level, Peer
from antiphon.kernel.session.commands import SetParam
from antiphon.kernel.wire.osc import Bundle, Message, decode


async def test_all_but_the_mover_are_told(live: Rig) -> None:
    mover, other, third = live.client(), live.client(), live.client()
    for client in (mover, other):
        await client.ask("/notify", 1)
    for value in (0.1, 0.2, 0.3):
        mover.send("/node/a/gain", value)
    await live.settle()
    assert other.heard() == [("/node/a/gain", (pytest.approx(0.3),))]
    assert mover.heard() == []
    third.send("/node/b/mode", "wavelet")
    third.send("/node/b/steps", 5)
    third.send("/node/b/mute", 1)
    third.send("/tempo", 99.0)
    await live.settle()
    expected = [("/node/b/mode", ("wavelet",)), ("/node/b/steps", (5,)), ("/node/b/mute", (1,)), ("/tempo", (99.0,))]
    assert mover.heard() == expected
    assert other.heard() == expected
    assert third.heard() == []


async def test_levels_are_left_out_for_who_does_not_watch_them(live: Rig) -> None:
    all_of_it, less = live.client(), live.client()
    assert (await less.ask("/meter/watch", 0))[0][0] == "/fail"
    for client in (all_of_it, less):
        await client.ask("/notify", 1)
    assert await less.ask("/meter/watch", 0) == [("/done", ("/meter/watch",))]

    async def told() -> list[bool]:
        live.app.feedback.meters({"a": (0.5, 0.25)})
        live.app.feedback.event("/panic")
        live.app.feedback.flush()
        await live.settle()
        heard = [client.heard() for client in (all_of_it, less)]
        assert all(("/panic", ()) in one for one in heard)
        return [any(address == "/meter" for address, _ in one) for one in heard]

    assert await told() == [True, False]
    await less.ask("/meter/watch", 1)
    assert await told() == [True, True]


async def test_the_last_mover_is_the_one_not_told(live: Rig) -> None:
    first, second = live.client(), live.client()
    for client in (first, second):
        await client.ask("/notify", 1)
    first.send("/node/a/gain", 0.25)
    second.send("/node/a/gain", 0.75)
    await live.settle()
    assert first.heard() == [("/node/a/gain", (0.75,))]
    assert second.heard() == []


async def test_a_scheduled_change_is_told_at_its_time(live: Rig) -> None:
    mover, other = live.client(), live.client()
    await other.ask("/notify", 1)
    mover.bundle(live.time.timetag(0.5), b"/node/a/gain\0\0\0\0,f\0\0\x3f\x80\0\0")
    await live.settle()
    assert other.heard() == []
    await live.move(0.6)
    assert other.heard() == [("/node/a/gain", (1.0,))]


async def test_port_0_is_the_senders_own(live: Rig, client: Client) -> None:
    """sclang's Server sends its client number, 0, where a port may stand."""
    assert await client.ask("/notify", 1, 0) == [("/done", ("/notify", 0))]
    live.app.command(SetParam("a", "gain", 0.75), "page")
    await live.settle()
    assert client.heard() == [("/node/a/gain", (0.75,))]
    assert await client.ask("/notify", 0, 0) == [("/done", ("/notify", 0))]


async def test_a_value_comes_back_at_the_address_that_was_sent(live: Rig) -> None:
    surface, mover = live.client(), live.client()
    await surface.ask("/notify", 1)
    place = 0.25
    await surface.ask("/node/a/gain/norm", place)
    await mover.ask("/node/a/gain/norm", 0.75)
    told = dict(surface.heard())
    assert set(told) == {"/node/a/gain", "/node/a/gain/norm"}
    assert told["/node/a/gain/norm"] == (pytest.approx(0.75),)
    assert await surface.ask("/node/a/gain") == [("/node/a/gain", told["/node/a/gain"])]
    mover.send("/node/b/steps", 5)  # nobody has used its place
    await live.settle()
    assert surface.heard() == [("/node/b/steps", (5,))]


async def test_refusals_of_others_are_told_a_few_a_second(live: Rig) -> None:
    page, sender = live.client(), live.client()
    await page.ask("/notify", 1)
    for _ in range(3 * FEW):
        sender.send("/1/fader1", 0.5)
    await live.settle()
    told = [args for address, args in page.heard() if address == "/refused"]
    assert len(told) == FEW
    (where, reason, who) = told[0]
    assert (where, who) == ("/1/fader1", f"127.0.0.1:{sender.port}")
    assert (where, reason) == dict.fromkeys(args for _, args in sender.heard()).popitem()[0]
    assert [address for address, _ in await page.ask("/1/fader1", 0.5)] == ["/fail"], "its own is answered"


async def test_a_port_elsewhere_and_the_end_of_it(live: Rig) -> None:
    surface, mover = live.client(), live.client()
    assert await mover.ask("/notify", 1, surface.port) == [("/done", ("/notify", 0))]
    assert await mover.ask("/notify", 1.0, float(surface.port)) == [("/done", ("/notify", 0))]
    await mover.ask("/node/a/gain", 0.25)
    assert surface.heard() == []  # it moved it itself, from its other port
    live.app.command(SetParam("a", "gain", 0.75), "page")
    await live.settle()
    assert surface.heard() == [("/node/a/gain", (0.75,))]
    assert await mover.ask("/notify", 0, surface.port) == [("/done", ("/notify", 0))]
    live.app.command(SetParam("a", "gain", 0.5), "page")
    await live.settle()
    assert surface.heard() == []


async def test_a_subscriber_that_closed_its_port_is_dropped(live: Rig) -> None:
    client, mover = live.client(), live.client()
    await client.ask("/notify", 1)
    client.close()
    for n in range(6):
        await mover.ask("/node/a/gain", n / 8)
    assert len(live.app.surfaces) == 0
    assert live.app.counts()["surfaces_expired"] == 1
    assert (await mover.ask("/ping"))[0][0] == "/pong"


async def test_a_surface_named_at_the_start_is_told_and_kept(tmp_path: Path, home: Path) -> None:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with rig(tmp_path / "s", surfaces=[("127.0.0.1", port)]) as live:
        mover = live.client()
        for n in range(6):
            await mover.ask("/node/a/gain", n / 8)
        (fixed,) = live.app.surfaces
        assert fixed.refusals >= 3
        fixed.quiet_until = 0.0
        surface = live.client(port)
        await mover.ask("/node/a/gain", 1.5)
        assert surface.heard() == [("/node/a/gain", (1.5,))]


# The parts on their own.


def peer(key: str = "127.0.0.1:1", level: Level = Level.OWNER) -> tuple[Peer, list[bytes]]:
    sent: list[bytes] = []
    host, port = key.rsplit(":", 1)
    return Peer(key, host, level, sent.append, (host, int(port))), sent


def subscribed(*peers: Peer, clock: FakeClock | None = None) -> Feedback:
    """Feedback for these subscribers."""
    surfaces = Surfaces(clock or monotonic)
    for one in peers:
        surfaces.add(one, one.key)
    return Feedback(surfaces, clock=clock or monotonic)


def test_failures_are_limited_per_second() -> None:
    clock = FakeClock()
    limiter = FailLimiter(clock)
    assert sum(limiter.allows() for _ in range(200)) == PER_SECOND
    clock.now += 1.0
    assert limiter.allows()


def test_feedback_is_held_to_sixty_a_second() -> None:
    clock = FakeClock()
    listener, sent = peer()
    feedback = subscribed(listener, clock=clock)
    for n in range(6000):
        clock.now = 1000.0 + n / 6000
        feedback.add_change("/a", float(n), None)
        if feedback.is_due:
            feedback.flush()
    assert len(sent) <= 61
    last = decode(sent[-1])
    assert isinstance(last, Message)


@given(st.lists(st.binary(min_size=1, max_size=900), max_size=40))
def test_bundles_fit_a_network_packet_and_keep_the_order(packets: list[bytes]) -> None:
    groups = group_packets(packets)
    assert [p for g in groups for p in g] == packets
    for group in groups:
        assert len(group) == 1 or 16 + sum(4 + len(p) for p in group) <= BUNDLE_BYTES


def test_an_event_for_the_owner_comes_to_no_surface() -> None:
    (owner, to_owner), (other, to_other) = peer(), peer("192.168.1.7:9000", Level.SURFACE)
    feedback = subscribed(owner, other)
    feedback.event("/secret", "x", level=Level.OWNER)
    feedback.event("/open")
    feedback.flush()
    assert b"/secret" in b"".join(to_owner)
    assert b"/secret" not in b"".join(to_other)
    assert b"/open" in b"".join(to_other)


def test_many_changes_come_in_bundles() -> None:
    listener, sent = peer()
    feedback = subscribed(listener)
    for n in range(200):
        feedback.add_change(f"/node/n{n}/gain", float(n), None)
    feedback.flush()
    items = [item for data in sent for item in decode(data).items]  # type: ignore[union-attr]
    assert len(sent) < 10
    assert all(isinstance(decode(data), Bundle) for data in sent)
    assert len(items) == 200


def test_subscribing_is_bounded_and_idempotent() -> None:
    surfaces = Surfaces()
    peers = [peer(f"127.0.0.1:{n}")[0] for n in range(1, MAX_SURFACES + 2)]
    numbers = [surfaces.add(p, p.key).id for p in peers[:MAX_SURFACES]]
    assert numbers == list(range(MAX_SURFACES))
    assert surfaces.add(peers[3], "again").id == 3
    with pytest.raises(RequestError, match="at most 64"):
        surfaces.add(peers[-1], "x")
    surfaces.remove(peers[5].key)
    assert surfaces.add(peers[-1], "x").id == 5


def test_a_far_subscriber_lives_as_long_as_its_lease() -> None:
    clock = FakeClock()
    surfaces = Surfaces(clock)
    far, near = peer("10.0.0.2:9", Level.SURFACE)[0], peer()[0]
    named = peer("10.0.0.3:9", Level.SURFACE)[0]
    surfaces.add(far, "10.0.0.2:8")
    surfaces.add(near, near.key)
    surfaces.add(named, named.key, fixed=True)
    heard = {"10.0.0.2:8": 0.0}
    clock.now += LEASE - 1
    assert surfaces.expire(lambda key: heard.get(key, 0.0)) == []
    heard["10.0.0.2:8"] = clock.now
    clock.now += LEASE - 1
    assert surfaces.expire(lambda key: heard.get(key, 0.0)) == []
    clock.now += 2
    assert [s.peer.key for s in surfaces.expire(lambda key: heard.get(key, 0.0))] == ["10.0.0.2:9"]
    assert len(surfaces) == 2


def test_access() -> None:
    access = Access(allow=["10.0.0.9"])
    assert access.level("127.0.0.1") is access.level("127.8.8.8") is access.level("::1") is Level.OWNER
    assert access.level("10.0.0.9") is Level.SURFACE
    assert access.level("10.0.0.1") is access.level("nonsense") is Level.HELD
    for n in range(200):
        access.hold(f"10.0.1.{n}")
    assert len(access.held_addresses()) == MAX_HELD
    assert access.held_messages == 200
    access.approve("10.0.1.150")
    assert access.level("10.0.1.150") is Level.SURFACE
    assert "10.0.1.150" not in access.held_addresses()
    assert access.approved_addresses() == ["10.0.0.9", "10.0.1.150"]
    access.forget("10.0.1.150")
    assert access.level("10.0.1.150") is Level.HELD
    with pytest.raises(UsageError, match="not an IP address"):
        access.approve("my-phone")


async def test_nothing_is_gathered_for_nobody(live: Rig) -> None:
    await live.client().ask("/node/a/gain", 1.0)
    assert not live.app.feedback.pending
    await asyncio.sleep(0)


LEVEL = 10


async def test_what_a_node_reports_again_is_sent_where_it_is_displayed_otherwise(live: Rig, client: Client) -> None:
    await client.ask("/notify", 1)
    sent = []
    for number in (0.5, 0.5, 0.5004, 0.5008, 0.5012, 0.0004, 0.0, 0.0, 1.0, 0.9998, 1.0):
        live.engine.say(Reported(1, LEVEL, number))
        await live.move(0.02)
        sent += [args[0] for address, args in client.heard() if address == "/node/a/level"]
    assert sent == [pytest.approx(number) for number in (0.5, 0.5008, 0.0004, 0.0, 1.0)]


def test_notes_come_without_doubles_where_that_is_asked() -> None:
    (doubles, with_doubles), (floats, without) = peer(), peer("127.0.0.1:9001")
    feedback = subscribed(doubles, floats)
    for surface in feedback.surfaces:
        surface.notes, surface.floats = True, surface.peer is floats
    feedback.note(b"/note/event,d", b"/note/event.ext,f")
    feedback.flush()
    assert (with_doubles, without) == ([b"/note/event,d"], [b"/note/event.ext,f"])
