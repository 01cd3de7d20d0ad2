"""Cues and moves of sliders that came from outside, until the script is given them."""

from __future__ import annotations

from typing import Any, TypeAlias

Asked: TypeAlias = tuple[str, dict[str, Any]]
"""A request to a process that performs: what it does, and its values."""
MOST_CUES, MOST_WAITING_CUES = 16, 256
"""Of them, those that are given at once, and those that wait; further ones are left out."""


class WaitingCues:
    """A queue, in which the last move of a slider replaces the one before it.

    Attributes:
        waiting: The requests, oldest first.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self.waiting: list[Asked] = []

    def put(self, do: str, given: dict[str, Any]) -> None:
        """Appends a request: `cue` or `slide`."""
        for number, (before, known) in enumerate(self.waiting):
            if do == before == "slide" and _slider(known) == _slider(given):
                self.waiting[number] = do, given
                return
        if len(self.waiting) < MOST_WAITING_CUES:
            self.waiting.append((do, given))

    def take(self) -> list[Asked]:
        """Removes those that are given at once."""
        taken, self.waiting = self.waiting[:MOST_CUES], self.waiting[MOST_CUES:]
        return taken

    def restore(self, given: list[Asked]) -> None:
        """Puts moves that went to a script which has ended before those that wait, of which each replaces its own."""
        waiting, self.waiting = self.waiting, []
        for do, values in [*given, *waiting]:
            self.put(do, values)


def _slider(given: dict[str, Any]) -> tuple[int, int]:
    return given["version"], given["place"]
