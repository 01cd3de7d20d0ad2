"""Executes commands through the session, and passes its effects to the engine and to subscribers."""

from collections.abc import Callable, Mapping
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
from antiphon.kernel.session import scenes
from antiphon.kernel.session.commands import NOW, ClearSchedule, Command, Panic, SetParam, When
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
    `time.monotonic`; 0.0 before the first. `replaced`: is called with the values that a sender's command replaced, the
    one it named first, as "node.param" → value.
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
        self.replaced: Callable[[scenes.Scene], None] = lambda _values: None

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
        replaced, by_sender = scenes.Scene(), False
        for effect in effects:
            match effect:
                case Changed(node, param, value, source, before):
                    if before is not None and before != value:
                        by_sender |= bool(source)
                        replaced[f"{node}.{param.name}"] = before
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
        if by_sender:
            self.replaced(replaced)

    def catch_up(self) -> None:
        """Applies the scheduled values that are due."""
        self.perform(self._session.advance(self._clock.moment()))

    def settle(self) -> None:
        """Applies the values received in this turn and those that are due, so that the session is up to date."""
        self.flush()
        self.catch_up()

    def recall(
        self, values: Mapping[str, Value], beats: float = 0.0, when: When = NOW, source: object = None
    ) -> scenes.Scene:
        """Sets the parameters to a scene's values, in ramps of `beats` beats; returns what these replace.

        Raises RequestError: one of the values is refused; nothing has changed but variants.
        """
        self.settle()
        state, now = self._session.state, self._clock.moment()
        had = scenes.capture(state)
        before, silent = {key: had[key] for key, value in values.items() if had.get(key, value) != value}, self.replaced

        def commands() -> list[SetParam]:
            return list(scenes.recall_commands(values, state, beats * 60.0 / state.tempo, when))

        self.replaced = lambda _values: None  # what is recalled is one edit
        try:
            # a variant first: it decides which parameters its node has
            if varied := [c for c in commands() if state.every[c.node].info.varied_by == c.param]:
                self.perform(self._session.recall(varied, now, source))
            self.perform(self._session.recall(commands(), now, source))
        finally:
            self.replaced = silent
        return before

    def value(self, node: str, param: str) -> Value:
        """Last requested value due by now, floats to seven digits; `RequestError` for an unknown name."""
        self.settle()
        return round_float32(self._session.state.value(node, param))


def round_float32(value: Value) -> Value:
    """Floats rounded to seven digits, the precision of 32 bits; other values unchanged."""
    return float(f"{value:.7g}") if isinstance(value, float) else value
