"""States of workers, for `/status` and for the states of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from antiphon.kernel.contract.params import Value
from antiphon.kernel.workers.arena import OWN_WORDS, Arena, SlotWord, State, WorkerWord

if TYPE_CHECKING:
    from antiphon.kernel.workers.pool import Pool

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
    """Status of one node's worker."""

    node: int
    name: str
    zygote: str
    pid: int
    state: str  # as in `STATES`
    reason: str  # why it does not run, or ""
    restarts: int
    misses: int
    device: str  # "cpu" or "cuda"
    hop_ns: tuple[int, int]  # time of a hop (median, 99th percentile), measured at the worker's start
    period_ns: int  # time between two hops
    hops: int = 0  # hops that the worker has computed, for all its nodes
    own: tuple[int, ...] = ()
    describe: str = ""
    settings: Mapping[str, Value] = field(default_factory=dict)


def workers(arena: Arena) -> list[WorkerStatus]:
    """The status of each node's worker, in the order of the table."""
    result: dict[tuple[int, int], WorkerStatus] = {}
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
            before = result.get((entry.number, node))
            misses = entry.slot(slot, SlotWord.MISSES)
            result[(entry.number, node)] = WorkerStatus(
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
    return list(result.values())


def state_of(state: State, reason: str, restarts: int = 0) -> tuple[str, str]:
    """The name of a state, and a sentence with the reason if the worker does not run."""
    match state:
        case State.RUNNING:
            return "running", ""
        case State.QUARANTINED:
            sentence = f"its worker failed three times within a minute ({reason}); /node/NAME/reset tries again"
            return STATES[state], sentence
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
    """Kinds of zygote that requested workers need."""
    return {e.kind for e in arena.entries if e.words[WorkerWord.WANTED]} - {""}


@dataclass(frozen=True, slots=True)
class Health:
    """State of a node's worker."""

    state: str  # as in `STATES`
    reason: str  # why it does not run, or ""
    restarts: int
    fell: str  # why it last ended, "" if it never did


def worker_states(pool: Pool) -> dict[int, Health]:
    """State of each node's worker by node number; of several workers, that of one that does not run."""
    result: dict[int, Health] = {}
    for stream in list(pool.streams):
        entry = stream.entry
        node, reason = entry.slot(stream.slot, SlotWord.NODE), entry.reason
        if node not in result or result[node].state == "running":
            restarts = entry.words[WorkerWord.RESTARTS] + (result[node].restarts if node in result else 0)
            result[node] = Health(*state_of(entry.state, reason, entry.words[WorkerWord.RESTARTS]), restarts, reason)
    return result


def news(reported: Mapping[int, Health], now: Mapping[int, Health]) -> list[tuple[int, str, str]]:
    """State changes since the last report, as (node, state, reason), with restarts since then."""
    changes = []
    for node, health in now.items():
        before = reported.get(node, Health("running", "", health.restarts, ""))
        fell = health.restarts != before.restarts
        if health.state == "running" and before.state == "running" and fell:
            changes.append((node, *state_of(State.RESTARTING, health.fell)))
        elif health.state == before.state and not (fell and health.state == "failed"):
            continue
        changes.append((node, health.state, health.reason))
    return changes
