"""Messages by beat, and cues."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from tests import accepted
from tests.control.rig import Client, Rig

from antiphon.files.owner_token import TokenProof, nonce
from antiphon.kernel.errors import RequestError
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.commands import Beat
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import Double, decode, encode, messages_of


async def test_a_message_takes_effect_at_its_beat(live: Rig, client: Client) -> None:
    sent: list[object] = []
    live.app.outbox.tap(sent.append)
    beat = live.app.clock.moment().beat + 1 / 3
    assert await client.ask("/at", Double(beat), "/node/a/gain", 0.25, 0.5) == []
    assert await client.ask("/at", Double(beat), "/tempo", 90) == []
    whens = [action.when for action in sent if hasattr(action, "when") and isinstance(action.when, Beat)]
    assert whens == [Beat(beat), Beat(beat)]
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.5,))]


async def test_a_beat_that_has_passed_is_said(live: Rig, client: Client) -> None:
    now, tempo = live.app.clock.moment().beat, live.app.session.state.tempo
    then = now - 30.0 * tempo / 60.0
    assert await client.ask("/at", then, "/node/a/gain", 0.25) == [
        ("/remark", ("/node/a/gain", f"its time had passed 30.0 s ago: /at {then:g} when the beat was {now:.1f}"))
    ]
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.25,))]
    assert await client.ask("/at", now - 0.1, "/node/a/gain", 0.5) == [], "a busy network is not remarked"


async def test_what_cannot_be_is_answered_by_its_own_address(client: Client) -> None:

    async def answer(message: str) -> str:
        ((failed, (where, why)),) = await client.ask(*eval(f"[{message}]"))
        assert failed == "/fail"
        return f"{where}: {why}"

    await accepted.compare_async(__file__, answer)


async def test_a_cue_and_a_panic_come_to_every_subscriber(live: Rig) -> None:
    client, other = live.client(), live.client()
    await client.ask("/notify", 1)
    for message in (("/cue", "drop"), ("/cue", "drop", 0.5), ("/cue", "drop", "now"), ("/panic",)):
        await other.ask(*message)
    await live.settle(2)
    assert [m for m in client.heard() if m[0] in ("/cue", "/panic")] == [
        ("/cue", ("drop",)),
        ("/cue", ("drop", 0.5)),
        ("/cue", ("drop", "now")),
        ("/panic", ()),
    ]


class Program:
    """A program of the owner's that has joined over TCP."""

    def __init__(self, rig: Rig, token: str = "secret") -> None:
        self._rig, self._token, self._framer = rig, token, Framer()
        self.asked = nonce()
        self.proof: TokenProof | None = None

    async def start(self) -> Program:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._rig.app.osc_port)
        return self

    async def ask(self, *message: Any) -> list[tuple[str, tuple[Any, ...]]]:
        """Sends a message; all that has come until everything sent was handled."""
        found: list[tuple[str, tuple[Any, ...]]] = []
        for packet in ([encode(*message)] if message else []) + [encode("/ping")]:
            self._writer.write(len(packet).to_bytes(4, "big") + packet)
        while not found or found[-1][0] != "/pong":
            await self._rig.settle()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    for packet in self._framer.feed(await self._reader.read(1 << 20)):
                        assert isinstance(packet, bytes)
                        found += [(m.address.decode(), m.args) for m in messages_of(decode(packet))]
        return found[:-1]

    async def join(self) -> tuple[str, str]:
        ((address, (given, shown)),) = await self.ask("/live/join", self.asked)
        assert address == "/live/challenge"
        self.proof = TokenProof(self._token, self._rig.app.osc_port, self.asked, given)
        return given, shown

    async def perform(self) -> list[tuple[str, tuple[Any, ...]]]:
        await self.join()
        assert self.proof is not None
        return await self.ask("/live/perform", self.proof.make("performer"))


