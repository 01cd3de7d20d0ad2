"""Handlers of tempo, transport and recording."""

import time
from collections.abc import Callable
from pathlib import Path

from antiphon.kernel.control.osc.arguments import Args, number, text, whole
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.errors import EngineError, FileError, RequestError
from antiphon.kernel.graph.clock import MAX_BAR
from antiphon.kernel.graph.graph import OUT
from antiphon.kernel.graph.io_nodes import BUS_NUMBERS
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.sound_formats import FORMATS, RECORDING_SUFFIXES
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.commands import Plain, SetSwing, SetTempo, SetTransport, When
from antiphon.kernel.session.schedule import MAX_BEAT
from antiphon.kernel.session.session import Session
from antiphon.kernel.wire.osc import encode

CAPTURES, MAX_BARS = "captures", 256
"""Folder of captures in the performer's library, and maximum bars of one."""
MIN_FREE_BYTES = 1 << 18
"""Bytes that must be free to start a recording."""


def plain(kind: type[Plain]) -> Callable[[OscServer, Peer, Args, When], None]:
    """Handler of a message whose arguments are the command's fields in order."""
    row = ACTIONS.row(kind)

    def handle(server: OscServer, peer: Peer, args: Args, when: When) -> None:
        given = max(len(args), row.least)
        values = {
            field.name: number(args, at, field.name, *field.bounds) for at, field in enumerate(row.fields[:given])
        }
        server.executor.do(row.record(**values, when=when), peer.key)

    return handle


def leader_of(server: OscServer) -> str:
    """Name of the node that steers the clock, "" for none."""
    number = server.link.leader
    return next((node.name for node in server.session.state.nodes.values() if number and node.id == number), "")


def tempo(server: OscServer, peer: Peer, args: Args, when: When) -> None:
    if args:
        plain(SetTempo)(server, peer, args, when)
        if leader := leader_of(server):
            said = f"{leader} leads the clock and takes its tempo back; send /node/{leader}/on 0 first"
            server.replies.reply(peer, encode("/remark", "/tempo", said))
        return
    server.executor.catch_up()
    session = server.session
    bpm = server.link.tempo_now()[1] if session.tempo_ramps else session.state.tempo
    server.replies.reply(peer, encode("/tempo", float(bpm)))


def swing(server: OscServer, peer: Peer, args: Args, when: When) -> None:
    if args:
        plain(SetSwing)(server, peer, args, when)
        return
    server.executor.catch_up()
    server.replies.reply(peer, encode("/swing", *server.session.state.swing))


def bar_beats(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    if args:
        server.session.state.put_bar(whole(args, 0, "beats of a bar", 1, MAX_BAR))
    else:
        server.replies.reply(peer, encode("/bar/beats", server.session.state.bar))


def play(server: OscServer, peer: Peer, args: Args, when: When) -> None:
    beat = number(args, 0, "beat", -MAX_BEAT, MAX_BEAT) if args else None
    server.executor.do(SetTransport(True, beat, when), peer.key)


def stop(server: OscServer, peer: Peer, _args: Args, when: When) -> None:
    server.executor.do(SetTransport(False, None, when), peer.key)


def beat(server: OscServer, peer: Peer, args: Args, when: When) -> None:
    if not args:
        # by the sample clock, which also runs while the engine computes no block
        server.replies.reply(peer, encode("/beat", float(server.link.beat_at(server.clock.moment().sample))))
        return
    server.executor.do(SetTransport(None, number(args, 0, "beat", -MAX_BEAT, MAX_BEAT), when), peer.key)


def session_record(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    if server.link.keeping:
        raise RequestError("a session is being recorded already; end it first with /session/stop")
    name = text(args, 0, "name", "")
    path = _claimed(paths.sessions(), name, _now(), folder=True)
    server.link.session(str(path), server.session_header())
    server.replies.reply(peer, encode("/done", "/session/record", str(path)))


def session_stop(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.link.session(None)


def record_start(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name = text(args, 0, "name", "")
    path = _claimed(paths.recordings(), name, _now(), _recording_suffix(server, name))
    server.link.record(str(path))
    server.replies.reply(peer, encode("/done", "/record/start", str(path)))


def tracks_start(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    if server.link.keeping_tracks:
        raise RequestError("tracks are being recorded already; end them first with /record/tracks/stop")
    path = _claimed(paths.recordings(), text(args, 0, "folder", ""), _now(), folder=True)
    server.link.tracks(str(path), {**server.session_header(), "bar": server.session.state.bar})
    server.replies.reply(peer, encode("/done", "/record/tracks/start", str(path)))


def tracks_stop(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.link.tracks(None)
    server.replies.reply(peer, encode("/done", "/record/tracks/stop"))


def _recording_suffix(server: OscServer, name: str) -> str:
    """Suffix of a recording: as in its name, else .wav."""
    suffix = Path(name).suffix
    held, engine = FORMATS.get(suffix.lower()), server.link.status()
    if held is None:
        return ".wav"
    if suffix.lower() not in RECORDING_SUFFIXES:
        raise RequestError(f"{suffix} cannot be recorded; name a {', '.join(RECORDING_SUFFIXES)}")
    if engine.channels > held.channels or engine.rate > max(held.rates, default=engine.rate):
        raise RequestError(f"{suffix} does not hold {engine.channels} channels at {engine.rate} Hz; name a .wav")
    return suffix


def capture(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    bars, name = whole(args, 0, "bars", 1, MAX_BARS), text(args, 1, "node", OUT)
    node = node_number(server.session, name)
    path = _claimed(paths.library() / CAPTURES, text(args, 2, "name", ""), f"{name}-{_now()}", ".wav")
    try:
        server.captures.ask(peer, str(path), node, bars, server.session.state.bar)
    except EngineError:
        paths.drop_empty(path)
        raise


def record_stop(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.link.record(None)
    server.replies.reply(peer, encode("/done", "/record/stop"))


def node_number(session: Session, name: str) -> int:
    """Engine's number of a node, `in`, `out` or a pair as `out.cue`; `RequestError` if there is none of that name."""
    nodes = {name: node.id for name, node in (session.state.nodes | session.state.ends).items()} | BUS_NUMBERS
    if name not in nodes:
        raise RequestError(f"there is no node {shorten(name)!r}{instead(name, nodes)}")
    return nodes[name]


def _now() -> str:
    return time.strftime("%Y-%m-%d_%H-%M-%S")


def _claimed(parent: Path, name: str, otherwise: str, suffix: str = "", *, folder: bool = False) -> Path:
    """A new empty file, or folder, inside `parent`, which is created; with room for its beginning.

    `name`: as the sender wrote it, "" for none; it is refused where it is taken. `otherwise`: a name of the time of
    day, which another sender may have taken in the same second, and then gets a number. Raises `FileError` on a full
    disk, so that the sender is answered at once.
    """
    path = paths.path_inside(paths.make_folder(parent, paths.PRIVATE_FOLDER), name or otherwise, suffix, RequestError)
    path = paths.claim(path, folder=folder, numbered=not name)
    trial = path / ".room" if folder else path
    try:
        paths.reserve(trial, MIN_FREE_BYTES)
        if folder:
            trial.unlink()
    except FileError:
        paths.drop_empty(path)
        raise
    return path
