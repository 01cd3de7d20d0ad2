"""Addresses of tempo, transport and recording."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from antiphon.kernel.control.osc.arguments import OWNER, Args, OscCall, Word, osc
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.engine.link import EngineStatus
from antiphon.kernel.errors import EngineError, FileError, RequestError
from antiphon.kernel.graph.clock import MAX_BAR, MAX_SWING, MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import OUT
from antiphon.kernel.graph.io_nodes import BUS_NUMBERS
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import count_of, shorten
from antiphon.kernel.runtime.sound_formats import FORMATS, RECORDING_SUFFIXES
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session import messages
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.commands import NudgeBeat, Plain, SetSwing, SetTempo, SetTransport
from antiphon.kernel.session.schedule import MAX_BEAT
from antiphon.kernel.session.session import Session

MAX_BARS = 256
"""Maximum bars of a capture."""
MIN_FREE_BYTES = 1 << 18
"""Bytes that must be free to start a recording."""


BeatNumber = Annotated[float, Meta(ge=-MAX_BEAT, le=MAX_BEAT)]


def _plain(ask: OscCall, kind: type[Plain], args: Args) -> None:
    """A message whose arguments are the command's fields in order."""
    ask.do(messages.plain(ACTIONS.row(kind), args, ask.when))


def _check_plain(kind: type[Plain]) -> Callable[[OscCall, Args], None]:
    """The check of such a message; without arguments it may be a question."""

    def check(ask: OscCall, args: Args) -> None:
        if args or kind is NudgeBeat:
            ask.check(messages.plain(ACTIONS.row(kind), args, ask.when))

    return check


def clock_leader_name(server: OscServer) -> str:
    """Name of the node that steers the clock, "" for none."""
    number = server.link.leader
    return next((node.name for node in server.session.state.nodes.values() if number and node.id == number), "")


@osc(
    "/tempo",
    args="[f:bpm] [f:beats]",
    doc=f"Sets the tempo, {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, over `beats` beats; without arguments answers "
    "`/tempo f:bpm`, during a ramp the present one. A node that leads the clock overrides it, which `/remark` reports.",
    timed=True,
    check=_check_plain(SetTempo),
)
def tempo(ask: OscCall, args: Args) -> None:
    if args:
        _plain(ask, SetTempo, args)
        if leader := clock_leader_name(ask.server):
            said = f"{leader} leads the clock and takes its tempo back; send /node/{leader}/on 0 first"
            ask.reply("/remark", "/tempo", said)
        return
    ask.server.executor.catch_up()
    session = ask.server.session
    bpm = ask.server.link.tempo_now()[1] if session.tempo_ramps else session.state.tempo
    ask.reply("/tempo", float(bpm))


@osc(
    "/swing",
    args="[f:amount] [f:step]",
    doc=f"Swing: delays every second step of events given in beats by `amount` of a step, 0 to {MAX_SWING:g} (0: even, "
    "0.333: triplets). A step has `step` beats, 0.5 by default. `/beat` stays even. Without arguments answers "
    "`/swing f:amount f:step`.",
    timed=True,
    check=_check_plain(SetSwing),
)
def swing(ask: OscCall, args: Args) -> None:
    if args:
        _plain(ask, SetSwing, args)
        return
    ask.server.executor.catch_up()
    ask.reply("/swing", *ask.server.session.state.swing)


@osc(
    "/bar/beats",
    doc=f"Sets the beats of a bar for `/bar`, 1 to {MAX_BAR}; bars begin at whole multiples. Without arguments answers "
    "`/bar/beats i:beats`.",
)
def bar_beats(ask: OscCall, beats: Annotated[int, Meta(ge=1, le=MAX_BAR)] | None = None) -> None:
    if beats is not None:
        ask.server.session.state.put_bar(beats)
    else:
        ask.reply("/bar/beats", ask.server.session.state.bar)


@osc("/transport/play", timed=True)
def play(ask: OscCall, beat: BeatNumber | None = None) -> None:
    """Starts the clock, from `beat` if given."""
    ask.do(SetTransport(True, beat, ask.when))


@osc("/transport/stop", timed=True)
def stop(ask: OscCall) -> None:
    """Stops the clock, and ends the notes that began at a beat."""
    ask.do(SetTransport(False, None, ask.when))


@osc("/transport/wait", timed=True)
def wait(ask: OscCall, beat: BeatNumber = 0.0) -> None:
    """Stops the beat at a beat, by default 0, until the player leads it, by `follow` with `drive` beat. Refused where
    the patch has no such node.
    """
    ask.server.plans.wait(beat, ask.when, ask.peer.key)


