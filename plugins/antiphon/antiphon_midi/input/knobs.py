"""MIDI control mappings: controllers and pads to parameters and button addresses; MIDI learn."""

from collections.abc import Callable
from time import monotonic

from antiphon.api.backends.files import config_folder
from antiphon.api.backends.transports import RequestError, SetParam, TransportServer, pressable, settable
from antiphon_midi.input.learn import (
    ENDS,
    FINE_OFFSET,
    NRPNS,
    PAIRS,
    PARTS,
    REACH,
    RELATIVE_MODES,
    STEP,
    ChannelControls,
    Knob,
    MidiMap,
    PedalState,
    address_of,
    doubted,
    steps_of,
    told_by,
)

WAIT = 1.0
"""Seconds in which something else may move before a control that says 0 or 127 alone is learned."""
Moves = dict[str, tuple[SetParam, str]]


class _Lesson:
    """A pending `/learn`. `mode`: as of `Learned`. `heard`: values of the controls that moved, in their order."""

    def __init__(self, target: str, done: Callable[[str], None], mode: str) -> None:
        self.target, self.done, self.mode = target, done, mode
        self.heard: dict[Knob, int] = {}
        self.due = 0.0


class Knobs:
    """Controls of all ports; a `Learner` of the server.

    `server`: owner of the targets; `attempt`: guarded call, as MIDI has no replies.
    """

    def __init__(self, server: TransportServer, attempt: Callable[[Callable[[], None]], None]) -> None:
        self._server, self._try = server, attempt
        self._learned = MidiMap(config_folder())
        self._lesson: _Lesson | None = None
        self._taught: tuple[Knob, _Lesson, float] | None = None
        self._channels: dict[tuple[str, int], ChannelControls] = {}
        self._untold: dict[Knob, list[int]] = {}
        self._told: dict[Knob, tuple[list[int], list[int]]] = {}  # what told an endless control, and came after it
        self._places: dict[str, tuple[object, float]] = {}
        self._presses = PedalState(server)

    @property
    def learning(self) -> str:
        """Target waiting for the next control, or ""."""
        return self._lesson.target if self._lesson is not None else ""

    def learn(self, target: str, done: Callable[[str], None], how: str = "") -> None:
        """Maps the control that moves next to `target`, "node.param"; `done` is called with its name.

        `how`: of `COUNTING_MODES`, "" where the control's values tell.
        """
        self._lesson = _Lesson(target, done, how)

    def unlearn(self, target: str) -> None:
        if waited := self.learning == target:
            self._lesson = None
        if not self._learned.unlearn(target) and not waited:
            raise RequestError(f"no control was learned for {target}")
        self._server.event("/unlearned", address_of(target))

    def assignments(self) -> list[tuple[str, str, str]]:
        return self._learned.assignments(self._server.controls())

    def release(self, port: str) -> None:
        """Releases all controls of a port."""
        self._presses.remove(port)

    def look(self) -> None:
        """Learns a control that said 0 or 127 alone, once nothing else has moved for a while."""
        if self._lesson is not None and self._lesson.heard and monotonic() > self._lesson.due:
            with self._server.turn():
                self._learn(next(reversed(self._lesson.heard)))

    def turn(self, knob: Knob, value: int, moves: Moves) -> bool:
        """Handles a controller at `value`, 0 to 127; True if it is mapped, and so no controller of the notes.

        `moves` collects (command, port) by target: the last one of a turn counts.
        """
        channel = self._channels.setdefault((knob.port, knob.channel), ChannelControls())
        wide = channel.take(knob.number, value)
        whole = (
            knob
            if wide is None
            else knob._replace(number=(PAIRS if wide[0] < FINE_OFFSET else NRPNS - FINE_OFFSET) + wide[0])
        )
        if self._lesson is not None:
            self._hear(self._lesson, knob, value, whole, channel.last)
        elif self._taught is not None and wide is not None:
            self._widen(knob, whole, channel.last)
        if wide is not None and (target := self._target(whole)):
            self._apply(target, whole, wide[1], moves)
            return True
        target = self._target(knob)
        if target and (place := self._target_position(target, knob, value, moves)) is not None:
            self._apply(target, knob, place, moves)
        return bool(target)

    def pad(self, knob: Knob, velocity: int) -> bool:
        """Triggers the address mapped to a note, and completes a pending learn; False for other notes."""
        if velocity and pressable(self.learning):
            self._learn(knob)
        target = self._target(knob)
        if not target.startswith("/"):
            return False
        # a pad is down however softly it is hit
        self._try(lambda: self._presses.move(target, knob, 1.0 if velocity else 0.0))
        return True

    def _target(self, knob: Knob) -> str:
        """Target of the knob in the current patch, "" for none."""
        nodes = self._server.nodes()
        for target in self._learned.targets(knob, self._server.controls()):
            if pressable(target):
                return target
            node, _, name = target.partition(".")
            known = nodes.get(node)
            if known is not None and name in known.index:
                return target
        return ""

    # ---- learning

    def _hear(self, lesson: _Lesson, knob: Knob, value: int, whole: Knob, last: int) -> None:
        """Learns what moves: of several, the one that takes more values than those of a button or a touch."""
        if whole.number >= NRPNS:
            self._learn(whole)
        elif knob.number in PARTS:
            return
        elif self._pairs(knob, whole, last) and knob._replace(number=last) in lesson.heard:
            self._learn(whole)
        elif pressable(lesson.target) or value not in ENDS or knob in lesson.heard:
            self._learn(knob)
        else:
            lesson.heard[knob], lesson.due = value, monotonic() + WAIT

    def _widen(self, knob: Knob, whole: Knob, last: int) -> None:
        """Learns the pair in place of the controller that came first, where the other follows it at once."""
        assert self._taught is not None
        taught, lesson, until = self._taught
        if monotonic() > until:
            self._taught = None
        elif self._pairs(knob, whole, last) and taught == knob._replace(number=last):
            self._lesson = lesson
            self._learn(whole)

    @staticmethod
    def _pairs(knob: Knob, whole: Knob, last: int) -> bool:
        return whole is not knob and abs(knob.number - last) == FINE_OFFSET

    def _learn(self, knob: Knob) -> None:
        assert self._lesson is not None
        lesson, self._lesson = self._lesson, None
        self._taught = (knob, lesson, monotonic() + WAIT)
        self._untold[knob] = [lesson.heard[knob]] if knob in lesson.heard else []
        self._told.pop(knob, None)
        endless = knob.number < PAIRS and not pressable(lesson.target)

        def keep() -> None:
            self._learned.learn(knob, lesson.target, lesson.mode if endless else "absolute")
            lesson.done(knob.control)
            self._server.event("/learned", address_of(lesson.target), knob.control, knob.port)

        self._try(keep)

    # ---- moving

    def _target_position(self, target: str, knob: Knob, value: int, moves: Moves) -> float | None:
        """New position of a controller's target, 0 to 1; None while one value cannot tell whether it is a step."""
        mode, steps = self._learned.mode(knob), 0
        told = mode
        if not mode:
            values = self._untold.setdefault(knob, [])
            values.append(value)
            told = told_by(values)
            if not told:
                return None
            del self._untold[knob]
            if told in RELATIVE_MODES:
                self._told[knob] = values, []
        elif knob in self._told:
            self._told[knob][1].append(value)
            endless = doubted(*self._told[knob])
            if endless is False:
                told = "absolute"
            if endless is not None or len(self._told[knob][1]) > REACH:
                del self._told[knob]
        if told in RELATIVE_MODES:
            steps, told = steps_of(value, told)
        if told != mode:
            self._try(lambda: self._learned.learn(knob, target, told))
        return self._stepped(target, steps, target in moves) if told in RELATIVE_MODES else value / 127.0

    def _stepped(self, target: str, steps: int, moving: bool) -> float:
        """The target's place after steps, finer than the values of a parameter that has few."""
        node, _, name = target.partition(".")
        state, cell = self._server.param(node, name)
        value = self._server.value_at(state, cell)
        kept, place = self._places.get(target, (None, 0.0))
        if kept != value and not moving:
            place = state.cells[cell].to_norm(value)
        return min(1.0, max(0.0, place + steps * STEP))

    def _apply(self, target: str, knob: Knob, place: float, moves: Moves) -> None:
        if target.startswith("/"):
            self._try(lambda: self._presses.move(target, knob, place))
        else:
            self._try(lambda: moves.update({target: (self._move(target, place), knob.port)}))

    def _move(self, target: str, place: float) -> SetParam:
        """Command that sets the parameter to a place, 0 to 1 of its range."""
        node, _, name = target.partition(".")
        state, cell = self._server.param(node, name)
        settable(state.cells[cell], target)
        value = state.cells[cell].from_norm(place)
        self._places[target] = (value, place)
        return SetParam(node, name, value)
