"""What became of notes, hops and scsynths."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class NoteCounts:
    """sent: notes begun.  confirmed: of them, those that scsynth said to play.  dropped: those it never did.

    failed: messages it refused.  late: beginnings and ends that scsynth heard of too late for their frame.
    unheard: hops whose sound had not come back in time.  moved: how often the frames' distance from the engine's
    samples was chosen anew.  unclaimed: events played ahead of the engine that it never confirmed.
    restarts: deaths made good.  pid: of the one that plays, 0 for none.  switched_ns: CLOCK_MONOTONIC when another
    was last put to work.
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
