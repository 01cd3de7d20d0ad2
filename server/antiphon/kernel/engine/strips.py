"""What each wire into the output adds to the mix, or into the one node that all sound passes: the tracks of a set.

Their sum is the mix before that node and before its master level.
"""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.graph.plan import Strip

MAX_ROWS = 256
"""Maximum channels of strips that are faded with the output; further ones are recorded without its fades."""
MAX_HEARD = 4096
_NONE: Mapping[str, Strip] = {}


class Strips:
    """The strips of one player, kept while tracks are recorded.

    Attributes:
        now: The strips of the last block by name; none while no tracks are recorded.
        faded: Rows of the strips that are copies, to be faded with the output.
        heard: Events received by nodes with an output, and the nodes' names; None while no tracks are recorded.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._rows: Samples = np.zeros((MAX_ROWS, spec.block), np.float32)
        self._direct = self._copies = self.now = _NONE
        self._pairs: list[tuple[Samples, Samples]] = []
        self.faded = self._none = self._rows[:0]
        self.heard: deque[tuple[str, Sequence[Event]]] | None = None

    def keep(self, wanted: bool) -> None:
        """Starts or stops keeping strips, from the next block on."""
        if wanted != (self.heard is not None):
            self.heard = deque(maxlen=MAX_HEARD) if wanted else None
            self.now, self.faded = _NONE, self._none

    def take(self, direct: Mapping[str, Strip], frames: int, *, fades: bool) -> None:
        """Takes a block's strips, as copies where the output `fades`."""
        if self.heard is None:
            return
        if not fades:
            self.now, self.faded = direct, self._none
            return
        if direct is not self._direct:
            self._lay_out(direct)
        for sound, copy in self._pairs:
            copy[:, :frames] = sound[:, :frames]
        self.now, self.faded = self._copies, self._rows[: sum(len(copy) for _, copy in self._pairs)]

    def _lay_out(self, direct: Mapping[str, Strip]) -> None:
        self._direct, self._pairs, copies, at = direct, [], dict(direct), 0
        for name, (number, sound) in direct.items():
            if at + len(sound) <= MAX_ROWS:
                copy = self._rows[at : at + len(sound)]
                self._pairs.append((sound, copy))
                copies[name], at = (number, copy), at + len(sound)
        self._copies = copies
