"""Arena words that the worker writes about scsynth, and their part of the server's status."""

from collections.abc import Mapping, Sequence
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
    """Status of scsynth, by `own` counters (`ScsynthWord`), for the worker's; empty before the first has started."""
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
            "sent": own[ScsynthWord.SENT],
            "confirmed": own[ScsynthWord.CONFIRMED],
            "dropped": own[ScsynthWord.DROPPED],
            "late": own[ScsynthWord.LATE],
            "unclaimed": own[ScsynthWord.UNCLAIMED],
        },
        "unheard": own[ScsynthWord.UNHEARD],
        "moved": own[ScsynthWord.MOVED],
    }
