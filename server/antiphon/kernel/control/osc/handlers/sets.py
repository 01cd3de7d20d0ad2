"""Handlers of set lists: load, next, previous, go, save, list."""

from __future__ import annotations

from antiphon.kernel.control.osc.arguments import Args, text, whole
from antiphon.kernel.control.osc.handlers.graph import listing
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session import set_list
from antiphon.kernel.session.commands import When
from antiphon.kernel.wire.osc import encode


def load(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.sets.load(text(args, 0, "name"), peer, "/set/load")


def forward(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.sets.step(1, peer, "/set/next")


def back(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.sets.step(-1, peer, "/set/previous")


def go(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.sets.go(whole(args, 0, "place", 1, set_list.MAX_PATCHES) - 1, peer, "/set/go")


def save(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name = text(args, 0, "name")
    listed = tuple(text(args, at, "patch") for at in range(1, max(2, len(args))))
    server.sets.save(name, listed)
    server.replies.reply(peer, encode("/done", "/set/save", name))


def names(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    listing(server.replies, peer, "/set/list.reply", set_list.names())
    found = server.position.status(server.session.state.path)
    if found is not None:
        place = 0 if found["outside"] else found["place"]
        server.replies.reply(peer, encode("/set/patches.reply", found["name"], place, *found["patches"]))
