"""Arena words that the worker writes about scsynth: counts of notes, hops and scsynths, shown in the status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class ScsynthWord(IntEnum):
    """Index in the worker's own words."""

    PID = 0  # of the scsynth that plays, 0 for none
    RESTARTS = 1  # how often it was started again
    SENT = 2  # notes sent
    CONFIRMED = 3  # of them, those it said to play
    DROPPED = 4  # of them, those it never did
    LATE = 5  # of them, those sent too late for their frame
    UNHEARD = 6  # hops whose sound had not come in time
    MOVED = 7  # how often the two clocks were laid on each other anew
    UNCLAIMED = 8  # events played ahead of the engine that it never confirmed
    BESIDE = 9  # 1 where it plays to its own outputs and does not return to the graph


def describe(state: Mapping[str, Any], own: Sequence[int], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Status of scsynth from the worker's `own` counters (`ScsynthWord`); empty before the first one has started."""
    pid, restarts = own[ScsynthWord.PID], own[ScsynthWord.RESTARTS]
    if not pid and not restarts:
        return {}
    return {
        "pid": pid,
        "state": state["state"] if pid or state["state"] != "running" else "restarting",
        "restarts": state["restarts"] + restarts,
        "joined": str(settings.get("scsynth", "")),
        "beside": bool(own[ScsynthWord.BESIDE]),
        "notes": {
            word.name.lower(): own[word]
            for word in (
                ScsynthWord.SENT,
                ScsynthWord.CONFIRMED,
                ScsynthWord.DROPPED,
                ScsynthWord.LATE,
                ScsynthWord.UNCLAIMED,
            )
        },
        "unheard": own[ScsynthWord.UNHEARD],
        "moved": own[ScsynthWord.MOVED],
    }


@dataclass(slots=True)
class NoteCounts:
    """Counts since the worker began, by the names of `ScsynthWord` and of notes that failed."""

    sent: int = 0
    confirmed: int = 0
    dropped: int = 0
    failed: int = 0
    late: int = 0  # beginnings and ends that reached scsynth after their frame
    unheard: int = 0  # hops whose sound had not come back in time
    moved: int = 0  # times that the offset between JACK's frames and the engine's samples was chosen anew
    unclaimed: int = 0
    restarts: int = 0
    pid: int = 0  # process of the active scsynth, 0 for none

    def write(self, words: memoryview) -> None:
        """Writes the counts to their places in shared memory."""
        for word in ScsynthWord:
            if word is not ScsynthWord.BESIDE:
                words[word] = getattr(self, word.name.lower())
