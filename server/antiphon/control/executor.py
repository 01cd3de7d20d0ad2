"""Carries out commands: through the session, and its effects to the engine and to subscribers."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from antiphon.contract.params import Value
from antiphon.control.engine_clock import EngineClock
from antiphon.control.osc.feedback import Feedback
from antiphon.control.osc.outbox import Outbox
from antiphon.control.saver import StateSaver
from antiphon.session.commands import Command
from antiphon.session.effects import Changed, Effect, EngineLoad, TempoChanged
from antiphon.session.session import Session


class CommandExecutor:
    """load_time: when the engine was last asked for a plan, by `time.monotonic`; 0.0 before the first.

    Args:
        session: Control's state.
        clock: Gives the moment at which commands are handled.
        outbox: Where effects on the engine go.
        feedback: Where changes of values go.
        saver: Is asked to save when the engine is asked for a plan.
    """

    def __init__(
        self, session: Session, clock: EngineClock, outbox: Outbox, feedback: Feedback, saver: StateSaver
    ) -> None:
        self._session, self._clock = session, clock
        self._outbox, self._feedback, self._saver = outbox, feedback, saver
        self.flush: Callable[[], None] = _nothing
        """Applies values that were received in this turn and not applied yet: the intake's."""
        self.load_time = 0.0

    def do(self, command: Command, source: object) -> None:
        """Carries out a command of whoever is named `source`; raises `AntiphonError`."""
        self.perform(self._session.handle(command, self._clock.moment(), source))

    def perform(self, effects: list[Effect]) -> None:
        """Does what the session answered."""
        for effect in effects:
            match effect:
                case Changed(node, param, value, source):
                    if param.kind != "trigger":
                        self._feedback.moved(node, param, value, source)
                case TempoChanged(bpm, source):
                    self._feedback.changed("/tempo", float(bpm), source)
                case _:
                    if isinstance(effect, EngineLoad):
                        self._saver.soon()
                        self.load_time = monotonic()
                    self._outbox.send(effect)

    def catch_up(self) -> None:
        """Makes values current whose time has come."""
        self.perform(self._session.advance(self._clock.moment()))

    def settle(self) -> None:
        """Applies what this turn received, then `catch_up`: after it the session's values are those of now."""
        self.flush()
        self.catch_up()

    def value(self, node: str, param: str) -> Value:
        """The value last asked for whose time has come; floats to seven digits. `WireError` for an unknown name."""
        self.settle()
        return rounded(self._session.value(node, param))


def rounded(value: Value) -> Value:
    """Floats to seven digits, which is what 32 bits hold; other values as they are."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _nothing() -> None:
    pass
