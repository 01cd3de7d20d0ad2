"""Messages by beat, and cues."""

from __future__ import annotations

import pytest
from tests.control.rig import Rig

from antiphon.session.commands import Beat
from antiphon.wire.osc import Double


async def test_a_message_takes_effect_at_its_beat(live: Rig) -> None:
    client = live.client()
    sent: list[object] = []
    live.app.outbox.tap = sent.append
    beat = live.app.clock.moment().beat + 1 / 3
    assert await client.ask("/at", Double(beat), "/node/a/gain", 0.25, 0.5) == []
    assert await client.ask("/at", Double(beat), "/tempo", 90) == []
    whens = [action.when for action in sent if hasattr(action, "when") and isinstance(action.when, Beat)]
    assert whens == [Beat(beat), Beat(beat)]
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.5,))]


@pytest.mark.parametrize(
    ("message", "address", "said"),
    [
        (("/at", 8.0, "/node/a/nosuch", 1.0), "/node/a/nosuch", "a has no parameter 'nosuch'"),
        (("/at", 8.0, "/nosuch", 1), "/nosuch", "there is no such address"),
        (("/at", 8.0, "/status"), "/status", "this takes effect at no beat"),
        (("/at", 8.0, "/at", 8.0, "/status"), "/at", "this takes effect at no beat"),
        (("/at", 8.0, "/node/a/gain"), "/node/a/gain", "this takes effect at no beat"),
        (("/at", 8.0, "/node/a/gain", 99.0), "/node/a/gain", "gain takes"),
        (("/at", "x", "/node/a/gain", 1.0), "/at", "beat takes"),
        (("/at", 8.0), "/at", "address is missing"),
        (("/cue",), "/cue", "name is missing; write /cue NAME [VALUE]"),
        (("/cue", "a", 1, 2), "/cue", "takes s:name"),
        (("/cue", "a", b"blob"), "/cue", "a cue's value is a number or a text"),
        (("/cue", "a", "x" * 2000), "/cue", "a cue's value is a number or a text"),
    ],
)
async def test_what_cannot_be_is_answered_by_its_own_address(
    live: Rig, message: tuple[object, ...], address: str, said: str
) -> None:
    ((failed, (where, why)),) = await live.client().ask(*message)
    assert (failed, where) == ("/fail", address)
    assert why.startswith(said), why


async def test_a_cue_and_a_panic_come_to_every_subscriber(live: Rig) -> None:
    client, other = live.client(), live.client()
    await client.ask("/notify", 1)
    for message in (("/cue", "drop"), ("/cue", "drop", 0.5), ("/cue", "drop", "now"), ("/panic",)):
        await other.ask(*message)
    await live.settle(2)
    assert [m for m in client.heard() if m[0] in ("/cue", "/panic")] == [
        ("/cue", ("drop",)), ("/cue", ("drop", 0.5)), ("/cue", ("drop", "now")), ("/panic", ()),
    ]  # fmt: skip


async def test_a_script_comes_to_the_owners_programs_alone_and_with_the_token_alone(live: Rig) -> None:
    client, other = live.client(), live.client()
    await client.ask("/notify", 1)
    ((_, (where, why)),) = await other.ask("/live/eval", "secret", "code")
    assert (where, why) == ("/live/eval", "this server evaluates nothing; start it with --live")
    live.app.live_token = "secret"
    for wrong in ("", "Secret", "secre", "ü"):
        ((failed, (where, why)),) = await other.ask("/live/eval", wrong, "code")
        assert (failed, where) == ("/fail", "/live/eval")
        assert "code" not in why
    ((failed, _),) = await other.ask("/live/eval", "secret", "x" * 50_000)
    assert failed == "/fail"
    assert await other.ask("/live/eval", "secret", "code") == [("/done", ("/live/eval",))]
    await live.settle(2)
    assert [m for m in client.heard() if m[0] == "/live/eval"] == [("/live/eval", ("code",))]


async def test_a_monitor_shows_no_token(live: Rig) -> None:
    live.app.live_token = "secret"
    client, other = live.client(), live.client()
    await client.ask("/monitor", 1)
    await other.ask("/live/eval", "secret", "code")
    await live.settle(2)
    packets = [m[1][1] for m in client.heard() if m[0] == "/packet"]
    assert any(b"/live/eval" in packet for packet in packets)
    assert not any(b"secret" in packet for packet in packets)
