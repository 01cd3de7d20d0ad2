"""Accepts live scripts from the owner's programs, and forwards them to performing ones; all must prove the token."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from msgspec import Meta

from antiphon.files.owner_token import OwnerToken, TokenProof, nonce as make_nonce
from antiphon.kernel.control.app import ControlApp
from antiphon.kernel.control.osc.arguments import OWNER, OscCall, Word, osc
from antiphon.kernel.errors import RequestError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.wire.osc import encode

MAX_SCRIPT = 48 * 1024
"""Maximum characters of a script, so that it fits a datagram."""
MAX_LINES = 8192
"""Maximum characters of a set's tracks, and of its output."""
EVALUATE, NAME = "/live/eval", "terminal"
"""Address by which scripts are sent, and the gate's name among control's companions and in `/api/status`."""
Lines = Annotated[str, Meta(max_length=MAX_LINES)]
_UNPROVED = "a program says what it performs once it has proved the token, by /live/join and /live/perform"
_WRONG = "this is not the token; it is in the file `token` of the configuration folder"


@dataclass(slots=True)
class _Program:
    """A program's connection. `performs`: it has proved the token, and gets scripts. `number`: its last script's."""

    peer: Peer
    proof: TokenProof
    performs: bool = False
    number: int = 0


class ScriptGate:
    """Joined programs, each on its own TCP connection; at most as many as `TcpServer` allows.

    `token`: returns the owner's token; None if the server evaluates nothing.
    """

    def __init__(self, token: Callable[[], str] | None, port: int) -> None:
        """Begins without programs. `token`: see the attribute. `port`: the server's OSC port."""
        self.token, self._port = token, port
        self._programs: dict[str, _Program] = {}
        self._shown: list[tuple[Peer, dict[str, Any]]] = []

    def show(self, peer: Peer, played: dict[str, Any]) -> None:
        """Stores the set that a program performs, with "name" "" for none.

        Raises RequestError: it comes by datagrams, or from a program that has not proved the token, if there is one.
        """
        if peer.udp is not None or not peer.host:
            raise RequestError("a program says what it performs by a connection over TCP")
        program = self._programs.get(peer.key)
        if self.token is not None and (program is None or program.peer is not peer or not program.performs):
            raise RequestError(_UNPROVED)
        others = [one for one in self._shown if one[0] is not peer and not one[0].link_lost]
        self._shown = others + [(peer, played)] * bool(played["name"])

    @property
    def performed_set(self) -> dict[str, Any] | None:
        """The set reported last by a program that is still connected."""
        self._shown = [one for one in self._shown if not one[0].link_lost]
        return self._shown[-1][1] if self._shown else None

    def join(self, peer: Peer, asked: str) -> bytes:
        """Registers a joining program by its nonce; returns the challenge.

        Raises RequestError: it comes over datagrams, or scripts are not evaluated.
        """
        token = self._token()
        if peer.udp is not None or not peer.host:
            raise RequestError("a program joins by a connection over TCP")
        self._programs = {key: one for key, one in self._programs.items() if not one.peer.link_lost}
        proof = TokenProof(token, self._port, asked, make_nonce())
        self._programs[peer.key] = _Program(peer, proof)
        return encode("/live/challenge", proof.given, proof.make("server"))

    def admit(self, peer: Peer, proof: str) -> None:
        """Adds a program to those that are sent scripts. Raises `RequestError` if it does not prove the token."""
        program = self._programs.get(peer.key)
        if program is None or program.peer is not peer or not program.proof.check(proof, "performer"):
            raise RequestError(_WRONG)
        program.performs = True

    def check(self, peer: Peer, secret: str, script: str) -> bool:
        """True for a script with a joined program's one-time proof, False for one with the token."""
        token = self._token()
        try:
            given = secret.encode()
            script.encode()
        except UnicodeEncodeError:
            raise RequestError("a script is text that UTF-8 can hold") from None
        if not peer.host:
            raise RequestError("a script is handed over by programs of this machine alone")
        program = self._programs.get(peer.key)
        if program is not None and program.peer is peer and program.proof.check(secret, "hand over", script):
            del self._programs[peer.key]
            return True
        if not hmac.compare_digest(given, token.encode()):
            raise RequestError(_WRONG)
        return False

    def packets(self, script: str) -> list[tuple[Peer, bytes]]:
        """Packets for the performing programs: the script, an ascending number, and a proof for both."""
        performers = [one for one in self._programs.values() if one.performs and not one.peer.link_lost]
        for one in performers:
            one.number += 1
        return [
            (one.peer, encode("/live/eval", script, one.number, one.proof.make("perform", str(one.number), script)))
            for one in performers
        ]

    def _token(self) -> str:
        if self.token is None:
            raise RequestError("this server evaluates nothing; start it with --live")
        return self.token()


def _gate(ask: OscCall) -> ScriptGate:
    return cast(ScriptGate, ask.server.joined[NAME])


@osc(EVALUATE, OWNER)
def evaluate(ask: OscCall, token: Word, script: Annotated[str, Meta(max_length=MAX_SCRIPT)]) -> None:
    """With `serve --live`: hands a live script to `antiphon live`, from programs of this machine, with the owner's
    token, or after `/live/join` a proof of it. Answers `/done`, after a proof with the number of programs that get it.
    """
    gate, replies = _gate(ask), ask.server.replies
    proved, sent = gate.check(ask.peer, token, script), gate.packets(script)
    for performer, packet in sent:
        replies.reply(performer, packet)
    ask.reply("/done", EVALUATE, *([len(sent)] if proved else []))


@osc("/live/join", OWNER)
def join(ask: OscCall, nonce: Word) -> None:
    """With `serve --live`, over TCP: answers `/live/challenge s:nonce s:proof`, by which a program of the owner knows
    its server. How proofs are made: docs/live-coding.md.
    """
    ask.server.replies.reply(ask.peer, _gate(ask).join(ask.peer, nonce))


@osc("/live/perform", OWNER)
def perform(ask: OscCall, proof: Word) -> None:
    """After `/live/join`, of a program that proves the token: it is sent `/live/eval s:script i:number s:proof` from
    now on. Answers `/done`.
    """
    _gate(ask).admit(ask.peer, proof)
    ask.reply("/done", "/live/perform")


@osc("/live/plays", OWNER)
def plays(ask: OscCall, set: Word = "", tracks: Lines = "", printed: Lines = "") -> None:
    """After `/live/perform`: the set that a program performs, its tracks and printed lines, for `/api/status`; nothing
    without arguments.
    """
    lines = {"tracks": tracks, "printed": printed}
    kept = {name: [line for line in some.split("\n") if line] for name, some in lines.items()}
    _gate(ask).show(ask.peer, {"name": set, **kept})


ADDRESSES = (evaluate, join, perform, plays)


def open_gate(app: ControlApp, settings: ServeSettings, fds: Mapping[str, int]) -> None:
    """Lets control accept scripts; a function of `Companions.control`."""
    gate = ScriptGate(OwnerToken(paths.config()) if settings.live else None, app.osc_port)
    app.joined[NAME] = gate
    app.directory.add(ADDRESSES)
    app.transports.statuses[NAME] = lambda: gate.performed_set
