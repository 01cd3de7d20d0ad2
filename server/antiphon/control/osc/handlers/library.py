"""Handlers of the library: what comes next.

Each handler takes the server, the sender, the arguments and the time; `addresses` says what each does. It raises
`AntiphonError`, whose text answers the sender.
"""

from __future__ import annotations

from typing import Protocol

from antiphon.control.osc.arguments import Args, most, text, whole
from antiphon.control.osc.library_questions import LibraryQuestions
from antiphon.errors import RequestError
from antiphon.io.osc_peer import Peer
from antiphon.session.commands import When

MOST_TRACKS, MOST_SIGNALS = 50, 20
KINDS = ("like", "skip", "dislike", "after")


class LibraryServer(Protocol):
    """What these handlers use of the server."""

    library: LibraryQuestions


def following(server: LibraryServer, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1 + 2 * MOST_SIGNALS, "[i:count] [s:kind s:path]…")
    count = whole(args, 0, "count", 1, MOST_TRACKS, 1)
    given = []
    for at in range(1, len(args), 2):
        kind = text(args, at, "kind")
        if kind not in KINDS:
            raise RequestError(f"kind is {', '.join(KINDS[:-1])} or {KINDS[-1]}, not {kind[:40]!r}")
        given.append((kind, text(args, at + 1, "path", longest=4096)))
    server.library.ask(peer, "/library/next", count, tuple(given))
