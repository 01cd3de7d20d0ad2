"""All control state: `handle(command, now) -> effects`. It has no sockets and reads no clock."""

from collections.abc import Callable, Collection, Container, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import PEDAL, Event
from antiphon.kernel.contract.params import Value, clamp_rounding
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph import clips
from antiphon.kernel.graph.clock import SET_BACK, beat_without_swing
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.macros import MACRO_NUMBER
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.runtime.shortening import short_repr, shorten
from antiphon.kernel.session import messages, notes, play
from antiphon.kernel.session.actions import ACTIONS, Action, Changed, Effect, NodeReset, NodeSet, TempoChanged
from antiphon.kernel.session.commands import (
    NOW,
    AwaitPlayer,
    Beat,
    ClearSchedule,
    Command,
    Now,
    NudgeBeat,
    Panic,
    Plain,
    Play,
    ResetNode,
    Sample,
    SetParam,
    SetSwing,
    SetTempo,
    SetTransport,
    When,
)
from antiphon.kernel.session.graph_state import FADE, GraphState
from antiphon.kernel.session.messages import MAX_RAMP
from antiphon.kernel.session.node_state import Node, Numbers
from antiphon.kernel.session.notes import Players, play_on
from antiphon.kernel.session.play import BEGIN
from antiphon.kernel.session.schedule import Moment, Schedule, due_beat
from antiphon.kernel.session.states import PatchStates

# ---- Keys that are held by the commands that are due, and what shapes their notes: sent again to a new engine

MAX_HELD, MAX_SHAPES = 128, 2048
"""Maximum held notes, and maximum controllers, bends, programs and expressions; the oldest is dropped first."""
SOUND_OFF, RESET, NOTES_OFF = 120, 121, 123
"""MIDI controllers that end a channel's notes, and that reset its controllers."""


class HeldKeys:
    """Tracks notes that have begun and not ended, with controllers, bends and programs of their channels.

    Notes with their own values come from patterns, and are not held keys.
    """

    def __init__(self) -> None:
        self._notes: dict[tuple[int, int, int], Play[int]] = {}
        self._shapes: dict[tuple[int, int, str, int], Play[int]] = {}
        self._own: set[tuple[int, int]] = set()  # nodes and channels whose next note has values of its own
        self._keys: dict[tuple[int, int], Play[str]] = {}  # of keyboards, by channel and note, whatever nodes they play

    def follow(self, action: Play[int]) -> None:
        """Updates the held notes by an event that is due."""
        node, event = action.node, action.event
        channel, number = event.channel, event.number
        if event.kind == "on":
            key = node, channel, number
            self._notes.pop(key, None)
            if (node, channel) in self._own:
                self._own.discard((node, channel))
                return
            if len(self._notes) >= MAX_HELD:
                del self._notes[next(iter(self._notes))]
            self._notes[key] = action
        elif event.kind == "off":
            self._notes.pop((node, channel, number), None)
            for kind in ("pitch", "pressure", "timbre"):
                self._shapes.pop((node, channel, kind, number), None)
        elif event.kind == "control" and number >= BEGIN:
            self._mode(node, channel, number)
        else:
            if len(self._shapes) >= MAX_SHAPES:
                del self._shapes[next(iter(self._shapes))]
            self._shapes[node, channel, event.kind, number] = action

    def press(self, command: Play[str]) -> None:
        """Updates the held keys by a note or controller that names no node."""
        event = command.event
        key = event.channel, event.number
        if event.kind == "on" and event.value > 0.0 and len(self._keys) < MAX_HELD:
            self._keys[key] = replace(command, when=NOW)
        elif event.kind in ("on", "off"):
            self._keys.pop(key, None)
        elif event.kind == "control" and event.number in (SOUND_OFF, NOTES_OFF):
            self._keys = {other: pressed for other, pressed in self._keys.items() if other[0] != event.channel}

    def pressed(self) -> list[Play[str]]:
        """The keys that are held, in order."""
        return [*self._keys.values()]

    def _mode(self, node: int, channel: int, number: int) -> None:
        if number == BEGIN:
            self._own.add((node, channel))
        elif number in (SOUND_OFF, NOTES_OFF):
            for key in [key for key in self._notes if key[:2] == (node, channel)]:
                del self._notes[key]
        elif number == RESET:
            for kind, n in (("control", 1), ("control", PEDAL), ("bend", 0)):
                self._shapes.pop((node, channel, kind, n), None)

    def clear(self, node: int | None = None) -> None:
        """Removes the held notes of a node; of all nodes for None."""
        for key in [key for key in self._notes if node in (None, key[0])]:
            del self._notes[key]
        if node is None:
            self._keys.clear()

    def end_beats(self) -> None:
        """Removes the notes that began at a beat, which the engine ends where the beat stands or is set back."""
        self._notes = {key: event for key, event in self._notes.items() if not isinstance(event.when, Beat)}

    def again(self, nodes: Container[int]) -> list[Play[int]]:
        """Held notes of these nodes without a time, in order, after their controllers; others are dropped."""
        self._notes = {key: event for key, event in self._notes.items() if key[0] in nodes}
        self._shapes = {key: event for key, event in self._shapes.items() if key[0] in nodes}
        return [replace(event, when=NOW) for event in (*self._shapes.values(), *self._notes.values())]


