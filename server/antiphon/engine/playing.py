"""Notes and controls between the schedule and their node's block: what waits for room, and which notes sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from antiphon.contract.processor import Event
from antiphon.engine.action_schedule import CAPACITY, Key, note_key
from antiphon.graph.node_host import NodeHost
from antiphon.session.actions import NodeEvent, NodeNoteOff, NodeNoteOn
from antiphon.session.commands import Now


class Playing:
    """waiting: events their block had no room for, with the sample each was meant for, in order.

    sounding: notes that were begun by command and not ended.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, NodeEvent]] = deque()
        self.sounding: set[Key] = set()

    def give(self, host: NodeHost, action: NodeEvent, offset: int) -> bool:
        """The event goes into its node's coming block, at `offset`; False when the block is full."""
        live = type(action.when) is Now
        event = Event(action.kind, offset, action.number, action.value, action.channel, 0, live, action.serial)
        return host.play(event)

    def heard(self, action: NodeEvent) -> None:
        """A note begins or ends."""
        if isinstance(action, NodeNoteOn):
            self.sounding.add(note_key(action))
        elif isinstance(action, NodeNoteOff):
            self.sounding.discard(note_key(action))

    def wait(self, sample: int, action: NodeEvent) -> bool:
        """For the next block; False when too many wait."""
        if len(self.waiting) >= CAPACITY:
            return False
        self.waiting.append((sample, action))
        return True

    def keep(self, nodes: Container[int]) -> None:
        """Only these nodes play on."""
        self.sounding = {key for key in self.sounding if key[0] in nodes}

    def silenced(self, node: int) -> None:
        """The node was cleared; its notes with it."""
        self.sounding = {key for key in self.sounding if key[0] != node}

    def clear(self) -> None:
        self.waiting.clear()
        self.sounding.clear()
