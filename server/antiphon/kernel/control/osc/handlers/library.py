"""Library queries: next tracks, and tracks that fit what plays."""

from __future__ import annotations

from antiphon.kernel.control.osc.arguments import Args, most, text, whole
from antiphon.kernel.control.osc.handlers.time import node_number
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.errors import RequestError
from antiphon.kernel.graph.graph import OUT
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session.commands import When

MOST_TRACKS, MOST_SIGNALS = 50, 20
KINDS = ("like", "skip", "dislike", "after")


def following(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1 + 2 * MOST_SIGNALS, "[i:count] [s:kind s:path]…")
    count = whole(args, 0, "count", 1, MOST_TRACKS, 1)
    given = []
    for at in range(1, len(args), 2):
        kind = text(args, at, "kind")
        if kind not in KINDS:
            raise RequestError(f"kind is {', '.join(KINDS[:-1])} or {KINDS[-1]}, not {kind[:40]!r}")
        given.append((kind, text(args, at + 1, "path", longest=4096)))
    server.library.ask(peer, "/library/next", count, tuple(given))


def fitting(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    count, node = whole(args, 0, "count", 1, MOST_TRACKS, 10), text(args, 1, "node", OUT)
    number, bar = node_number(server.session, node), server.session.state.bar
    server.library.ask_fitting(
        peer,
        "/library/fits",
        count,
        bar,
        lambda path, bars, done: server.captures.ask(peer, path, number, bars, bar, done),
    )