class GivenNotes:
    """Notes that senders began at a beat and have given no ends, the oldest `MAX_SHAPES` dropped first."""

    def __init__(self) -> None:
        self._notes: dict[tuple[object, str, int, int], float] = {}

    def follow(self, command: Play[str], source: object) -> None:
        """Updates a sender's notes by a command."""
        event = command.event
        if event.kind in ("on", "off"):
            key = source, command.node, event.channel, event.number
            self._notes.pop(key, None)
            if event.kind == "on" and event.value > 0.0 and isinstance(command.when, Beat):
                if len(self._notes) >= MAX_SHAPES:
                    del self._notes[next(iter(self._notes))]
                self._notes[key] = due_beat(command.when)

    def take(self, source: object) -> list[Play[str]]:
        """Removes a sender's notes; returns their ends, each at its beginning or, where that has passed, now."""
        given = [(key, beat) for key, beat in self._notes.items() if key[0] == source]
        for key, _ in given:
            del self._notes[key]
        return [Play(node, Event("off", 0, note, 0.0, channel), Beat(beat)) for (_, node, channel, note), beat in given]

    def end_beats(self, beat: float) -> None:
        """Removes the notes that have begun at `beat`."""
        self._notes = {key: due for key, due in self._notes.items() if due > beat}

    def clear(self) -> None:
        """Removes all notes."""
        self._notes.clear()


_OWN: TypeAlias = SetParam | Panic | ClearSchedule
"""Commands handled by the session itself when they are due; they are not sent to the engine ahead of time."""
Pending: TypeAlias = tuple[Action | _OWN, object]


