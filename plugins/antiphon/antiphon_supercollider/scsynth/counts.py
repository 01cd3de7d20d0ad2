"""Counts of notes, hops and scsynths."""

from dataclasses import dataclass

from antiphon_supercollider.scsynth.status import ScsynthWord


@dataclass(slots=True)
class NoteCounts:
    """Counts since the worker began."""

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
        words[ScsynthWord.PID], words[ScsynthWord.RESTARTS] = self.pid, self.restarts
        words[ScsynthWord.SENT], words[ScsynthWord.CONFIRMED] = self.sent, self.confirmed
        words[ScsynthWord.DROPPED], words[ScsynthWord.LATE] = self.dropped, self.late
        words[ScsynthWord.UNHEARD], words[ScsynthWord.MOVED] = self.unheard, self.moved
        words[ScsynthWord.UNCLAIMED] = self.unclaimed
