"""How workers are, for `/status` and for whoever watches nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from antiphon.contract.params import Value
from antiphon.runtime.importing import named
from antiphon.workers.arena import OWN_WORDS, Arena, SlotWord, State, WorkerWord

if TYPE_CHECKING:
    from antiphon.workers.pool import Pool

STATES = {
    State.NONE: "starting",
    State.STARTING: "starting",
    State.RUNNING: "running",
    State.RESTARTING: "restarting",
    State.QUARANTINED: "failed",
    State.REFUSED: "failed",
    State.WAITING: "waiting",
}


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One node's share of a worker. hop_ns: what a hop was measured to cost (median, p99) at the worker's start.

    misses: hops of this node that were not there in time.  period_ns: how often there is a hop.  hops: done by the
    worker, for all its nodes, since the server's start.  own: the words whose meaning is the stepper's.  describe,
    settings: as in its spec.
    """

    node: int
    name: str
    zygote: str
    pid: int
    state: str
    reason: str
    restarts: int
    misses: int
    device: str
    hop_ns: tuple[int, int]
    period_ns: int
    hops: int = 0
    own: tuple[int, ...] = ()
    describe: str = ""
    settings: Mapping[str, Value] = field(default_factory=dict)

    def described(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What is said of it, with what its plugin says instead and beside. In control; imports the plugin."""
        if not self.describe:
            return dict(said)
        try:
            return {**said, **named(self.describe)(said, self.own, self.settings)}
        except Exception as error:
            return {
                **said,
                "reason": said.get("reason") or f"its status cannot be read: {type(error).__name__}: {error}",
            }


def workers(arena: Arena) -> list[WorkerStatus]:
    """One for each node that has a worker, in the table's order."""
    found: dict[tuple[int, int], WorkerStatus] = {}
    for entry in arena.entries:
        words = entry.words
        if not words[WorkerWord.WANTED] or not entry.kind:
            continue
        spec = entry.spec()
        state, reason = state_of(State(words[WorkerWord.STATE]), entry.reason, words[WorkerWord.RESTARTS])
        for slot in range(spec.slots):
            if not entry.slot(slot, SlotWord.OPEN):
                continue
            node = entry.slot(slot, SlotWord.NODE)
            before = found.get((entry.number, node))
            misses = entry.slot(slot, SlotWord.MISSES)
            found[(entry.number, node)] = WorkerStatus(
                node,
                spec.name,
                spec.zygote,
                words[WorkerWord.PID],
                state,
                reason,
                words[WorkerWord.RESTARTS],
                max(misses, before.misses) if before else misses,
                "cuda" if words[WorkerWord.CUDA] else "cpu",
                (words[WorkerWord.HOP_P50_NS], words[WorkerWord.HOP_P99_NS]),
                spec.hop * 1_000_000_000 // spec.rate,
                words[WorkerWord.DONE],
                tuple(words[WorkerWord.OWN : WorkerWord.OWN + OWN_WORDS]),
                spec.describe,
                spec.settings,
            )
    return list(found.values())


def state_of(state: State, reason: str, restarts: int = 0) -> tuple[str, str]:
    """The state's word, and why, where it is not well."""
    match state:
        case State.RUNNING:
            return "running", ""
        case State.QUARANTINED:
            said = f"its worker failed three times within a minute ({reason}); /node/NAME/reset tries again"
            return STATES[state], said
        case State.REFUSED:
            return STATES[state], f"its worker does not start: {reason}"
        case State.WAITING:
            return STATES[state], f"its worker waits: {reason}" if reason else "its worker waits"
        case State.RESTARTING:
            return STATES[state], f"its worker {reason}" if reason else "its worker ended"
        case State.STARTING if reason and restarts:
            return state_of(State.RESTARTING, reason)
    return STATES[state], ""


def wanted_zygotes(arena: Arena) -> set[str]:
    """The kinds of zygote that some wanted worker needs."""
    return {e.kind for e in arena.entries if e.words[WorkerWord.WANTED]} - {""}


@dataclass(frozen=True, slots=True)
class Health:
    """How a node's worker is, and why. restarts: of the process.  fell: why it last ended, "" when it never did."""

    state: str
    reason: str
    restarts: int
    fell: str


def worker_states(pool: Pool) -> dict[int, Health]:
    """Node number → how its worker is, the worst of them where it has several."""
    found: dict[int, Health] = {}
    for stream in list(pool.streams):
        entry = stream.entry
        node, reason = entry.slot(stream.slot, SlotWord.NODE), entry.reason
        if node not in found or found[node].state == "running":
            restarts = entry.words[WorkerWord.RESTARTS] + (found[node].restarts if node in found else 0)
            found[node] = Health(*state_of(entry.state, reason, entry.words[WorkerWord.RESTARTS]), restarts, reason)
    return found


def news(told: Mapping[int, Health], now: Mapping[int, Health]) -> list[tuple[int, str, str]]:
    """What is to be said of nodes (number, state, reason), though one was away for less than a look."""
    said = []
    for node, health in now.items():
        before = told.get(node, Health("running", "", health.restarts, ""))
        fell = health.restarts != before.restarts
        if health.state == "running" and before.state == "running" and fell:
            said.append((node, *state_of(State.RESTARTING, health.fell)))
        elif health.state == before.state and not (fell and health.state == "failed"):
            continue
        said.append((node, health.state, health.reason))
    return said
