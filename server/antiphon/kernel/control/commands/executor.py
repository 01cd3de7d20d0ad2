"""Commands of control: clocks, the queue to the engine, execution; the turns and ticks in which control works."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

from antiphon.kernel.contract.params import Value
from antiphon.kernel.control.faults import ControlFaults, ServerEvents
from antiphon.kernel.control.state import StateSaver
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.errors import AntiphonError, RequestError
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session import scenes
from antiphon.kernel.session.actions import (
    Action,
    Changed,
    Effect,
    EngineEffect,
    EngineLoad,
    NodeReset,
    NodeSet,
    TempoChanged,
)
from antiphon.kernel.session.commands import NOW, ClearSchedule, Command, Now, Panic, Play, Sample, SetParam, Sync, When
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.node_state import Scene
from antiphon.kernel.session.schedule import HORIZON, Moment
from antiphon.kernel.session.session import Session
from antiphon.kernel.wire import ntp

STEP_NS = 1_000_000
"""Change against the monotonic clock, ns, that counts as a step of the wall clock."""
_BRACKETS = 7


class WallClock:
    """The offset between the two clocks, measured once and used until the wall clock steps.

    It is not measured for each time tag, because measurements jitter: time tags that are an exact number of frames
    apart must keep that distance as moments.

    `offset`: wall clock minus CLOCK_MONOTONIC, in ns; `steps`: number of steps of the wall clock.
    """

    def __init__(
        self, realtime: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Measures the offset; both clocks return nanoseconds."""
        self._realtime, self._monotonic = realtime, monotonic
        self.offset = self._measure()
        self.steps = 0

    def update(self) -> bool:
        """Measures again; True if the wall clock had stepped, so that the offset changed."""
        measured = self._measure()
        if abs(measured - self.offset) <= STEP_NS:
            return False
        self.offset = measured
        self.steps += 1
        return True

    def moment(self, timetag: int) -> int:
        """CLOCK_MONOTONIC nanoseconds of an NTP time tag."""
        return ntp.to_unix_ns(timetag) - self.offset

    def timetag(self, monotonic_ns: int) -> int:
        """The NTP time tag of a moment of CLOCK_MONOTONIC."""
        return ntp.from_unix_ns(monotonic_ns + self.offset)

    def _measure(self) -> int:
        # the narrowest of several brackets: being descheduled between the readings makes one wide
        best, offset = None, 0
        for _ in range(_BRACKETS):
            before = self._monotonic()
            wall = self._realtime()
            width = self._monotonic() - before
            if best is None or width < best:
                best, offset = width, wall - before - width // 2
        return offset


class EngineClock:
    """Converts between CLOCK_MONOTONIC, time tags and samples."""

    def __init__(self, link: RemoteEngine, wall: WallClock, now_ns: Callable[[], int]) -> None:
        self._link = link
        self.wall = wall
        self.now_ns = now_ns

    def moment(self) -> Moment:
        """The present sample and beat."""
        return Moment(self._link.sample_at(self.now_ns()), self._link.tempo_now()[0])

    def sample_at_timetag(self, timetag: int) -> Sample:
        """Engine sample of an NTP time tag. Raises RequestError: it is over `HORIZON` seconds ahead."""
        target = self.wall.moment(timetag)
        ahead = (target - self.now_ns()) / 1e9
        if ahead > HORIZON:
            raise RequestError(
                f"a time tag may be at most {HORIZON:g} s ahead, this one is {ahead:.0f} s; check the clock"
            )
        return Sample(round(self._link.sample_at(target)))


LIMIT = 1 << 17
_PLAYED = (NodeSet, Play)
"""Actions discarded if their node is neither in the running plan nor in one in preparation."""


