"""Turns of mode `trade`, counted from the player's first bar."""

import math

from antiphon.api import IO

TURNS = NOBODY, YOU, MACHINE = "nobody", "you", "machine"
"""Values of `turn`; `nobody` before the first note."""
UPBEAT = 1.0
"""Beats before a bar line from which on a first note belongs to the bar that follows."""
_ROUNDING = 1e-6


class PlayerTurns:
    """The form: a turn of the player's, one of the machine's, and so on.

    Attributes:
        first: The beat of the player's first bar; None until a note.
        changes: The beat on which the turn changes, as `tell` found it; infinite for none.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.changes = math.inf
        self._said = NOBODY

    def begin(self, beat: float, meter: int) -> bool:
        """Begins the form with the bar of a note, unless it has begun; True if it does now."""
        if self.first is not None:
            return False
        self.first = meter * math.floor((beat + UPBEAT) / meter)
        return True

    def place(self, beat: int, turn: int) -> int:
        """Beats since the player's last turn began, 0 to `2 * turn - 1`; -1 before the form."""
        return -1 if self.first is None or beat < self.first else (beat - self.first) % (2 * turn)

    def tell(self, io: IO, beat: float, turn: int) -> None:
        """Reports whose turn it is from a beat on, and finds when that changes. turn: its beats."""
        whose, self.changes = NOBODY, math.inf
        if self.first is not None:
            count = max(0, math.floor((beat - self.first) / turn + _ROUNDING))
            whose, self.changes = (YOU, MACHINE)[count % 2], self.first + (count + 1) * turn
        if whose != self._said:
            self._said = whose
            io.report("turn", TURNS.index(whose))
