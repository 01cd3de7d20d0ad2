"""Set lists: load, next, previous, go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.control.osc.arguments import Args, most, pressed, text, whole
from antiphon.control.osc.handle_graph import listing
from antiphon.io.osc_peer import Peer
from antiphon.session import set_list
from antiphon.session.commands import When

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp


def load(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "s:name")
    app.sets.load(text(args, 0, "name"), peer, "/set/load")


def forward(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.sets.step(1, peer, "/set/next")


def back(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.sets.step(-1, peer, "/set/previous")


def go(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "i:place")
    app.sets.go(whole(args, 0, "place", 1, set_list.MAX_PATCHES) - 1, peer, "/set/go")


def names(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 0, "")
    listing(app, peer, "/set/list.reply", set_list.names())
