"""Missed notes and voices of a node, for the session log and its replay."""

from __future__ import annotations

from antiphon.api.backends.workers import ProcessorPart


class MissedNotes(ProcessorPart):
    """Notes without a loaded sample, and voices whose file was read too late: a replay omits the same."""

    def __init__(self) -> None:
        self.notes: set[int] = set()
        self.voices: list[int] = []

    def recall(self, kind: str, number: int) -> None:
        if kind == "missed":
            self.notes.add(number)
        elif kind == "underrun":
            self.voices.append(number)

    def clear(self) -> None:
        """Clears both at the end of their block."""
        self.notes.clear()
        self.voices.clear()
