"""Pending notes and controller events between the schedule and a node's block, and the sounding notes."""

from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.event import Event
from antiphon.kernel.engine.action_schedule import CAPACITY, Key, note_key
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import NodeFailure, Plan
from antiphon.kernel.session.actions import Action, NodeReset
from antiphon.kernel.session.commands import Beat, Now, Play


class Playing:
    """Event queue of the next block, and the sounding notes.

    `waiting`: events for which their block had no space, in order, each with its intended sample. `sounding`: notes
    that an action began and none has ended; True for those that began at a beat.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, Play[int]]] = deque()
        self.sounding: dict[Key, bool] = {}

    def give(self, host: NodeHost, action: Play[int], offset: int) -> bool:
        """Adds an event to its node's coming block at frame `offset`. Returns False if the block is full."""
        event, live = action.event, type(action.when) is Now
        return host.play(Event(event.kind, offset, event.number, event.value, event.channel, 0, live, event.serial))

    def track(self, action: Play[int]) -> None:
        """Updates `sounding` when the action begins or ends a note."""
        if action.event.kind == "on":
            self.sounding[note_key(action)] = type(action.when) is Beat
        elif action.event.kind == "off":
            self.sounding.pop(note_key(action), None)

    def ends_of_beats(self) -> list[Play[int]]:
        """Note-offs of the sounding notes that began at a beat, whose own ends are at beats too."""
        return [
            Play(node, Event("off", 0, note, 0.0, channel))
            for (node, channel, note), by_beat in self.sounding.items()
            if by_beat
        ]

    def wait(self, sample: int, action: Play[int]) -> bool:
        """Queues an event for the next block. Returns False if `CAPACITY` events are queued."""
        if len(self.waiting) >= CAPACITY:
            return False
        self.waiting.append((sample, action))
        return True

    def keep(self, nodes: Container[int]) -> None:
        """Removes the sounding notes of all but these nodes."""
        self.sounding = {key: by_beat for key, by_beat in self.sounding.items() if key[0] in nodes}

    def forget_notes(self, node: int) -> None:
        """Removes the sounding notes of a reset node."""
        self.sounding = {key: by_beat for key, by_beat in self.sounding.items() if key[0] != node}

    def clear(self) -> None:
        """Clears the queue and all sounding notes."""
        self.waiting.clear()
        self.sounding.clear()


_MOST = 4096
_NONE: tuple[NodeReset, ...] = ()


class Retries:
    """Failed nodes with the sample of their next retry."""

    def __init__(self, rate: int) -> None:
        """`rate`: Hz."""
        self._rate = rate
        self._nodes: deque[tuple[int, int]] = deque(maxlen=_MOST)

    @property
    def rests(self) -> bool:
        """True if no retry is pending."""
        return not self._nodes

    def add(self, failure: NodeFailure, sample: int) -> None:
        """Schedules the retry of a node that failed in the block at `sample`."""
        if failure.retry:
            self._nodes.append((sample + round(failure.retry * self._rate), failure.number))

    def due_resets(self, sample: int, plan: Plan | None) -> Sequence[NodeReset]:
        """Returns the resets of the nodes whose retry is due at `sample`."""
        if not self._nodes or plan is None:
            return _NONE
        resets = []
        for _ in range(len(self._nodes)):
            at, node = self._nodes.popleft()
            host = plan.hosts.get(node)
            if at > sample:
                self._nodes.append((at, node))
            elif host is not None and host.retry:  # else it was reset meanwhile, or failed otherwise
                resets.append(NodeReset(node))
        return resets


@dataclass(slots=True)
class PlayerCounters:
    """Counters of the graph player, since its start."""

    late: int = 0  # actions that came after their sample
    schedule_dropped: int = 0
    reports_dropped: int = 0
    sound: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64), compare=False)  # the next three
    nan_blocks = property(lambda self: int(self.sound[0]), doc="Blocks of input or output with NaN, made silence.")
    limited_blocks = property(lambda self: int(self.sound[1]), doc="Blocks of output that the limiter changed.")
    clipped_blocks = property(lambda self: int(self.sound[2]), doc="Blocks of input at full scale.")


@dataclass(frozen=True, slots=True)
class PlayerReport:
    """A report of the graph player about a block; the loop turns it into a report of `engine.link`.

    `kind`: "synced" (uses token), "late" (node, cell, number), "failed" (node, cell, text), "running" (node), "loaded"
    (node for which the clock may wait, token, number), "beat" (token), "mark" (node, cell, token, text; for the
    session log).
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
