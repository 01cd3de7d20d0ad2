"""Learning: which parameter the next MIDI control will move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.control.midi.learn import settable
from antiphon.control.midi.pedals import PRESSED
from antiphon.control.osc.arguments import Args, most, text
from antiphon.errors import WireError
from antiphon.io.osc_peer import Peer
from antiphon.session.commands import When
from antiphon.wire.osc import encode

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp


def learn(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:address")
    address = text(args, 0, "address")
    target = address
    if address not in PRESSED:
        node, name = split(address)
        found, cell = app.session.param(node, name)
        settable(found.cells[cell], address)
        target = f"{node}.{name}"

    def done(control: str) -> None:
        app.reply(peer, encode("/done", "/learn", address, control))

    app.midi.learn(target, done)


def unlearn(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:address")
    address = text(args, 0, "address")
    app.midi.unlearn(address if address in PRESSED else ".".join(split(address)))


def split(address: str) -> tuple[str, str]:
    """(node, parameter) of `/node/NAME/PARAM`, or of `NAME.PARAM` as patches write it."""
    parts = address.removeprefix("/node/").removesuffix("/norm").split("/" if address.startswith("/") else ".")
    if len(parts) != 2 or not all(parts):
        raise WireError(f"address takes /node/NAME/PARAM, not {address[:60]!r}")
    return parts[0], parts[1]
