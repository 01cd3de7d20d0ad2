"""What controllers and pads of MIDI ports move: parameters, and addresses that are pressed; and how that is learned."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.api.backends.files import config_folder
from antiphon.api.backends.transports import RequestError, SetParam, TransportServer, pressable, settable
from antiphon_midi.input.learn import Knob, MidiMap, address_of
from antiphon_midi.input.pedals import PedalState


class Knobs:
    """The controls of all ports; a `Learner` of the server.

    `server`: where what they move is; `attempt`: runs what may fail; MIDI has no replies.
    """

    def __init__(self, server: TransportServer, attempt: Callable[[Callable[[], None]], None]) -> None:
        self._server, self._try = server, attempt
        self._learned = MidiMap(config_folder())
        self._learning: tuple[str, Callable[[str], None]] | None = None
        self._presses = PedalState(server)

    @property
    def learning(self) -> str:
        """The target that the next control is mapped to, or ""."""
        return self._learning[0] if self._learning is not None else ""

    def learn(self, target: str, done: Callable[[str], None]) -> None:
        """Maps the next controller that moves to `target`, "node.param"; `done` is called with its name."""
        self._learning = (target, done)

    def unlearn(self, target: str) -> None:
        if waited := self._learning is not None and self.learning == target:
            self._learning = None
        if not self._learned.unlearn(target) and not waited:
            raise RequestError(f"no control was learned for {target}")
        self._server.event("/unlearned", address_of(target))

    def assignments(self) -> list[tuple[str, str, str]]:
        return self._learned.assignments(self._server.controls())

    def release(self, port: str) -> None:
        """Releases all controls of a port."""
        self._presses.remove(port)

    def turn(self, knob: Knob, value: float, moves: dict[str, tuple[SetParam, str]]) -> bool:
        """Handles a controller at `value`, 0 to 1; returns whether it is mapped, and so not a controller of the notes.

        `moves` gets the command and the port, by what it moves: the last one of a turn counts.
        """
        if self._learning is not None:
            self._learn(knob)
        target = self._target(knob)
        if target.startswith("/"):
            self._try(lambda: self._presses.move(target, knob, value))
        elif target:
            self._try(lambda: moves.update({target: (self._move(target, value), knob.port)}))
        return bool(target)

    def pad(self, knob: Knob, velocity: int) -> bool:
        """Presses the address that a note is mapped to, and maps one that is to be learned; False for other notes."""
        if velocity and pressable(self.learning):
            self._learn(knob)
        target = self._target(knob)
        if not target.startswith("/"):
            return False
        # a pad is down however softly it is hit
        self._try(lambda: self._presses.move(target, knob, 1.0 if velocity else 0.0))
        return True

    def _target(self, knob: Knob) -> str:
        """What the knob moves in the patch that plays, "" for nothing."""
        nodes = self._server.nodes()
        for target in self._learned.targets(knob, self._server.controls()):
            if pressable(target):
                return target
            node, _, name = target.partition(".")
            known = nodes.get(node)
            if known is not None and name in known.index:
                return target
        return ""

    def _learn(self, knob: Knob) -> None:
        assert self._learning is not None
        (target, done), self._learning = self._learning, None

        def keep() -> None:
            self._learned.learn(knob, target)
            done(knob.control)
            self._server.event("/learned", address_of(target), knob.control, knob.port)

        self._try(keep)

    def _move(self, target: str, value: float) -> SetParam:
        """The knob at `value`, 0 to 1, of the parameter's range."""
        node, _, name = target.partition(".")
        state, cell = self._server.param(node, name)
        settable(state.cells[cell], target)
        return SetParam(node, name, state.cells[cell].from_norm(value))
