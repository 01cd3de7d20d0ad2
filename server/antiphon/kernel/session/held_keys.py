"""Keys that are held by the commands that are due, and what shapes their notes: sent again to a new engine."""

from collections.abc import Container
from dataclasses import replace

from antiphon.kernel.contract.processor import PEDAL
from antiphon.kernel.session.actions import NodeControl, NodeEvent, NodeNoteOff, NodeNoteOn
from antiphon.kernel.session.commands import NOW
from antiphon.kernel.session.play import BEGIN

MAX_HELD, MAX_SHAPES = 128, 2048
"""Maximum held notes, and maximum controllers, bends, programs and expressions; the oldest is dropped first."""
SOUND_OFF, RESET, NOTES_OFF = 120, 121, 123
"""MIDI controllers that end a channel's notes, and that reset its controllers."""


class HeldKeys:
    """Tracks notes that have begun and not ended, with controllers, bends and programs of their channels.

    Notes with values of their own are events of patterns: no key holds them.
    """

    def __init__(self) -> None:
        self._notes: dict[tuple[int, int, int], NodeEvent] = {}
        self._shapes: dict[tuple[int, int, str, int], NodeEvent] = {}
        self._own: set[tuple[int, int]] = set()  # nodes and channels whose next note has values of its own

    def follow(self, event: NodeEvent) -> None:
        """Takes an event that is due."""
        node, channel = event.node, event.channel
        match event:
            case NodeNoteOn():
                key = node, channel, event.note
                self._notes.pop(key, None)
                if (node, channel) in self._own:
                    self._own.discard((node, channel))
                    return
                if len(self._notes) >= MAX_HELD:
                    del self._notes[next(iter(self._notes))]
                self._notes[key] = event
            case NodeNoteOff():
                self._notes.pop((node, channel, event.note), None)
                for kind in ("pitch", "pressure", "timbre"):
                    self._shapes.pop((node, channel, kind, event.note), None)
            case NodeControl(number=number) if number >= BEGIN:
                self._mode(node, channel, number)
            case _:
                if len(self._shapes) >= MAX_SHAPES:
                    del self._shapes[next(iter(self._shapes))]
                self._shapes[node, channel, event.kind, event.number] = event

    def _mode(self, node: int, channel: int, number: int) -> None:
        if number == BEGIN:
            self._own.add((node, channel))
        elif number in (SOUND_OFF, NOTES_OFF):
            for key in [key for key in self._notes if key[:2] == (node, channel)]:
                del self._notes[key]
        elif number == RESET:
            for kind, n in (("control", 1), ("control", PEDAL), ("bend", 0)):
                self._shapes.pop((node, channel, kind, n), None)

    def clear(self, node: int | None = None) -> None:
        """Forgets the notes of a node; None for those of all."""
        for key in [key for key in self._notes if node in (None, key[0])]:
            del self._notes[key]

    def again(self, nodes: Container[int]) -> list[NodeEvent]:
        """The held notes of these nodes, in the order in which they began, after what shapes them; others are dropped.

        Returns events without a time.
        """
        self._notes = {key: event for key, event in self._notes.items() if key[0] in nodes}
        self._shapes = {key: event for key, event in self._shapes.items() if key[0] in nodes}
        return [replace(event, when=NOW, serial=0) for event in (*self._shapes.values(), *self._notes.values())]
