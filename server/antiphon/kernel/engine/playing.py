"""Notes and controller events on their way from the schedule to a node's block: the queue, and which notes sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from antiphon.kernel.contract.processor import Event
from antiphon.kernel.engine.action_schedule import CAPACITY, Key, note_key
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.session.actions import NodeEvent, NodeNoteOff, NodeNoteOn
from antiphon.kernel.session.commands import Now


class Playing:
    """Events for the next block, and the notes that sound.

    Attributes:
        waiting: Events that their block had no room for, in order, each with the sample it was meant for.
        sounding: Notes that an action began and none has ended.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, NodeEvent]] = deque()
        self.sounding: set[Key] = set()

    def give(self, host: NodeHost, action: NodeEvent, offset: int) -> bool:
        """Puts an event into its node's coming block at frame `offset`. Returns False when the block is full."""
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
        """Queues an event for the next block. Returns False when `CAPACITY` events are queued already."""
        if len(self.waiting) >= CAPACITY:
            return False
        self.waiting.append((sample, action))
        return True

    def keep(self, nodes: Container[int]) -> None:
        """Forgets the sounding notes of all but these nodes."""
        self.sounding = {key for key in self.sounding if key[0] in nodes}

    def silenced(self, node: int) -> None:
        """Forgets the sounding notes of a node that was reset."""
        self.sounding = {key for key in self.sounding if key[0] != node}

    def clear(self) -> None:
        """Forgets the queue and all sounding notes."""
        self.waiting.clear()
        self.sounding.clear()
