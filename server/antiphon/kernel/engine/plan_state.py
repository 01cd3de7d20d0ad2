"""Node state in a session log: parameters, marks and failures, without the processors' own state."""

from __future__ import annotations

from typing import Any

from antiphon.kernel.graph.plan import Plan


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
