"""What the graph player gives out: counters, reports, and the nodes' state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.session.actions import Action


@dataclass(slots=True)
class PlayerCounters:
    """Counters of the graph player, since its start."""

    late: int = 0  # actions that came after their sample
    schedule_dropped: int = 0
    reports_dropped: int = 0
    nan_blocks: int = 0  # blocks of input or output that held a NaN and were replaced by silence
    limited_blocks: int = 0  # blocks of output that the master limiter changed
    clipped_blocks: int = 0  # blocks of input at full scale


@dataclass(frozen=True, slots=True)
class PlayerReport:
    """A report of the graph player about a block; the loop turns it into a report of `engine.link`.

    `kind`: "synced" (uses token), "late" (node, cell, number), "failed" (node, cell, text), "running" (node), "loaded"
    (token, number), "beat" (token), "mark" (node, cell, token, text; for the session log).
    """

    kind: str
    node: int = 0  # the node's number; 0 for none
    cell: int = 0  # index of the parameter. In "failed" and "mark" 1 for a node of the plan that fades out, else 0.
    number: float = 0.0  # seconds of lateness in "late", latency in frames in "loaded"
    token: int = 0  # the sync's token, the load's serial, the beat, or the mark's number
    text: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """An action with the sample at which it took effect, for the session log."""

    sample: int
    action: Action


def state_of(plan: Plan | None) -> dict[str, Any]:
    """State for `resume_nodes`: cells by node number as a string, marks, and failure reasons by node number."""
    hosts = plan.hosts if plan is not None else {}
    return {
        "cells": {str(number): [cell.state() for cell in host.cells] for number, host in hosts.items()},
        "marks": [[n, kind, at] for n, host in hosts.items() for kind, at in host.runner.standing()],
        "failed": {str(number): host.failed for number, host in hosts.items() if host.failed},
    }


def resume_nodes(plan: Plan, state: dict[str, Any]) -> None:
    """Restores a `state_of` the same plan, compiled anew."""
    for number, host in plan.hosts.items():
        if str(number) in state["failed"]:
            host.mark_failed(state["failed"][str(number)])
        host.resume([tuple(held) for held in state["cells"][str(number)]])
        for node, kind, at in state.get("marks", ()):
            if node == number:
                host.runner.recall(kind, at)
