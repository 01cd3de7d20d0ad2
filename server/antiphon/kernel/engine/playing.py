"""Pending notes and controller events between the schedule and a node's block, and the sounding notes."""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from antiphon.kernel.contract.processor import Event
from antiphon.kernel.engine.action_schedule import CAPACITY, Key, note_key
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.session.actions import NodeEvent, NodeNoteOff, NodeNoteOn
from antiphon.kernel.session.commands import Now


class Playing:
    """Event queue of the next block, and the set of sounding notes.

    `waiting`: events that their block had no room for, in order, each with the sample it was meant for.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, NodeEvent]] = deque()
        self.sounding: set[Key] = set()  # notes that an action began and none has ended

    def give(self, host: NodeHost, action: NodeEvent, offset: int) -> bool:
        """Adds an event to its node's coming block at frame `offset`. Returns False if the block is full."""
        live = type(action.when) is Now
        event = Event(action.kind, offset, action.number, action.value, action.channel, 0, live, action.serial)
        return host.play(event)

    def track(self, action: NodeEvent) -> None:
        """Updates `sounding` when the action begins or ends a note."""
        if isinstance(action, NodeNoteOn):
            self.sounding.add(note_key(action))
        elif isinstance(action, NodeNoteOff):
            self.sounding.discard(note_key(action))

    def wait(self, sample: int, action: NodeEvent) -> bool:
        """Queues an event for the next block. Returns False if `CAPACITY` events are queued."""
        if len(self.waiting) >= CAPACITY:
            return False
        self.waiting.append((sample, action))
        return True

    def keep(self, nodes: Container[int]) -> None:
        """Removes the sounding notes of all but these nodes."""
        self.sounding = {key for key in self.sounding if key[0] in nodes}

    def silenced(self, node: int) -> None:
        """Removes the sounding notes of a reset node."""
        self.sounding = {key for key in self.sounding if key[0] != node}

    def clear(self) -> None:
        """Clears the queue and all sounding notes."""
        self.waiting.clear()
        self.sounding.clear()
