"""Tempo and transport, and keeping what is played."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.control.osc.arguments import Args, most, number, pressed, text
from antiphon.control.osc.intake import Handler
from antiphon.errors import WireError
from antiphon.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.io.osc_peer import Peer
from antiphon.runtime import paths
from antiphon.session.actions import ACTIONS
from antiphon.session.commands import Plain, SetTempo, Transport, When
from antiphon.session.schedule import MAX_BEAT
from antiphon.wire.osc import encode

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

ROOM = 1 << 18
"""Bytes that must be free when a recording is asked for."""


def plain(kind: type[Plain]) -> Handler:
    """The handler of a message whose arguments are the command's fields in order."""
    row = ACTIONS.row(kind)

    def handle(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
        most(args, len(row.names), " ".join(f"f:{name}" for name in row.names))
        values = (number(args, at, field.name, *field.bounds) for at, field in enumerate(row.fields))
        app.do(row.record(*values, when), peer)

    return handle


def tempo(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    if not args:
        app.catch_up()
        app.reply(peer, encode("/tempo", float(app.session.tempo)))
        return
    most(args, 2, "f:bpm [f:beats]")
    bpm = number(args, 0, "tempo in bpm", MIN_TEMPO, MAX_TEMPO)
    beats = number(args, 1, "the ramp in beats", 0.0, 1e6, 0.0)
    app.do(SetTempo(bpm, beats, when), peer)


def play(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    most(args, 1, "[f:beat]")
    beat = number(args, 0, "beat", -MAX_BEAT, MAX_BEAT) if args else None
    app.do(Transport(True, beat, when), peer)


def stop(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.do(Transport(False, None, when), peer)


def beat(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    if not args:
        app.reply(peer, encode("/beat", float(app.link.tempo_now()[0])))
        return
    most(args, 1, "[f:beat]")
    app.do(Transport(None, number(args, 0, "beat", -MAX_BEAT, MAX_BEAT), when), peer)


def session_record(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "[s:name]")
    if app.link.keeping:
        raise WireError("a set is being kept already; /session/stop ends it first")
    path = _fresh(paths.sessions(), text(args, 0, "name", _now()), "")
    _check_room(path)
    app.link.session(str(path), app.session_header())
    app.reply(peer, encode("/done", "/session/record", str(path)))


def session_stop(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.link.session(None)


def record_start(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "[s:name]")
    path = _fresh(paths.recordings(), text(args, 0, "name", _now()), ".wav")
    _check_room(path)
    app.link.record(str(path))
    app.reply(peer, encode("/done", "/record/start", str(path)))


def record_stop(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "no arguments")
    if pressed(args):
        app.link.record(None)


def _now() -> str:
    return time.strftime("%Y-%m-%d_%H-%M-%S")


def _check_room(path: Path) -> None:
    """Refuses at once what the recorder could not begin to write."""
    trial = path.with_name(f".{path.name}.room")
    paths.reserve(trial, ROOM)
    trial.unlink(missing_ok=True)


def _fresh(folder: Path, name: str, suffix: str) -> Path:
    """A path inside `folder` where nothing is yet; the folder is made."""
    path = paths.inside(paths.made(folder, paths.PRIVATE_FOLDER), name, suffix, WireError)
    if path.exists() or path.is_symlink():
        raise WireError(f"there is a {path.name!r} already; choose another name")
    return path
