"""Sounding notes, and their ends in order."""

from __future__ import annotations

import heapq
from fractions import Fraction

from antiphon.live.records import LiveEvent, LiveNote


class SoundingNotes:
    """Tracks note-ons and note-offs; of equal notes a channel holds one."""

    def __init__(self) -> None:
        """Starts without sounding notes."""
        self._count = 0
        self._ends: list[tuple[Fraction, int, LiveNote]] = []
        self._numbers: dict[tuple[str, int, int], int] = {}

    @property
    def keys(self) -> set[tuple[str, int, int]]:
        """Node, channel and number of each note."""
        return set(self._numbers)

    def begin(self, note: LiveNote, events: list[LiveEvent]) -> None:
        """Adds a note-on to the events."""
        if note.key in self._numbers:  # a note that begins again ends before, or its end would end the new one
            events.append(note.ended(note.beat))
        self._count += 1
        self._numbers[note.key] = self._count
        heapq.heappush(self._ends, (note.beat + note.length, self._count, note))
        events.append(note.begun())

    def end(self, beat: Fraction, events: list[LiveEvent], *, through: bool = False) -> None:
        """Adds the note-offs before a beat to the events. through: including those on it."""
        while self._ends and (self._ends[0][0] < beat or (through and self._ends[0][0] == beat)):
            at, number, note = heapq.heappop(self._ends)
            if self._numbers.get(note.key) == number:
                del self._numbers[note.key]
                events.append(note.ended(at))