class Session:
    """Handles commands: checks them, then applies or schedules them."""

    def __init__(self, catalog: Catalog, numbers: Numbers, rate: int = 48000) -> None:
        """An empty graph and schedule; `catalog`, `numbers` and `rate` as for `GraphState`."""
        self.state = GraphState(catalog, numbers, rate)
        self.rate = rate
        self.schedule: Schedule[Pending] = Schedule(rate)
        self._players = Players(self.state.graph, catalog)
        self._held, self._given = HeldKeys(), GivenNotes()
        self.tempo_ramps = False  # whether the engine is on its way to the tempo, or has been since it was set

    def handle(self, command: Command, now: Moment, source: object = None) -> list[Effect]:
        """Checks a command and applies it, or schedules it if its time is in the future.

        A key that no node takes is still recorded as held, see `load`.

        `source`: the sender, which gets no echo. Returns the engine's actions and the subscribers' changes, in order.
        Raises RequestError: the command is not valid; nothing has changed. Raises PatchError: a file or a plan is not
        available; nothing has changed.
        """
        now = self._notated_moment(now)
        match command:
            case SetParam():
                return self._apply(command, *self._checked(command, clips.check_name), now, source)
            case Play():
                return self._note(command, now, source)
            case ResetNode(name, when):
                reset = NodeReset(self.state.node(name).id, when)
                if not self.schedule.future(when, now):
                    self._take(reset, source, now)
                return self._timed(reset, now, source)
            case Panic() | ClearSchedule():
                at_once = replace(command, when=NOW)
                if self.schedule.future(command.when, now):
                    self.schedule.add(command.when, (at_once, source))
                    return []
                dropped = self.schedule.clear()
                if isinstance(command, Panic):
                    self._held.clear()
                    self._given.clear()
                for action, _ in dropped:
                    if isinstance(action, Play) and action.event.kind == "off":  # which the engine plays at once
                        self._held.follow(action)
                return [at_once]
        self._check_plain(command)
        effects = self._timed(command, now, source)
        return effects if self.schedule.future(command.when, now) else [*effects, *self._take(command, source, now)]

    def check(self, command: Command, now: Moment) -> None:
        """Raises RequestError or PatchError: `handle` would refuse the command. Nothing changes."""
        self.schedule.future(command.when, self._notated_moment(now))
        match command:
            case SetParam():
                self._checked(command, clips.check_name)
            case Play():
                for name in self._current_players().of(command.node, by_clock=isinstance(command.when, Beat)):
                    play_on(command, self.state.nodes[name].id)
            case ResetNode(name):
                self.state.node(name)
            case Panic() | ClearSchedule():
                pass
            case _:
                self._check_plain(command)

    def _notated_moment(self, now: Moment) -> Moment:
        """The moment with its notated beat (swing removed), for comparison with scheduled beats."""
        amount, step = self.state.swing
        return Moment(now.sample, beat_without_swing(now.beat, amount, step)) if amount else now

    def _check_plain(self, command: Plain) -> None:
        try:
            ACTIONS.check(command)
        except ValueError as error:
            raise RequestError(str(error)) from None

    def check_message(self, address: str, args: Sequence[Value], recalled: Collection[int]) -> None:
        """Raises RequestError: a clip's message cannot be played with these nodes. `recalled`: the stored scenes."""
        match address.split("/")[1:]:
            case ["scene", _] if args and args[0] not in recalled:
                raise RequestError(f"there is no scene {short_repr(args[0])}; /scene/store makes one")
            case ["scene", _]:
                return
            case ["node", name, "reset"]:
                self.state.node(name)
            case ["node", name, param, *norm] if norm in ([], ["norm"]):
                self._check_value(name, param, args, norm=bool(norm))
            case ["macro", param, *value] if value in ([], ["value"]):
                self._check_value(MACRO, param, args, norm=bool(value))
            case _ if address in notes.ADDRESSES:
                self._current_players().of(notes.read(address, args, NOW).node)
            case _:
                raise RequestError(f"there is no address {shorten(address)}")

    def _check_value(self, name: str, param: str, args: Sequence[Value], *, norm: bool) -> None:
        node, cell = self.state.param(name, param)
        known = node.cells[cell]
        if known.readonly or known.kind == "file":
            raise RequestError(f"{param} is {'read only' if known.readonly else 'a file, and a clip chooses none'}")
        if play.takes(node.info, param, args):
            play.read(name, node.info.params, args, NOW)
        else:
            known.check(messages.parameter(name, known, args, NOW, norm=norm).value)

    def advance(self, now: Moment) -> list[Effect]:
        """Applies the scheduled commands due at `now`, and returns their effects."""
        now = self._notated_moment(now)
        effects: list[Effect] = []
        for item, source in self.schedule.due(now):
            match item:
                case NodeSet(node_id, cell, number):
                    node = self.state.find(node_id)
                    if node is None or node.cells[cell].kind == "trigger":
                        continue
                    self.state.put(node, cell, number)
                    if node_id in self.state.by_id:  # else it leaves, unless the plan without it is refused
                        effects.append(Changed(node.name, node.cells[cell], node.cells[cell].decode(number), source))
                        effects += self.state.follow_by_macros(node, cell)
                case SetParam():
                    try:
                        # its file was checked when it was scheduled; if it has gone since, the engine reports it
                        effects += self._apply(item, *self._checked(item, str), now, source)
                    except (RequestError, PatchError):
                        # its node was removed meanwhile
                        continue
                case Panic() | ClearSchedule():
                    effects += self.handle(item, now, source)
                case _:
                    effects += self._take(item, source, now)
        return effects

    def recall(self, commands: Sequence[SetParam], now: Moment, source: object = None) -> list[Effect]:
        """Sets a scene's values, all or none, files included; `RequestError`, and no change, if one is not valid."""
        good = []
        for command in commands:
            try:
                good.append(self._checked(command, clips.check_asset_exists))
            except RequestError as error:
                where = f"{command.node}.{command.param}"
                raise RequestError(f"the scene is not recalled, for {where} cannot be set: {error}") from None
        now = self._notated_moment(now)
        self.schedule.check(sum(self.schedule.future(command.when, now) for command in commands))
        effects: list[Effect] = []
        for command, state in zip(commands, good, strict=True):
            effects += self._apply(command, *state, now, source)
        return effects

    def _checked(self, command: SetParam, file: Callable[[str], str]) -> tuple[Node, int, Value]:
        """Node, parameter cell and checked value; `file` checks the name of a file."""
        node, cell = self.state.param(command.node, command.param)
        param = node.cells[cell]
        value = param.check(clamp_rounding(param, command.value))
        if param.kind == "file":
            value = file(str(value))
        if not 0.0 <= command.ramp <= MAX_RAMP:
            raise RequestError(f"a ramp takes 0 to {MAX_RAMP:g} s, not {command.ramp:g}")
        return node, cell, value

    def _apply(
        self, command: SetParam, node: Node, cell: int, value: Value, now: Moment, source: object
    ) -> list[Effect]:
        """Applies or schedules a command that `_checked` has passed."""
        param, when = node.cells[cell], command.when
        if node.id == MACRO_NUMBER:
            return self._move_macro(command, node, cell, float(value), now, source)
        if param.kind == "trigger":
            return self._timed(NodeSet(node.id, cell, 1.0, 0.0, when), now, source) if value else []
        if param.restart or param.kind in ("text", "file"):
            if self.schedule.future(when, now):
                self.schedule.add(when, (replace(command, when=NOW), source))
                return []
            return self._set_plan_parameter(node, cell, value, when, source)
        number, before = param.encode(value), _before(self.state, node, cell, when)
        effect = NodeSet(node.id, cell, number, command.ramp, when)
        if type(when) is not Now and self.schedule.future(when, now):
            self.schedule.add(when, (effect, source))
            return [effect]
        self.state.put(node, cell, number, now.sample + command.ramp * self.rate)
        return [effect, Changed(node.name, param, value, source, before), *self.state.follow_by_macros(node, cell)]

    def _move_macro(
        self, command: SetParam, panel: Node, cell: int, place: float, now: Moment, source: object
    ) -> list[Effect]:
        """Moves a macro: its targets are set at the same time, each with its own smoothing or the same ramp."""
        effects: list[Effect] = []
        if self.schedule.future(command.when, now):
            self.schedule.add(command.when, (NodeSet(panel.id, cell, place, 0.0, command.when), source))
        else:
            before = _before(self.state, panel, cell, command.when)
            self.state.put(panel, cell, place)
            effects.append(Changed(panel.name, panel.cells[cell], place, source, before))
        for target in self.state.graph.macros[cell].targets:
            node, number = self.state.param(target.node, target.param)
            value = target.value(node.cells[number], place)
            ramp = command.ramp if node.cells[number].kind == "float" else 0.0
            moved = SetParam(target.node, target.param, value, ramp, command.when)
            # the source shows the macro and not the targets: they are changed for it too
            effects += self._apply(moved, node, number, value, now, None)
        return effects

    def _set_plan_parameter(self, node: Node, cell: int, value: Value, when: When, source: object) -> list[Effect]:
        """Sets a parameter that changes only with a new plan: `restart`, text or file.

        An equal value changes nothing, except that a file, which may have changed, is read again by the new plan.
        """
        if self.state.value_at(node, cell) == value and (node.cells[cell].kind != "file" or not value):
            return []
        before = _before(self.state, node, cell, when)
        return [*self.state.edit_value(node, cell, value), Changed(node.name, node.cells[cell], value, source, before)]

    def load(
        self, graph: Graph, name: str, path: str = "", tempo: float | None = None, fade: float = FADE, **changes: Any
    ) -> list[Effect]:
        """Does what `GraphState.load` does, and plays held keys to the new nodes that take them, see `Port.held`.

        Nodes that it prepares anew get the keys from `replay_after_prepare`.
        """
        before = {*self.state.by_id}
        effects = self.state.load(graph, name, path, tempo, fade, **changes)
        new = [node for node in self._nodes_taking_held() if node.id not in before]
        return [*effects, *(note for node in new for note in self._replay_held_keys(node))]

    def replay_after_prepare(self, before: PatchStates) -> list[Effect]:
        """Plays held keys to the nodes that a plan prepared anew, once it plays; until then the nodes before have them.

        `before`: the states until then. A new engine gets the keys by `resend`.
        """
        was, now = before.playing.prepared, self.state.states.playing.prepared
        anew = {number for number in was.keys() & now.keys() if was[number] != now[number] and not before.fresh}
        return [note for node in self._nodes_taking_held() if node.id in anew for note in self._replay_held_keys(node)]

    def _nodes_taking_held(self) -> list[Node]:
        nodes = self.state.nodes
        return [nodes[name] for name in self._current_players().free if nodes[name].info.accepts_held_events]

    def _replay_held_keys(self, node: Node) -> list[Play[int]]:
        notes = [play_on(command, node.id) for command in self._held.pressed()]
        for note in notes:
            self._held.follow(note)
        return notes

    def _note(self, command: Play[str], now: Moment, source: object) -> list[Effect]:
        action = play_on(command, 0)  # before anything is kept: what is not allowed changes nothing
        if not command.node and not isinstance(command.when, Beat):
            self._held.press(command)  # whether these nodes take it or not: the next patch's may
        self._given.follow(command, source)
        names = self._current_players().of(command.node, by_clock=isinstance(command.when, Beat))
        effects = [replace(action, node=self.state.nodes[name].id) for name in names]
        if self.schedule.future(command.when, now):
            self.schedule.add(command.when, *((effect, source) for effect in effects))
        else:
            for effect in effects:
                self._held.follow(effect)
        return [*effects]

    def leave(self, source: object, now: Moment) -> list[Effect]:
        """Ends the notes that a sender began at a beat and gave no end, as its connection has ended."""
        effects: list[Effect] = []
        for ending in self._given.take(source):
            with suppress(RequestError):  # its node was removed meanwhile
                effects += self._note(ending, self._notated_moment(now), None)
        return effects

    def _current_players(self) -> Players:
        if self._players.graph is not self.state.graph:
            self._players = Players(self.state.graph, self.state.catalog)
        return self._players

    def _take(self, action: Action | _OWN, source: object, now: Moment) -> list[Effect]:
        """Updates the session's own state by an action."""
        match action:
            case SetTempo(bpm, beats):
                self.state.put_tempo(bpm)
                self.tempo_ramps = beats > 0.0
                return [TempoChanged(bpm, source)]
            case SetSwing(amount, step):
                self.state.put_swing(amount, step)
            case NodeReset(node) | AwaitPlayer(node):
                self._held.clear(node)
            case SetTransport() | NudgeBeat() if _ends_notes(action, now.beat):
                self._held.end_beats()
                self._given.end_beats(now.beat)
            case Play():
                self._held.follow(action)
        return []

    def _timed(self, action: Action, now: Moment, source: object) -> list[Effect]:
        if self.schedule.future(action.when, now):
            self.schedule.add(action.when, (action, source))
        return [action]

    def shift_schedule(self, frames: int) -> None:
        """Shifts the schedule by sample for a new engine, whose clock is `frames` ahead of the old one's."""

        def shifted_item(pending: Pending) -> Pending:
            item, source = pending
            if isinstance(item.when, Sample):
                item = replace(item, when=Sample(item.when.n + frames))
            return item, source

        self.schedule.shift(frames, shifted_item)

    def resend(self) -> list[Action]:
        """Held notes, and scheduled actions, to send again to a new engine."""
        ramp = [SetTempo(self.state.tempo)] if self.tempo_ramps else []  # a new engine has no ramp
        pending: list[Action] = [*ramp, *self._held.again(self.state.by_id)]
        pending += [item for item, _ in self.schedule.pending() if not isinstance(item, _OWN)]
        return [item for item in pending if not (isinstance(item, NodeSet) and item.node == MACRO_NUMBER)]


def _ends_notes(action: SetTransport | NudgeBeat, beat: float) -> bool:
    """True if the engine ends what began at beats: the beat stands, or is set back by over `SET_BACK` from `beat`."""
    if isinstance(action, NudgeBeat):
        return action.beats < -SET_BACK
    return action.playing is False or (action.beat is not None and action.beat < beat - SET_BACK)


def _before(state: GraphState, node: Node, cell: int, when: When) -> Value | None:
    """The value that a command without a time replaces; None for a command with a time."""
    return state.value_at(node, cell) if type(when) is Now else None