class Outbox:
    """Sends effects to the engine."""

    def __init__(self, link: RemoteEngine, state: GraphState) -> None:
        """Creates an empty queue."""
        self._link, self._state = link, state
        self._backlog: deque[Action] = deque()
        self._for_plan: deque[Action] = deque()
        self.dropped = 0
        self._taps: list[tuple[Callable[[EngineEffect], None], tuple[type, ...]]] = []

    @property
    def waiting(self) -> bool:
        """True if the engine's ring was full, so that `flush` must be called again."""
        return bool(self._backlog)

    def batch(self) -> AbstractContextManager[None]:
        """Context manager: effects sent in it take effect at one sample, unless they have their own times."""
        return self._link.batch()

    def tap(self, told: Callable[[EngineEffect], None], *kinds: type) -> None:
        """Calls `told` with every later effect of these kinds; without kinds, with every effect."""
        self._taps.append((told, kinds or (object,)))

    def send(self, effect: EngineEffect) -> None:
        """Sends an effect, or queues it."""
        for told, kinds in self._taps:
            if isinstance(effect, kinds):
                told(effect)
        self._send(effect)

    def _send(self, effect: EngineEffect) -> None:
        if isinstance(effect, EngineLoad):
            self._link.load(effect)
        elif self._needs_plan(effect):
            self._enqueue(self._for_plan, effect)
        else:
            if isinstance(effect, Panic | ClearSchedule):
                self._for_plan = deque(left for e in self._for_plan for left in _part_after_drop(effect, e))
            if self._backlog or not self._try(effect):
                self._enqueue(self._backlog, effect)

    def flush(self) -> None:
        """Sends queued actions while the engine's ring has space."""
        while self._backlog and self._try(self._backlog[0]):
            self._backlog.popleft()

    def send_waiting(self, schedule: Callable[[], Iterable[object]]) -> None:
        """Sends the actions that waited for a plan, after the engine has confirmed or refused it.

        Of a value with a time, only what is in the `schedule` still: one that was due is in the session's numbers, or a
        later one is.
        """
        waiting, self._for_plan = self._for_plan, deque()
        values = any(isinstance(effect, NodeSet) for effect in waiting)
        scheduled = {item for item in schedule() if isinstance(item, NodeSet)} if values else ()
        for effect in waiting:
            if not isinstance(effect, NodeSet) or effect in scheduled or self._is_trigger(effect):
                self._send(effect)

    def _is_trigger(self, action: NodeSet) -> bool:
        known = self._state.by_id.get(action.node)
        return known is not None and known.cells[action.cell].kind == "trigger"

    def clear_for_new_engine(self, again: list[Action]) -> None:
        """Clears the queues for a new engine; `again` is sent once its first plan plays."""
        self._backlog.clear()
        self._for_plan = deque(again)

    def _needs_plan(self, action: Action) -> bool:
        state = self._state
        match action:
            case NodeSet(node):
                if node in state.engine_nodes:
                    return False
                # a value without a time is in the plan itself, or is sent again once that plays
                return node in state.by_id and (type(action.when) is not Now or self._is_trigger(action))
            case Sync():
                return state.loading
            case NodeReset() | Play():
                return action.node not in state.engine_nodes and state.loading
        return False

    def _try(self, action: Action) -> bool:
        if isinstance(action, _PLAYED) and action.node not in self._state.engine_nodes:
            return True
        return self._link.send(action)

    def _enqueue(self, queue: deque[Action], action: Action) -> None:
        if len(queue) >= LIMIT:
            self.dropped += 1
            return
        queue.append(action)


def _part_after_drop(drop: Panic | ClearSchedule, action: Action) -> Iterator[Action]:
    """Yields the part of a waiting action that a panic or `/clearSched` leaves; `Syncs` answers dropped syncs."""
    if isinstance(action, Play):
        if isinstance(drop, ClearSchedule) and (action.event.kind == "off" or type(action.when) is Now):
            # a note-on without a time waits as well, and must not be left without its end
            yield replace(action, when=NOW)
    elif isinstance(action, Sync | Panic | ClearSchedule) or type(action.when) is Now:
        yield action


