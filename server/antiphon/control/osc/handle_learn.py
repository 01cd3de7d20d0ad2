"""Learning: which parameter the next MIDI control will move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from antiphon.control.midi.learn import settable
from antiphon.control.midi.pedals import PRESSED
from antiphon.control.osc.arguments import Args, most, text
from antiphon.control.replies import Replies
from antiphon.errors import WireError
from antiphon.io.osc_peer import Peer
from antiphon.session.commands import When
from antiphon.session.session import Session
from antiphon.wire.osc import encode


class Learner(Protocol):
    """Maps controllers to parameters."""

    def learn(self, target: str, done: Callable[[str], None]) -> None:
        """The next controller that moves is mapped to `target`, "node.param" or an address; `done` gets its name."""

    def unlearn(self, target: str) -> None:
        """Forgets what was learned for a target; `WireError` where nothing was."""


class LearnServer(Protocol):
    """What these handlers use of the server."""

    session: Session
    replies: Replies

    @property
    def learner(self) -> Learner: ...


def learn(server: LearnServer, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:address")
    address = text(args, 0, "address")
    target = address
    if address not in PRESSED:
        node, name = split(address)
        found, cell = server.session.param(node, name)
        settable(found.cells[cell], address)
        target = f"{node}.{name}"

    def done(control: str) -> None:
        server.replies.reply(peer, encode("/done", "/learn", address, control))

    server.learner.learn(target, done)


def unlearn(server: LearnServer, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:address")
    address = text(args, 0, "address")
    server.learner.unlearn(address if address in PRESSED else ".".join(split(address)))


def split(address: str) -> tuple[str, str]:
    """(node, parameter) of `/node/NAME/PARAM`, or of `NAME.PARAM` as patches write it."""
    parts = address.removeprefix("/node/").removesuffix("/norm").split("/" if address.startswith("/") else ".")
    if len(parts) != 2 or not all(parts):
        raise WireError(f"address takes /node/NAME/PARAM, not {address[:60]!r}")
    return parts[0], parts[1]
