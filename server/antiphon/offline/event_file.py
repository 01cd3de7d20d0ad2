"""Converts event files of `antiphon render --events`, JSON lines, to commands.

    {"time": 1.5, "address": "/node/clean/amount", "args": [0.5]}
    {"sample": 48000, "address": "/node/gain/gain", "args": [0.0, 0.25]}
    {"beat": 4, "address": "/tempo", "args": [90]}

`time` is in seconds, `sample` in frames of the file, `beat` in beats from its start; a line has exactly one of them.
Addresses are OSC's: /node/NAME/PARAM (value, seconds of ramp), /node/NAME/PARAM/norm, /node/NAME/reset, /node/NAME/play
(names and values of a note, in turn), /note/on (note, velocity, channel, node), /note/off, /cc (number, value), /bend
(value), /macro/NAME (place, seconds of ramp), /macro/NAME/value (value of the parameter that it moves, seconds of
ramp), /scene/recall (number, beats of ramp), /tempo (bpm, beats of ramp), /swing (share, step in beats),
/transport/play, /transport/stop, /transport/wait, /beat, /panic, /clearSched.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, NoReturn

from msgspec import Meta, Struct

from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import AntiphonError, UsageError
from antiphon.kernel.graph.names import MACRO, SCENE_NAME
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.runtime.suggestion import nearest
from antiphon.kernel.runtime.typed import Misfit, convert
from antiphon.kernel.session import messages, notes, play
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.commands import (
    AwaitPlayer,
    Beat,
    ClearSchedule,
    Command,
    Panic,
    ResetNode,
    Sample,
    SetParam,
    SetTransport,
    When,
)
from antiphon.kernel.session.messages import MAX_RAMP, FindParam, check_count, number
from antiphon.kernel.session.scenes import MAX_SCENES

MAX_EVENTS = 500_000
MAX_LINE = 65536
MAX_SECONDS = 7 * 24 * 3600.0
_ADDRESSES = (
    "/node/NAME/PARAM", "/node/NAME/PARAM/norm", "/node/NAME/reset", "/node/NAME/play", *notes.ADDRESSES,
    "/macro/NAME", "/macro/NAME/value", "/scene/recall", "/transport/play", "/transport/stop", "/transport/wait",
    "/beat",
    *ACTIONS.messages, "/panic", "/clearSched",
)  # fmt: skip


class FileEvent(Struct, forbid_unknown_fields=True, kw_only=True):
    """A line of the file."""

    time: Annotated[float, Meta(ge=0.0, le=MAX_SECONDS)] | None = None
    sample: Annotated[float, Meta(ge=0.0)] | None = None
    beat: Annotated[float, Meta(ge=0.0, le=1e9)] | None = None
    address: Annotated[str, Meta(description="an address of OSC, such as /node/NAME/PARAM")]
    args: Annotated[list[Any], Meta(description="a list, as in [0.5] or [0.5, 2.0]")] = []


def parse_events(
    lines: Iterable[str],
    rate: int,
    find: FindParam,
    source: str,
    players: notes.Players | None = None,
    patch: Patch | None = None,
) -> list[Command]:
    """Commands in `lines`, in order; empty lines are skipped.

    `source`: the file's name. `players`: note-taking nodes; None determines them at playback. `patch`: provides scenes
    and the initial tempo. Raises `UsageError` with the file and the line for an invalid one.
    """
    commands: list[Command] = []
    tempo = 120.0 if patch is None else patch.tempo
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(commands) >= MAX_EVENTS:
            raise UsageError(f"{source} holds more than {MAX_EVENTS} events; split it")
        try:
            if len(line) > MAX_LINE:
                raise UsageError(f"the line is longer than {MAX_LINE} characters")
            event = _event(line)
            address, args, when = event.address, event.args, _when(event, rate)
            if address == "/scene/recall":
                commands += _scene_ramps(args, when, find, patch, tempo)
                continue
            commands += commands_of(address, args, when, find, players)
            tempo = float(args[0]) if address == "/tempo" else tempo
        except AntiphonError as error:
            raise UsageError(f"{source} line {place}: {error}") from None
    return commands


def _event(line: str) -> FileEvent:
    try:
        event = json.loads(line, parse_constant=_refuse_json_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is not JSON ({str(error)[:80]})") from None
    try:
        return convert(event, FileEvent, "an event")
    except Misfit as misfit:
        raise UsageError(str(misfit)) from None


def _refuse_json_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def commands_of(
    address: str, args: Sequence[Any], when: When, find: FindParam, players: notes.Players | None
) -> Sequence[Command]:
    """Converts an event of a file or a live script to commands.

    One, or several for a note with its own values. `players`: note-taking nodes; None determines them at playback.
    Raises AntiphonError: it is invalid; the message says what is allowed.
    """
    match address.split("/")[1:]:
        case ["node", node, name] if players is not None and node in players.all:
            info = players.catalog[players.graph.node(node).type]
            if play.takes(info, name, args):
                return play.read(node, info.params, args, when)
    return (_command(address, args, when, find, players),)


def _scene_ramps(args: list[Any], when: When, find: FindParam, patch: Patch | None, tempo: float) -> Iterator[Command]:
    """Values of a scene of the patch, in ramps of `beats` beats at that tempo."""
    check_count(args, 2, "a scene, then at most the beats of a ramp")
    asked = number(args, 0, "scene", 0, MAX_SCENES - 1)
    seconds = min(MAX_RAMP, number(args, 1, "the ramp in beats", 0.0, MAX_RAMP, 0.0) * 60.0 / tempo)
    stored: Mapping[int, Mapping[str, Value]] = {} if patch is None else patch.scenes
    scene = stored.get(int(asked))
    if scene is None or asked != int(asked):
        there = ", ".join(map(str, sorted(stored))) or "none"
        raise UsageError(f"the patch has no scene {asked:g}; there are: {there}")
    # macros come first, so that a target's own value is the last
    for key, value in sorted(scene.items(), key=lambda item: not item[0].startswith(f"{MACRO}.")):
        if key == SCENE_NAME:
            continue
        node, _, name = key.partition(".")
        param = find(node, name)
        if is_fixed(param) and not at_beginning(when):
            continue  # what a file cannot change while it plays: it has the patch's value
        yield SetParam(node, name, value, seconds if param.kind == "float" else 0.0, when)


def is_fixed(param: Param) -> bool:
    """Whether a parameter changes by a new plan alone, and not while a file plays."""
    return param.kind in ("text", "file") or param.restart


def _command(
    address: str, arguments: Sequence[Any], when: When, find: FindParam, players: notes.Players | None
) -> Command:
    if address in notes.ADDRESSES:
        note = notes.read(address, arguments, when)
        if players is not None:
            players.of(note.node)
        return note
    match address.split("/")[1:]:
        case ["node", node, "reset"]:
            check_count(arguments, 0, "")
            return ResetNode(node, when)
        case ["node", node, name, *rest] if rest in ([], ["norm"]):
            return _set(find(node, name), node, arguments, when, norm=bool(rest))
        case ["macro", name]:
            return _set(find(MACRO, name), MACRO, arguments, when)
        case ["macro", name, "value"] if players is not None:
            find(MACRO, name)
            return messages.macro_value(name, players.graph.macros, arguments, when, find)
        case ["transport", ("play" | "stop") as what]:
            check_count(arguments, 1, "a beat")
            return SetTransport(what == "play", number(arguments, 0, "beat", 0.0, 1e9, None), when)
        case ["transport", "wait"]:
            check_count(arguments, 1, "a beat")
            return AwaitPlayer(0, number(arguments, 0, "beat", 0.0, 1e9, 0.0), when)
        case ["beat"]:
            check_count(arguments, 1, "a beat")
            return SetTransport(None, number(arguments, 0, "beat", 0.0, 1e9), when)
        case ["panic"]:
            return Panic(when)
        case ["clearSched"]:
            return ClearSchedule(when)
    row = ACTIONS.of_message(address)
    if row is None:
        raise UsageError(
            f"{address[:80]!r} cannot be played from a file; {nearest(address, _ADDRESSES)} (docs/formats.md has all)"
        )
    return messages.plain(row, arguments, when)


def at_beginning(when: When) -> bool:
    """True if a command belongs to the first frame of a file."""
    match when:
        case Sample(n):
            return n <= 0
        case Beat(b):
            return b <= 0.0
    return True


def _set(param: Param, node: str, arguments: Sequence[Any], when: When, *, norm: bool = False) -> Command:
    command = messages.parameter(node, param, arguments, when, norm=norm)
    if is_fixed(param) and not at_beginning(when):
        raise UsageError(f"{param.name} cannot change while a file plays; set it in the patch")
    return replace(command, value=param.check(command.value))


def _when(event: FileEvent, rate: int) -> When:
    match event.time, event.sample, event.beat:
        case (float(seconds), None, None):
            return Sample(round(seconds * rate))
        case (None, float(frames), None):
            number([frames], 0, "sample", 0.0, MAX_SECONDS * rate)
            if frames != int(frames):
                raise UsageError(f"sample takes whole numbers, not {frames:g}")
            return Sample(int(frames))
        case (None, None, float(beat)):
            return Beat(beat)
    raise UsageError('exactly one of "time", "sample" and "beat" says when')