@osc("/beat", timed=True)
def beat(ask: OscCall, beat: BeatNumber | None = None) -> None:
    """Goes to a beat; without arguments answers `/beat f:beat`."""
    if beat is None:
        # by the sample clock, which also runs while the engine computes no block
        ask.reply("/beat", float(ask.server.link.beat_at(ask.server.clock.moment().sample)))
    else:
        ask.do(SetTransport(None, beat, ask.when))


@osc("/beat/nudge", args="f:beats", timed=True, check=_check_plain(NudgeBeat))
def nudge(ask: OscCall, args: Args) -> None:
    """Adds -16 to 16 beats to the beat, to get into step with other players."""
    _plain(ask, NudgeBeat, args)


@osc("/session/record", OWNER)
def session_record(ask: OscCall, name: Word = "") -> None:
    """Records input, output and log of the performance; refused while one is recorded. Answers `/done /session/record
    s:path`.
    """
    server = ask.server
    if server.link.keeping:
        raise RequestError("a session is being recorded already; end it first with /session/stop")
    path = _claim_file(paths.sessions(), name, _now(), folder=True)
    server.link.session(str(path), server.session_header())
    ask.reply("/done", "/session/record", str(path))


@osc("/session/stop", OWNER)
def session_stop(ask: OscCall) -> None:
    """Ends that recording."""
    ask.server.link.session(None)


@osc("/record/start", OWNER)
def record_start(ask: OscCall, name: Word = "") -> None:
    """Records the output to a .wav, or a .flac, .ogg or .mp3 that is named. Answers `/done /record/start s:path`."""
    path = _claim_file(paths.recordings(), name, _now(), _recording_suffix(ask.server.link.status(), name))
    ask.server.link.record(str(path))
    ask.reply("/done", "/record/start", str(path))


@osc("/record/stop", OWNER)
def record_stop(ask: OscCall) -> None:
    """Ends recording the output. Answers `/done /record/stop`."""
    ask.server.link.record(None)
    ask.reply("/done", "/record/stop")


@osc("/record/tracks/start", OWNER)
def tracks_start(ask: OscCall, folder: Word = "") -> None:
    """Records each strip, the input and the output to a separate file; refused while tracks are recorded. Answers
    `/done /record/tracks/start s:path`.
    """
    server = ask.server
    if server.link.keeping_tracks:
        raise RequestError("tracks are being recorded already; end them first with /record/tracks/stop")
    path = _claim_file(paths.recordings(), folder, _now(), folder=True)
    server.link.tracks(str(path), {**server.session_header(), "bar": server.session.state.bar})
    ask.reply("/done", "/record/tracks/start", str(path))


@osc("/record/tracks/stop", OWNER)
def tracks_stop(ask: OscCall) -> None:
    """Ends the tracks. Answers `/done /record/tracks/stop`."""
    ask.server.link.tracks(None)
    ask.reply("/done", "/record/tracks/stop")


@osc("/capture", OWNER)
def capture(ask: OscCall, bars: Annotated[int, Meta(ge=1, le=MAX_BARS)], node: Word = OUT, name: Word = "") -> None:
    """Writes the last whole bars of a node, else of the output, into the folder `captures` of the library. Answers
    `/capture.reply s:path`.
    """
    number = node_number(ask.server.session, node)
    path = _claim_file(paths.captures(), name, f"{node}-{_now()}", ".wav")
    try:
        ask.server.captures.ask(ask.peer, str(path), number, bars, ask.server.session.state.bar)
    except EngineError:
        paths.drop_empty(path)
        raise


def _recording_suffix(engine: EngineStatus, name: str) -> str:
    """Suffix of a recording: as in its name, else .wav."""
    suffix = Path(name).suffix
    held = FORMATS.get(suffix.lower())
    if held is None:
        return ".wav"
    if suffix.lower() not in RECORDING_SUFFIXES:
        raise RequestError(f"{suffix} cannot be recorded; name a {', '.join(RECORDING_SUFFIXES)}")
    if engine.channels > held.channels or engine.rate > max(held.rates, default=engine.rate):
        raise RequestError(
            f"{suffix} does not hold {count_of(engine.channels, 'channel')} at {engine.rate} Hz; name a .wav"
        )
    return suffix


def node_number(session: Session, name: str) -> int:
    """Engine's number of a node, `in`, `out` or a pair as `out.cue`; `RequestError` if there is none of that name."""
    nodes = {name: node.id for name, node in {**session.state.nodes, **session.state.ends}.items()} | BUS_NUMBERS
    if name not in nodes:
        raise RequestError(f"there is no node {shorten(name)!r}{instead(name, nodes)}")
    return nodes[name]


def _now() -> str:
    return time.strftime("%Y-%m-%d_%H-%M-%S")


def _claim_file(parent: Path, name: str, otherwise: str, suffix: str = "", *, folder: bool = False) -> Path:
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
