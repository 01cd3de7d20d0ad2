"""Notes and controls: their target nodes, argument ranges, and OSC messages."""

from collections.abc import Sequence
from dataclasses import fields

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import MissingArgument, RequestError, UsageError
from antiphon.kernel.graph.graph import End, Graph
from antiphon.kernel.runtime.shortening import counted, shorten
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import (
    ACTIONS,
    PITCH_REACH,
    NodeBend,
    NodeControl,
    NodeEvent,
    NodeNoteOff,
    NodeNoteOn,
    NodePitch,
    NodePressure,
    NodeProgram,
    NodeTimbre,
)
from antiphon.kernel.session.commands import (
    Bend,
    Control,
    Note,
    NoteOff,
    NoteOn,
    NotePitch,
    NotePressure,
    NoteTimbre,
    ProgramChange,
    When,
)
from antiphon.kernel.session.play import ROUNDING, is_velocity_share
from antiphon.kernel.signal import named_note

HIGHEST = 127
CHANNELS = 16
MAX_NAME_LETTERS = 64
"""Maximum characters of a node's name."""
_NONE = "no node of this patch takes notes: load a patch with a synth (keys) or add one (/node/add synth keys)"


class Players:
    """Note-taking nodes of a graph, by name.

    `free`: the nodes that get a note without a node: those that no wire feeds with events, else those that no
    note-taking node feeds, else all of them; without nodes that analyse sound, but with those that overhear.
    """

    def __init__(self, graph: Graph, catalog: Catalog) -> None:
        self.graph = graph
        self.catalog = catalog
        self.all = tuple(n.name for n in graph.nodes if catalog[n.type].first("events", "in") is not None)
        types = {name: catalog[graph.node(name).type] for name in self.all}
        players = tuple(name for name, info in types.items() if not (info.analyses or info.overhears))
        fed = [w for w in graph.wires if w.dest.node in players and _carries_events(graph, catalog, w.dest)]
        listening = tuple(name for name, info in types.items() if info.overhears)
        by_any, by_takers = (
            {w.dest.node for w in wires} for wires in (fed, [w for w in fed if w.source.node in players + listening])
        )
        # nodes that no wire feeds; else nodes that only a note detector feeds, for the keyboard to replace it
        unfed, undriven = (tuple(name for name in players if name not in found) for found in (by_any, by_takers))
        self._playing = unfed or undriven or players
        self.free = self._playing + listening

    def of(self, node: str, *, by_clock: bool = False) -> tuple[str, ...]:
        """Nodes of a note for `node`, "" for `free`; `RequestError` if it does not exist or takes no notes.

        `by_clock`: the note is timed in beats. No node overhears it, or it would steer the clock that plays it.
        """
        free = self._playing if by_clock else self.free
        if not (self.all if node else free):
            raise RequestError(_NONE)
        if not node:
            return free
        if node in self.all:
            return (node,)
        what = f"{node} takes no notes" if self.graph.has(node) else f"there is no node {node!r}"
        raise RequestError(f"{what}{instead(node, self.all, 'those that take notes are')}")


def _carries_events(graph: Graph, catalog: Catalog, dest: End) -> bool:
    port = catalog[graph.node(dest.node).type].port(dest.port, "in")
    return port is not None and port.kind == "events"


_ON_NODE: dict[type[Note], type] = {
    NoteOn: NodeNoteOn,
    NoteOff: NodeNoteOff,
    Control: NodeControl,
    Bend: NodeBend,
    ProgramChange: NodeProgram,
    NotePitch: NodePitch,
    NotePressure: NodePressure,
    NoteTimbre: NodeTimbre,
}
"""Node action of each command. After its node it has the command's fields in order, up to the channel."""


def node_action_of(command: Note, node: int) -> NodeEvent:
    """Node action of a command for the engine's node number `node`; a note-on of velocity 0 becomes a note-off."""
    action = _ON_NODE[type(command)]
    *own, _node, _when = fields(command)
    try:
        pairs = zip(own, ACTIONS.row(action).fields[1:], strict=False)
        values = [field.check(getattr(command, given.name)) for given, field in pairs]
    except ValueError as error:
        raise RequestError(str(error)) from None
    if isinstance(command, NoteOn) and not command.velocity > 0:
        return NodeNoteOff(node, command.note, command.channel, when=command.when)
    event: NodeEvent = action(node, *values, when=command.when)
    return event


# ---- messages

ADDRESSES = ("/note/on", "/note/off", "/cc", "/bend", "/program", "/note/pitch", "/note/pressure", "/note/timbre")
Args = Sequence[object]