class SettableAddress(Protocol):
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
    `time.monotonic`; 0.0 before the first. `replaced`: called with the time and the values that a sender's command
    replaced, "node.param" → value, the first-named parameter first.
    """

    def __init__(self, parts: CommandParts) -> None:
        """Connects the parts."""
        self.parts = parts
        self._session, self._clock = parts.session, parts.clock
        self._outbox, self._feedback, self._saver = parts.outbox, parts.feedback, parts.saver
        self._replies, self._faults = parts.replies, parts.faults
        self.gathered: dict[SettableAddress, tuple[float, Peer]] = {}
        self.batch = parts.outbox.batch  # a context: what is done in it takes effect at one sample
        self.load_time = 0.0
        self.replaced: Callable[[Scene, float], None] = _ignore_replaced

    def do(self, command: Command, source: object) -> None:
        """Executes a command, without echo to `source`; raises `AntiphonError` if it is not valid."""
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
        replaced, by_sender = Scene(), False
        for effect in effects:
            match effect:
                case Changed(node, param, value, source, before):
                    if before is not None and before != value:
                        by_sender |= bool(source)
                        replaced[f"{node}.{param.name}"] = before
                    if param.kind != "trigger" and (self._feedback.surfaces.by_key or self._feedback.listeners):
                        self._feedback.param_changed(node, param, value, source)
                case TempoChanged(bpm, source):
                    self._feedback.add_change("/tempo", float(bpm), source)
                case _:
                    if isinstance(effect, Panic | ClearSchedule):
                        self._feedback.event("/panic" if isinstance(effect, Panic) else "/clearSched")
                    if isinstance(effect, EngineLoad):
                        self._saver.mark_changed()
                        self.load_time = monotonic()
                    self._outbox.send(effect)
        if by_sender:
            self.replaced(replaced, monotonic())

    def catch_up(self) -> None:
        """Applies the scheduled values that are due."""
        self.perform(self._session.advance(self._clock.moment()))

    def settle(self) -> None:
        """Applies the values received in this turn and those that are due, so that the session is up to date."""
        self.flush()
        self.catch_up()

    def recall(self, values: Mapping[str, Value], beats: float = 0.0, when: When = NOW, source: object = None) -> Scene:
        """Sets the parameters to a scene's values, in ramps of `beats` beats; returns the values that they replace.

        Raises RequestError: one of the values is refused; nothing has changed but variants.
        """
        self.settle()
        state, now = self._session.state, self._clock.moment()
        had = scenes.capture(state)
        before, silent = {key: had[key] for key, value in values.items() if had.get(key, value) != value}, self.replaced
        for macro in state.graph.macros:  # it moves what has its value already, too
            if f"{MACRO}.{macro.name}" in before:
                before |= {target.key: had[target.key] for target in macro.targets if target.key in had}

        def commands() -> list[SetParam]:
            return list(scenes.recall_commands(values, state, beats * 60.0 / state.tempo, when))

        self.replaced = _ignore_replaced  # what is recalled is one edit
        try:
            # a variant first: it decides which parameters its node has
            if varied := [c for c in commands() if state.every[c.node].info.variant_parameter == c.param]:
                self.perform(self._session.recall(varied, now, source))
            self.perform(self._session.recall(commands(), now, source))
        finally:
            self.replaced = silent
        return before

    def value(self, node: str, param: str) -> Value:
        """Returns the last requested value that is due, floats to seven digits; `RequestError` for an unknown name."""
        self.settle()
        return round_float32(self._session.state.value(node, param))


def _ignore_replaced(_values: Scene, _now: float) -> None:
    """Does nothing: it is `CommandExecutor.replaced` while no edit is kept."""


def round_float32(value: Value) -> Value:
    """Floats rounded to seven digits, the precision of 32 bits; other values unchanged."""
    return float(f"{value:.7g}") if isinstance(value, float) else value
