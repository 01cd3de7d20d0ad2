"""Handlers of notes, controllers and pitch bend.

Each handler takes the server, the sender, the arguments and the time; `addresses` says what each does. It raises
`AntiphonError`, whose text answers the sender.
"""

from __future__ import annotations

from typing import Protocol

from antiphon.control.executor import CommandExecutor
from antiphon.control.osc.arguments import Args
from antiphon.io.osc_peer import Peer
from antiphon.session import notes
from antiphon.session.commands import When


class NoteServer(Protocol):
    """What these handlers use of the server."""

    executor: CommandExecutor


def note_on(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/note/on", args, when), peer.key)


def note_off(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/note/off", args, when), peer.key)


def control(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/cc", args, when), peer.key)


def program(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/program", args, when), peer.key)


def pitch(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/note/pitch", args, when), peer.key)


def pressure(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/note/pressure", args, when), peer.key)


def timbre(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/note/timbre", args, when), peer.key)


def bend(server: NoteServer, peer: Peer, args: Args, when: When) -> None:
    server.executor.do(notes.read("/bend", args, when), peer.key)
