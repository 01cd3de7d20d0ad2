"""What the stage counts and says: plain values for the loop, the session log and control."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.session.actions import Action


@dataclass(slots=True)
class StageCounters:
    """Counted by the stage itself."""

    late: int = 0
    schedule_dropped: int = 0
    reports_dropped: int = 0
    nan_blocks: int = 0
    limited_blocks: int = 0
    clipped_blocks: int = 0


@dataclass(frozen=True, slots=True)
class StageReport:
    """What the stage has to say after a block: kind and its fields, for `engine.link` reports.

    kinds: "synced" (token), "late" (node, cell, number seconds), "failed" (node, text),
    "running" (node), "loaded" (token serial, number latency), "beat" (token), "mark" (node, token, text:
    for the session log). In "failed" and "mark" cell 1 is a node of the plan that fades out.
    """

    kind: str
    node: int = 0
    cell: int = 0
    number: float = 0.0
    token: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """An action as it took effect, for the session log."""

    sample: int
    action: Action