def read(address: str, args: Args, when: When) -> Note:
    """Parses an OSC message to one of `ADDRESSES`.

    A string in the position of the channel is taken as the node, so that `/note/on 60 100 keys` is valid. `args`: the
    message's arguments; a note by number or name (c4 is 60), velocity 0 to 127 or as `is_velocity_share`, values of
    controllers, pressure and timbre 0 to 1 or whole numbers to 127.
    """
    match address:
        case "/note/on":
            note, velocity = _note(args), _velocity(args, 1)
            return NoteOn(note, velocity, *_rest(args, 2, "i:note i:velocity [i:channel] [s:node]"), when)
        case "/note/off":
            note, at = _note(args), 1
            if len(args) > 1 and not isinstance(args[1], str):
                if not isinstance(args[1], bool):
                    _number(args, 1, "velocity", 0, HIGHEST)
                at = 2
            return NoteOff(note, *_rest(args, at, "i:note [i:velocity] [i:channel] [s:node]"), when)
        case "/cc":
            number, value = _whole(args, 0, "controller", 0, HIGHEST), _amount(args, 1)
            return Control(number, value, *_rest(args, 2, "i:number f:value [i:channel] [s:node]"), when)
        case "/program":
            number = _whole(args, 0, "program", 0, HIGHEST)
            return ProgramChange(number, *_rest(args, 1, "i:number [i:channel] [s:node]"), when)
        case "/note/pitch":
            semitones = _number(args, 1, "pitch", -PITCH_REACH, PITCH_REACH)
            return NotePitch(_note(args), semitones, *_rest(args, 2, "i:note f:semitones [i:channel] [s:node]"), when)
        case "/note/pressure" | "/note/timbre":
            kind = NotePressure if address == "/note/pressure" else NoteTimbre
            return kind(_note(args), _amount(args, 1), *_rest(args, 2, "i:note f:value [i:channel] [s:node]"), when)
    return Bend(_number(args, 0, "bend", -1, 1), *_rest(args, 1, "f:value [i:channel] [s:node]"), when)


def _note(args: Args) -> int:
    if args and isinstance(args[0], str):
        try:
            args = (named_note(args[0]), *args[1:])
        except UsageError:
            raise RequestError(
                f"note takes 0 to {HIGHEST}, or a name as c4, eb3 or f#5, not {_short_repr(args[0])}"
            ) from None
    return _whole(args, 0, "note", 0, HIGHEST)


def _velocity(args: Args, at: int) -> float:
    if at < len(args) and isinstance(args[at], bool):
        return float(args[at] is True)
    number = _number(args, at, "velocity", 0, HIGHEST)
    return min(number, 1.0) if is_velocity_share(args[at]) else number / HIGHEST


def _amount(args: Args, at: int) -> float:
    """Controller value, 0 to 1; an integer from 2 on is a MIDI value and divided by 127."""
    if at < len(args) and isinstance(args[at], bool):
        return float(args[at] is True)
    takes = f"0 to 1, or a whole number to {HIGHEST}"
    number = _number(args, at, "value", 0, HIGHEST, takes)
    if number <= 1 + ROUNDING:
        return min(number, 1.0)
    if number != int(number):
        raise RequestError(f"value takes {takes}, not {_short_repr(number)}")
    return number / HIGHEST


def _rest(args: Args, at: int, takes: str) -> tuple[int, str]:
    """Returns (channel, node) from the arguments at `at` and after."""
    if len(args) > at + 2:
        raise RequestError(f"takes {takes}; it came with {counted(len(args), 'argument')}")
    places = range(at, len(args))
    named = next((i for i in places if isinstance(args[i], str)), at + 1)
    channel = next((_whole(args, i, "channel", 1, CHANNELS) for i in places if i != named), 1)
    node = args[named] if named < len(args) else ""
    if not isinstance(node, str) or len(node) > MAX_NAME_LETTERS:
        raise RequestError(f"node takes a node's name, not {_short_repr(node)}")
    return channel, node


def _whole(args: Args, at: int, name: str, low: int, high: int) -> int:
    number = _number(args, at, name, low, high)
    if number != int(number):
        raise RequestError(f"{name} takes a whole number from {low} to {high}, not {_short_repr(number)}")
    return int(number)


def _number(args: Args, at: int, name: str, low: float, high: float, takes: str = "") -> float:
    takes = takes or f"{low:g} to {high:g}"
    if at >= len(args):
        raise MissingArgument(f"{name} is missing: it takes {takes}")
    value = args[at]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(f"{name} takes {takes}, not {_short_repr(value)}")
    if not low - ROUNDING <= value <= high * (1 + ROUNDING):
        raise RequestError(f"{name} takes {takes}, not {_short_repr(value)}")
    return float(min(max(value, low), high))


def _short_repr(value: object) -> str:
    return shorten(f"{value:.9g}" if isinstance(value, float) else repr(value))
