"""Notes and controls, for the nodes that take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.control.osc.arguments import Args
from antiphon.io.osc_peer import Peer
from antiphon.session import notes
from antiphon.session.commands import When

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp


def note_on(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    app.do(notes.read("/note/on", args, when), peer)


def note_off(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    app.do(notes.read("/note/off", args, when), peer)


def control(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    app.do(notes.read("/cc", args, when), peer)


def bend(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    app.do(notes.read("/bend", args, when), peer)
