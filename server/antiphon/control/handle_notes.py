"""Notes and controls, for the nodes that take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon import notes
from antiphon.commands import When
from antiphon.control.arguments import Args
from antiphon.control.clients import Peer

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
