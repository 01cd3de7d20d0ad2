"""Notes and controls: their target nodes, argument ranges, and OSC messages."""

from collections.abc import Sequence
from functools import partial

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import EVENT_KINDS, Event
from antiphon.kernel.errors import RequestError, UsageError
from antiphon.kernel.graph.graph import End, Graph
from antiphon.kernel.runtime.shortening import check_number, count_of, short_repr
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.session.actions import ACTIONS
from antiphon.kernel.session.commands import Play, When
from antiphon.kernel.session.events import EVENTS, EventRow
from antiphon.kernel.session.messages import number
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


def play_on(command: Play[str], node: int) -> Play[int]:
    """Converts a command to one for the engine's node number `node`; a note-on of velocity 0 becomes a note-off.

    Raises RequestError: there is no such kind, or a number is out of its range.
    """
    event = command.event
    if event.kind not in EVENT_KINDS:
        raise RequestError(f"an event's kind is {', '.join(EVENT_KINDS)}, not {str(event.kind)[:40]!r}")
    try:
        ACTIONS.check(Play(node, event, command.when))
    except ValueError as error:
        raise RequestError(str(error)) from None
    ends = event.kind == "on" and not event.value > 0
    kind, value = ("off", 0.0) if ends else (event.kind, float(event.value))
    return Play(node, Event(kind, 0, int(event.number), value, int(event.channel)), command.when)


# ---- messages

_ROWS = {row.address: row for row in EVENTS}
ADDRESSES = tuple(_ROWS)
_WORDS = {"control": "controller"}
Args = Sequence[object]
_whole = partial(number, whole=True, switch=False)


def read(address: str, args: Args, when: When) -> Play[str]:
    """Parses an OSC message to one of `ADDRESSES`.

    A string in the position of the channel is taken as the node, so that `/note/on 60 100 keys` is valid. `args`: the
    message's arguments; a note by number or name (c4 is 60), velocity 0 to 127 or as `is_velocity_share`, values of
    controllers, pressure and timbre 0 to 1 or whole numbers to 127.

        >>> from antiphon.kernel.session.commands import NOW
        >>> def show(address, *args):
        ...     action = play_on(read(address, args, NOW), 3)
        ...     print(ACTIONS.code(action), ACTIONS.to_line(480, action))
        >>> show("/note/on", "c4", 127)
        8 {'sample': 480, 'op': 'note_on', 'node': 3, 'note': 60, 'velocity': 1.0, 'live': True}
        >>> show("/note/off", 60, 64, 2)
        9 {'sample': 480, 'op': 'note_off', 'node': 3, 'note': 60, 'channel': 2, 'live': True}
        >>> show("/cc", 64, 1.0, "keys")
        10 {'sample': 480, 'op': 'control', 'node': 3, 'number': 64, 'value': 1.0, 'live': True}
        >>> show("/bend", -0.5)
        11 {'sample': 480, 'op': 'bend', 'node': 3, 'value': -0.5, 'live': True}
        >>> show("/program", 12)
        14 {'sample': 480, 'op': 'program', 'node': 3, 'number': 12, 'live': True}
        >>> show("/note/pitch", 60, 1.5)
        15 {'sample': 480, 'op': 'pitch', 'node': 3, 'note': 60, 'value': 1.5, 'live': True}
        >>> show("/note/pressure", 60, 0.25)
        16 {'sample': 480, 'op': 'pressure', 'node': 3, 'note': 60, 'value': 0.25, 'live': True}
        >>> show("/note/timbre", 60, 127)
        17 {'sample': 480, 'op': 'timbre', 'node': 3, 'note': 60, 'value': 1.0, 'live': True}
    """
    row, at, key, value = _ROWS[address], 0, 0, 0.0
    if row.number.logged:
        key, at = _number(row, args), 1
    if row.value.logged:
        value, at = _value(row, args, at), at + 1
    elif row.kind == "off" and len(args) > 1 and not isinstance(args[1], str):
        _velocity(args, 1)
        at = 2
    channel, node = _rest(args, at, f"{row.takes} [i:channel] [s:node]")
    return Play(node, Event(row.kind, 0, key, value, channel), when)


def _number(row: EventRow, args: Args) -> int:
    word = "note" if row.number.name == "note" else _WORDS.get(row.kind, row.kind)
    if word == "note" and args and isinstance(args[0], str):
        try:
            args = (named_note(args[0]),)
        except UsageError:
            raise RequestError(
                f"note takes 0 to {HIGHEST}, or a name as c4, eb3 or f#5, not {short_repr(args[0])}"
            ) from None
    return int(_whole(args, 0, word, 0, HIGHEST))


def _value(row: EventRow, args: Args, at: int) -> float:
    if row.value.name == "velocity":
        return _velocity(args, at)
    if row.value.bounds == (0.0, 1.0):
        return _amount(args, at)
    return float(number(args, at, row.kind, *row.value.bounds, switch=False))


def _velocity(args: Args, at: int) -> float:
    if at < len(args) and isinstance(args[at], bool):
        return float(args[at] is True)
    velocity = float(number(args, at, "velocity", 0, HIGHEST))
    return min(velocity, 1.0) if is_velocity_share(args[at]) else velocity / HIGHEST


def _amount(args: Args, at: int) -> float:
    """Controller value, 0 to 1; an integer from 2 on is a MIDI value and divided by 127."""
    takes = f"0 to 1, or a whole number to {HIGHEST}"
    amount = float(number(args, at, "value", 0, HIGHEST, takes=takes))
    if amount <= 1 + ROUNDING:
        return min(amount, 1.0)
    return float(check_number(amount, "value", 0, HIGHEST, whole=True, takes=takes)) / HIGHEST


def _rest(args: Args, at: int, takes: str) -> tuple[int, str]:
    """Returns (channel, node) from the arguments at `at` and after."""
    if len(args) > at + 2:
        raise RequestError(f"takes {takes}; it came with {count_of(len(args), 'argument')}")
    places = range(at, len(args))
    named = next((i for i in places if isinstance(args[i], str)), at + 1)
    channel = next((_whole(args, i, "channel", 1, CHANNELS) for i in places if i != named), 1)
    node = args[named] if named < len(args) else ""
    if not isinstance(node, str) or len(node) > MAX_NAME_LETTERS:
        raise RequestError(f"node takes a node's name, not {short_repr(node)}")
    return channel, node
