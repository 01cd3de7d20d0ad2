"""Handlers of `/learn` and `/unlearn`: mapping the next MIDI controller that moves to a parameter.

Each handler takes the server, the sender, the arguments and the time; `addresses` says what each does. It raises
`AntiphonError`, whose text answers the sender.
"""

from __future__ import annotations

from typing import Protocol

from antiphon.control.osc.arguments import Args, most, text
from antiphon.control.replies import Replies
from antiphon.control.transports import Transports
from antiphon.errors import WireError
from antiphon.io.osc_peer import Peer
from antiphon.session.commands import When
from antiphon.session.session import Session
from antiphon.session.transport import PRESSABLE, settable
from antiphon.session.transport_server import Learner
from antiphon.wire.osc import encode


class LearnServer(Protocol):
    """What these handlers use of the server."""

    session: Session
    replies: Replies
    transports: Transports


def learn(server: LearnServer, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:address")
    address = text(args, 0, "address")
    target = address
    if address not in PRESSABLE:
        node, name = split(address)
        node_state, cell = server.session.state.param(node, name)
        settable(node_state.cells[cell], address)
        target = f"{node}.{name}"

    def done(control: str) -> None:
        server.replies.reply(peer, encode("/done", "/learn", address, control))

    _learner(server).learn(target, done)


def unlearn(server: LearnServer, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:address")
    address = text(args, 0, "address")
    _learner(server).unlearn(address if address in PRESSABLE else ".".join(split(address)))


def _learner(server: LearnServer) -> Learner:
    if server.transports.learner is None:
        raise WireError("no MIDI is open: start the server with --midi")
    return server.transports.learner


def split(address: str) -> tuple[str, str]:
    """(node, parameter) of `/node/NAME/PARAM`, or of `NAME.PARAM` as in a patch; `WireError` for another form."""
    parts = address.removeprefix("/node/").removesuffix("/norm").split("/" if address.startswith("/") else ".")
    if len(parts) != 2 or not all(parts):
        raise WireError(f"address takes /node/NAME/PARAM, not {address[:60]!r}")
    return parts[0], parts[1]
