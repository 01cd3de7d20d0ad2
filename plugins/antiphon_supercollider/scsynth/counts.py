"""Counts of notes, hops and scsynths."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class NoteCounts:
    """Counts since the worker began.

    Attributes:
        late: Beginnings and ends that reached scsynth after their frame.
        unheard: Hops whose sound had not come back in time.
        moved: Times that the offset between JACK's frames and the engine's samples was chosen anew.
        pid: Process of the active scsynth, 0 for none.
    """

    sent: int = 0
    confirmed: int = 0
    dropped: int = 0
    failed: int = 0
    late: int = 0
    unheard: int = 0
    moved: int = 0
    unclaimed: int = 0
    restarts: int = 0
    pid: int = 0
    switched_ns: int = 0
