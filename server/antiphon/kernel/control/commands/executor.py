"""Executes commands through the session, and passes its effects to the engine and to subscribers."""

from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from antiphon.kernel.contract.params import Value
from antiphon.kernel.control.commands.engine_clock import EngineClock
from antiphon.kernel.control.commands.outbox import Outbox
from antiphon.kernel.control.faults import ControlFaults
from antiphon.kernel.control.server_events import ServerEvents
from antiphon.kernel.control.state import StateSaver
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session.commands import ClearSchedule, Command, Panic, SetParam
from antiphon.kernel.session.effects import Changed, Effect, EngineLoad, TempoChanged
from antiphon.kernel.session.session import Session


class Settable(Protocol):
    """A settable address. `address`: the address, for answers; `node`, `param`: the parameter it sets."""

    address: str
    node: str
    param: str


@dataclass(frozen=True, slots=True)
class CommandParts:
    """The parts that a command and its answers go through; `saver` saves when a plan is requested."""

    link: RemoteEngine
    session: Session
    clock: EngineClock
    outbox: Outbox
    feedback: Feedback
    saver: StateSaver
    replies: Replies
    faults: ControlFaults
    events: ServerEvents


class CommandExecutor:
    """Passes commands to the session, and distributes its effects.

    `gathered`: values that were received in this turn and are not applied yet, with their senders: the last of each
    parameter, in the order in which they came. `load_time`: when a plan was last requested from the engine, by
    `time.monotonic`; 0.0 before the first.
    """

    def __init__(self, parts: CommandParts) -> None:
        """Connects the parts."""
        self.parts = parts
        self._session, self._clock = parts.session, parts.clock
        self._outbox, self._feedback, self._saver = parts.outbox, parts.feedback, parts.saver
        self._replies, self._faults = parts.replies, parts.faults
        self.gathered: dict[Settable, tuple[float, Peer]] = {}
        self.batch = parts.outbox.batch  # a context: what is done in it takes effect at one sample
        self.load_time = 0.0

    def do(self, command: Command, source: object) -> None:
        """Execution of a command, without echo to `source`; `AntiphonError` if it is not valid."""
        self.perform(self._session.handle(command, self._clock.moment(), source))

    def flush(self) -> None:
        """Applies the gathered values."""
        if not self.gathered:
            return
        values = dict(self.gathered)
        self.gathered.clear()
        now = self._clock.moment()
        for route, (value, peer) in values.items():
            try:
                self.perform(self._session.handle(SetParam(route.node, route.param, value), now, peer.key))
            except AntiphonError as error:
                self._replies.fail(peer, route.address, str(error))
            except Exception as error:
                self._replies.fail(peer, route.address, self._faults.add(route.address, error))

    def perform(self, effects: list[Effect]) -> None:
        """Passes a session's effects to the engine, at one sample, and to subscribers, in order."""
        with self.batch():
            self._perform(effects)

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Changed(node, param, value, source):
                    if param.kind != "trigger":
                        self._feedback.param_changed(node, param, value, source)
                case TempoChanged(bpm, source):
                    self._feedback.changed("/tempo", float(bpm), source)
                case _:
                    if isinstance(effect, Panic | ClearSchedule):
                        self._feedback.event("/panic" if isinstance(effect, Panic) else "/clearSched")
                    if isinstance(effect, EngineLoad):
                        self._saver.soon()
                        self.load_time = monotonic()
                    self._outbox.send(effect)

    def catch_up(self) -> None:
        """Applies the scheduled values that are due."""
        self.perform(self._session.advance(self._clock.moment()))

    def settle(self) -> None:
        """Applies the values received in this turn and those that are due, so that the session is up to date."""
        self.flush()
        self.catch_up()

    def value(self, node: str, param: str) -> Value:
        """Last requested value due by now, floats to seven digits; `RequestError` for an unknown name."""
        self.settle()
        return round_float32(self._session.state.value(node, param))


def round_float32(value: Value) -> Value:
    """Floats rounded to seven digits, the precision of 32 bits; other values unchanged."""
    return float(f"{value:.7g}") if isinstance(value, float) else value