async def test_a_script_needs_the_token_and_a_server_with_live(live: Rig) -> None:
    other = live.client()
    for message in (("/live/eval", "secret", "code"), ("/live/join", nonce())):
        ((_, (where, why)),) = await other.ask(*message)
        assert (where, why) == (message[0], "this server evaluates nothing; start it with --live")
    live.app.joined["terminal"].token = lambda: "secret"
    for wrong in ("", "Secret", "secre", "ü"):
        assert "code" not in await other.refused("/live/eval", wrong, "code")
    await other.refused("/live/eval", "secret", "x" * 50_000)
    assert await other.ask("/live/eval", "secret", "code") == [("/done", ("/live/eval",))]
    # by a pattern it would pass those who look for the address
    ((failed, _),) = await other.ask("/live/ev*", "secret", "code")
    assert failed == "/fail"
    # a datagram's source can be used by the next program that has the port
    ((failed, (_, why)),) = await other.ask("/live/join", nonce())
    assert "TCP" in why
    # what comes by MQTT may come from anywhere
    with pytest.raises(RequestError, match="programs of this machine"):
        live.app.transports.host("mqtt", ServeSettings(), fresh=True).message(
            "/live/eval", "secret", "code", source="mqtt"
        )


async def test_a_script_goes_to_programs_that_have_proved_the_token_alone(live: Rig) -> None:
    live.app.joined["terminal"].token = lambda: "secret"
    client, other = live.client(), live.client()
    await client.ask("/notify", 1)
    performer, stranger = await Program(live).start(), await Program(live, "f" * 32).start()
    assert await performer.perform() == [("/done", ("/live/perform",))]
    ((failed, _),) = await stranger.perform()
    assert failed == "/fail"
    for number in (1, 2):
        assert await other.ask("/live/eval", "secret", "code") == [("/done", ("/live/eval",))]
        ((address, (script, count, proof)),) = await performer.ask()
        assert (address, script, count) == ("/live/eval", "code", number)
        assert performer.proof is not None
        assert performer.proof.check(proof, "perform", str(number), "code")
    assert await stranger.ask() == []
    assert await performer.ask("/live/plays", "mine.py") == []
    ((failed, (_, why)),) = await stranger.ask("/live/plays", "forged.py")
    assert "proved the token" in why
    assert live.app.joined["terminal"].performed_set == {"name": "mine.py", "tracks": [], "printed": []}
    assert [m for m in client.heard() if m[0] == "/live/eval"] == []


async def test_a_program_hands_a_script_over_by_a_proof_that_counts_once(live: Rig) -> None:
    live.app.joined["terminal"].token = lambda: "secret"
    performer, sender, thief = [await Program(live).start() for _ in range(3)]
    await performer.perform()
    given, shown = await sender.join()
    assert sender.proof is not None
    assert TokenProof("secret", live.app.osc_port, sender.asked, given).check(shown, "server")
    proof = sender.proof.make("hand over", "code")
    await thief.join()
    for who, words in ((thief, (proof, "code")), (sender, (proof, "other code")), (sender, (shown, "code"))):
        ((failed, (where, _)),) = await who.ask("/live/eval", *words)
        assert (failed, where) == ("/fail", "/live/eval")
    assert await sender.ask("/live/eval", proof, "code") == [("/done", ("/live/eval", 1))]
    ((failed, _),) = await sender.ask("/live/eval", proof, "code")
    assert failed == "/fail"
    assert len(await performer.ask()) == 1


async def test_a_monitor_shows_no_token(live: Rig) -> None:
    live.app.joined["terminal"].token = lambda: "secret"
    client, other = live.client(), live.client()
    await client.ask("/monitor", 1)
    await other.ask("/live/eval", "secret", "code")
    await live.settle(2)
    packets = [m[1][1] for m in client.heard() if m[0] == "/packet"]
    assert any(b"/live/eval" in packet for packet in packets)
    assert not any(b"secret" in packet for packet in packets)
