"""What `antiphon live` performs of what comes by OSC: a false server's scripts, replayed ones, the owner's."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from antiphon.cli.running.given_token import store_token
from antiphon.files.owner_token import TokenProof, nonce
from antiphon.kernel.wire.frames import Framer
from antiphon.kernel.wire.osc import Message, decode, encode
from antiphon.performer.outgoing import SentEvent
from antiphon.performer.performing import FOREIGN, UNPROVED, Performing

TOKEN, OTHER = "0123456789abcdef" * 2, "f" * 32
SET = "from antiphon.live import *\n"


class PortOwner:
    """The process that has the OSC port."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sock: socket.socket | None = None
        self._framer = Framer()

    def accept(self) -> None:
        self._sock, _ = self._listener.accept()
        self._sock.setblocking(False)
        self._framer = Framer()

    def send(self, *message: Any) -> None:
        assert self._sock is not None
        packet = encode(*message)
        self._sock.sendall(len(packet).to_bytes(4, "big") + packet)

    def heard(self) -> list[Message]:
        assert self._sock is not None
        try:
            packets = self._framer.feed(self._sock.recv(1 << 16))
        except BlockingIOError:
            return []
        return [m for p in packets if isinstance(p, bytes) and isinstance(m := decode(p), Message)]

    def close(self) -> None:
        for sock in (self._listener, self._sock):
            if sock is not None:
                sock.close()


class Scene:
    """A performance at a server of the test's own, and the versions that it took."""

    def __init__(self, folder: Path) -> None:
        self.server, self.said, self.saved = PortOwner(), [""], [""]
        (folder / "set.py").write_text(SET)
        self.performing = Performing(str(folder / "set.py"), self._show, osc_port=self.server.port, serve=None)
        self.performing.player.save = lambda text, *_: self.saved.append(text)  # type: ignore[method-assign]
        self.until(lambda: self.performing.wire.connected, "it connects")
        self.server.accept()

    def _show(self, sentence: str, picture: str = "", *, fault: bool = False) -> None:
        self.said.append(sentence)

    def until(self, true: Callable[[], object], what: str) -> None:
        def done() -> bool:
            self.performing.turn()
            return bool(true())

        until(done, 10.0, f"{what}; said {self.said}, saved {self.saved}")

    def hears(self, address: bytes) -> Message:
        found: list[Message] = []

        def look() -> bool:
            found.extend(m for m in self.server.heard() if m.address == address)
            return bool(found)

        self.until(look, f"{address!r} comes")
        return found[0]

    def challenge(self, token: str, port: int | None = None) -> TokenProof:
        """Answers its `/live/join` with a token."""
        (asked,) = self.hears(b"/live/join").args
        proof = TokenProof(token, self.server.port if port is None else port, str(asked), nonce())
        self.server.send("/live/challenge", proof.given, proof.make("server"))
        return proof

    def hand(self, proof: TokenProof, number: int, script: str) -> None:
        self.server.send("/live/eval", script, number, proof.make("perform", str(number), script))


@pytest.fixture
def scene(antiphon_home: Path) -> Iterator[Scene]:
    store_token(antiphon_home / "config", TOKEN)
    made = Scene(antiphon_home)
    yield made
    made.performing.end()
    made.server.close()


def test_a_false_servers_scripts_are_not_performed_and_it_learns_nothing(scene: Scene) -> None:
    asked = scene.hears(b"/live/join").args
    assert TOKEN not in str(asked)
    proof = TokenProof(OTHER, scene.server.port, str(asked[0]), nonce())
    scene.server.send("/live/challenge", proof.given, proof.make("server"))
    scene.until(lambda: FOREIGN in scene.said, "the false server is named")
    for words in (("evil",), ("evil", 1), ("evil", 1, ""), ("evil", 1, proof.make("perform", "1", "evil"))):
        scene.said.clear()
        scene.performing._reasons.clear()
        scene.server.send("/live/eval", *words)
        scene.until(lambda: UNPROVED in scene.said, f"{words} is refused")
    assert scene.saved == ["", SET]
    assert b"/live/perform" not in [message.address for message in scene.server.heard()]


def test_the_owners_server_hands_each_script_over_once(scene: Scene) -> None:
    proof = scene.challenge(TOKEN)
    assert proof.check(scene.hears(b"/live/perform").args[0], "performer")
    scene.hand(proof, 1, "one")
    scene.until(lambda: scene.saved[-1] == "one", "the first is performed")
    scene.hand(proof, 1, "one")  # once more
    scene.until(lambda: UNPROVED in scene.said, "it is refused")
    scene.hand(proof, 3, "three")
    scene.until(lambda: scene.saved[-1] == "three", "a later one is performed")
    assert scene.saved[2:] == ["one", "three"]
    # on the next connection nothing of this one counts
    scene.server._sock.close()  # type: ignore[union-attr]
    scene.until(lambda: not scene.performing.wire.connected, "it is cut off")
    scene.until(lambda: scene.performing.wire.connected, "it connects again")
    scene.server.accept()
    scene.said.clear()
    scene.performing._reasons.clear()
    scene.hears(b"/live/join")
    scene.server.send("/live/challenge", proof.given, proof.make("server"))
    scene.hand(proof, 4, "four")
    scene.until(lambda: {FOREIGN, UNPROVED} <= set(scene.said), "both are refused")
    assert scene.saved[-1] == "three"


def test_a_proof_that_is_passed_on_from_another_port_does_not_count(scene: Scene) -> None:
    scene.challenge(TOKEN, scene.server.port + 1)
    scene.until(lambda: FOREIGN in scene.said, "it is refused")


def test_a_challenge_that_was_not_asked_for_makes_no_proof(scene: Scene) -> None:
    proof = scene.challenge(TOKEN)
    scene.hears(b"/live/perform")
    scene.server.send("/live/challenge", proof.given, proof.make("server"))
    scene.until(lambda: FOREIGN in scene.said, "the second is refused")


def test_what_a_midi_port_refuses_is_said_with_its_line(scene: Scene) -> None:
    scene.performing._send(SentEvent(0.0, "@/note/on", (60, 100.0, 3, "@/gear"), 7))
    scene.server.send("/fail", "/midi/out", "there is no MIDI output 'gear'")
    scene.until(lambda: scene.said[-1] == "set.py line 7: there is no MIDI output 'gear'", "the line is named")


def test_values_beyond_a_range_are_one_sentence_for_each_place_version_and_kind(scene: Scene) -> None:
    refusal, other = "cutoff takes 20 to 20000 Hz, not {}", "cutoff takes a number, not 'high'"
    expected = []
    for version, line in ((1, 3), (1, 8), (2, 3)):
        scene.performing.player.swaps = version
        scene.performing._send(SentEvent(0.0, "/node/tone/cutoff", (-5000.0,), line))
        expected.append(f"set.py line {line}: {refusal.format(-1)}")
        expected.append(f"set.py line {line}: {other}")
        for value in (-1, -2.5, 90000, -1e-05):
            scene.server.send("/fail", "/node/tone/cutoff", refusal.format(value))
        scene.server.send("/fail", "/node/tone/cutoff", other)
        scene.server.send("/fail", "/last", f"{version} {line}")
        scene.until(lambda: "/last" in scene.said[-1], "all was read")
        scene.said.pop()
    assert [said for said in scene.said if "cutoff" in said] == expected
