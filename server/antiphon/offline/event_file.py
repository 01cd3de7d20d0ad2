"""Files of events for `antiphon render --events`: JSON lines to commands.

    {"time": 1.5, "address": "/node/clean/amount", "args": [0.5]}
    {"sample": 48000, "address": "/node/gain/gain", "args": [0.0, 0.25]}
    {"beat": 4, "address": "/tempo", "args": [90]}

`time` is in seconds, `sample` in frames of the file, `beat` in beats from its start; exactly one stands
in a line. Addresses are OSC's: /node/NAME/PARAM (value, seconds of ramp), /node/NAME/PARAM/norm,
/node/NAME/reset, /node/NAME/play (names and values of a note, in turn), /note/on (note, velocity, channel, node),
/note/off, /cc (number, value), /bend (value), /macro/NAME (place, seconds of ramp), /macro/NAME/value (value of what
it moves, seconds of ramp), /scene/recall (number, beats of ramp), /tempo (bpm, beats of ramp), /swing (share, step in
beats), /transport/play, /transport/stop, /beat, /panic, /clearSched.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeAlias

from msgspec import Meta, Struct

from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import AntiphonError, UsageError
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.runtime.shortening import is_finite_number
from antiphon.kernel.runtime.suggestion import nearest
from antiphon.kernel.runtime.typed import Misfit, convert
from antiphon.kernel.session import notes, play
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.commands import (
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
from antiphon.kernel.session.scenes import MAX_SCENES

MAX_EVENTS = 500_000
MAX_LINE = 65536
MAX_SECONDS = 7 * 24 * 3600.0
MAX_RAMP = 3600.0
_ANY = 1e38
_ADDRESSES = (
    "/node/NAME/PARAM", "/node/NAME/PARAM/norm", "/node/NAME/reset", "/node/NAME/play", *notes.ADDRESSES,
    "/macro/NAME", "/macro/NAME/value", "/scene/recall", "/transport/play", "/transport/stop", "/beat",
    *ACTIONS.messages, "/panic", "/clearSched",
)  # fmt: skip


class FileEvent(Struct, forbid_unknown_fields=True, kw_only=True):
    """A line of the file."""

    time: Annotated[float, Meta(ge=0.0, le=MAX_SECONDS)] | None = None
    sample: Annotated[float, Meta(ge=0.0)] | None = None
    beat: Annotated[float, Meta(ge=0.0, le=1e9)] | None = None
    address: Annotated[str, Meta(description="an address of OSC, such as /node/NAME/PARAM")]
    args: Annotated[list[Any], Meta(description="a list, as in [0.5] or [0.5, 2.0]")] = []


FindParam: TypeAlias = Callable[[str, str], Param]
"""(node, parameter) → its declaration, or an `AntiphonError` that lists the known ones."""


def parse_events(
    lines: Iterable[str],
    rate: int,
    find: FindParam,
    source: str,
    players: notes.Players | None = None,
    patch: Patch | None = None,
) -> list[Command]:
    """Commands in `lines`, in order; empty lines are skipped.

    `source`: the file's name. `players`: note-taking nodes; None determines them at playback. `patch`: whose scenes are
    recalled, and whose tempo is that of the beginning. Raises `UsageError` with the file and the line for an invalid
    one.
    """
    commands: list[Command] = []
    tempo = 120.0 if patch is None else patch.tempo
    for number, line in enumerate(lines, 1):
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
                commands += _recalled(args, when, find, patch, tempo)
                continue
            commands += commands_of(address, args, when, find, players)
            tempo = float(args[0]) if address == "/tempo" else tempo
        except AntiphonError as error:
            raise UsageError(f"{source} line {number}: {error}") from None
    return commands


def _event(line: str) -> FileEvent:
    try:
        event = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is not JSON ({str(error)[:80]})") from None
    try:
        return convert(event, FileEvent, "an event")
    except Misfit as misfit:
        raise UsageError(str(misfit)) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def commands_of(
    address: str, args: Sequence[Any], when: When, find: FindParam, players: notes.Players | None
) -> Sequence[Command]:
    """The commands of an event, of a file or a live script.

    One, or several for a note with its own values. `players`: note-taking nodes; None determines them at playback.
    Raises AntiphonError: it makes no sense; the message says what is allowed.
    """
    match address.split("/")[1:]:
        case ["node", node, name] if players is not None and node in players.all:
            info = players.catalog[players.graph.node(node).type]
            if play.takes(info, name, args):
                return play.read(node, info.params, args, when)
    return (_command(address, args, when, find, players),)


def _recalled(args: list[Any], when: When, find: FindParam, patch: Patch | None, tempo: float) -> Iterator[Command]:
    """Values of a scene of the patch, in ramps of `beats` beats at that tempo."""
    _count(args, 1, 2, "/scene/recall")
    number = _number(args[0], "a scene", 0, MAX_SCENES - 1)
    seconds = min(MAX_RAMP, _ramp(args, MAX_RAMP) * 60.0 / tempo)
    stored: Mapping[int, Mapping[str, Value]] = {} if patch is None else patch.scenes
    scene = stored.get(int(number))
    if scene is None or number != int(number):
        there = ", ".join(map(str, sorted(stored))) or "none"
        raise UsageError(f"the patch has no scene {number:g}; there are: {there}")
    # macros come first, so that a target's own value is the last
    for key, value in sorted(scene.items(), key=lambda item: not item[0].startswith(f"{MACRO}.")):
        node, _, name = key.partition(".")
        param = find(node, name)
        if _fixed(param) and not at_beginning(when):
            continue  # what a file cannot change while it plays: it has the patch's value
        yield SetParam(node, name, value, seconds if param.kind == "float" else 0.0, when)


def _fixed(param: Param) -> bool:
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
            _count(arguments, 0, 0, address)
            return ResetNode(node, when)
        case ["node", node, name, *rest] if rest in ([], ["norm"]):
            return _set(find(node, name), node, arguments, bool(rest), address, when)
        case ["macro", name]:
            return _set(find(MACRO, name), MACRO, arguments, False, address, when)
        case ["macro", name, "value"] if players is not None:
            param = find(MACRO, name)
            _count(arguments, 1, 2, address)
            macro = next(one for one in players.graph.macros if one.name == name)
            place = macro.place(find, _number(arguments[0], "value", -_ANY, _ANY))
            return _set(param, MACRO, [place, *arguments[1:]], False, address, when)
        case ["transport", ("play" | "stop") as what]:
            _count(arguments, 0, 1, address)
            beat = _number(arguments[0], "a beat", 0.0, 1e9) if arguments else None
            return SetTransport(what == "play", beat, when)
        case ["beat"]:
            _count(arguments, 1, 1, address)
            return SetTransport(None, _number(arguments[0], "a beat", 0.0, 1e9), when)
        case ["panic"]:
            return Panic(when)
        case ["clearSched"]:
            return ClearSchedule(when)
    row = ACTIONS.of_message(address)
    if row is None:
        raise UsageError(
            f"{address[:80]!r} cannot be played from a file; {nearest(address, _ADDRESSES)} (docs/formats.md has all)"
        )
    _count(arguments, row.least, len(row.fields), address)
    pairs = zip(row.names, row.fields, arguments, strict=False)
    values = {name: _number(value, name, *field.bounds) for name, field, value in pairs}
    command: Command = row.record(**values, when=when)
    return command


def at_beginning(when: When) -> bool:
    """True if a command belongs to the first frame of a file."""
    match when:
        case Sample(n):
            return n <= 0
        case Beat(b):
            return b <= 0.0
    return True


def _set(param: Param, node: str, arguments: Sequence[Any], norm: bool, address: str, when: When) -> Command:
    if param.kind == "trigger" and not arguments:
        arguments = [True]
    _count(arguments, 1, 2, address)
    if not isinstance(arguments[0], str | int | float):
        raise UsageError(f"{param.name} takes {param.allowed}, not {str(arguments[0])[:40]}")
    if _fixed(param) and not at_beginning(when):
        raise UsageError(f"{param.name} cannot change while a file plays; set it in the patch")
    value: Value = param.from_norm(arguments[0]) if norm else param.check(arguments[0])
    return SetParam(node, param.name, value, _ramp(arguments, MAX_RAMP), when)


def _when(event: FileEvent, rate: int) -> When:
    match event.time, event.sample, event.beat:
        case (float(seconds), None, None):
            return Sample(round(seconds * rate))
        case (None, float(frames), None):
            _number(frames, "sample", 0.0, MAX_SECONDS * rate)
            if frames != int(frames):
                raise UsageError(f"sample takes whole numbers, not {frames:g}")
            return Sample(int(frames))
        case (None, None, float(beat)):
            return Beat(beat)
    raise UsageError('exactly one of "time", "sample" and "beat" says when')


def _number(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{what} takes a number from {low:g} to {high:g}, not {str(value)[:40]!r}")
    if not is_finite_number(value) or not low <= value <= high:
        raise UsageError(f"{what} takes {low:g} to {high:g}, not {str(value)[:40]}")
    return float(value)


def _ramp(arguments: Sequence[Any], most: float) -> float:
    return _number(arguments[1], "a ramp", 0.0, most) if len(arguments) > 1 else 0.0


def _count(arguments: Sequence[Any], least: int, most: int, address: str) -> None:
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} or {most}"
        raise UsageError(f"{address[:80]} takes {wanted} arguments, not {len(arguments)}")
