"""What a node could not play in time, in the log of a set and from it."""

from __future__ import annotations

from antiphon.api.backends.workers import ProcessorPart


class MissedNotes(ProcessorPart):
    """Notes whose sample was not there yet, and voices whose file was read too late: a replay leaves out the same.

    Attributes:
        notes: Places of notes among the coming block's events or triggers.
        voices: Rows of voices that fade out from the coming block on.
    """

    def __init__(self) -> None:
        self.notes: set[int] = set()
        self.voices: list[int] = []

    def recall(self, kind: str, number: int) -> None:
        if kind == "missed":
            self.notes.add(number)
        elif kind == "underrun":
            self.voices.append(number)

    def clear(self) -> None:
        """Forgets them, at the end of their block."""
        self.notes.clear()
        self.voices.clear()
