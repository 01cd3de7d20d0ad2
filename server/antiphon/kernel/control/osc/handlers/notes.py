"""Handlers of notes, of controllers, programs and pitch bend, and of values of single notes."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.kernel.control.osc.arguments import Args
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session import notes
from antiphon.kernel.session.commands import When


def handler(address: str) -> Callable[[OscServer, Peer, Args, When], None]:
    """Handler of an address that `session.notes.read` parses."""

    def handle(server: OscServer, peer: Peer, args: Args, when: When) -> None:
        server.executor.do(notes.read(address, args, when), peer.key)

    return handle
