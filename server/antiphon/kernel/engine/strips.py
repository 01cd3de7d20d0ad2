"""What each wire into the output adds to the mix: the tracks of a set, whose sum is the mix before its master level."""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.processor import Event
from antiphon.kernel.graph.plan import Strip

MAX_ROWS = 256
"""Channels of strips that are faded with the output; those beyond are recorded without its fades."""
MAX_HEARD = 4096
_NONE: Mapping[str, Strip] = {}


class Strips:
    """The strips of one player, kept while tracks are recorded.

    Attributes:
        now: Those of the last block by name; none while no tracks are recorded.
        faded: Rows of those that are copies, to be scaled as the output is.
        heard: Events that nodes with an output got, and the nodes' names; None while no tracks are recorded.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._rows: Samples = np.zeros((MAX_ROWS, spec.block), np.float32)
        self._direct = self._copies = self.now = _NONE
        self._pairs: list[tuple[Samples, Samples]] = []
        self.faded = self._none = self._rows[:0]
        self.heard: deque[tuple[str, Sequence[Event]]] | None = None

    def keep(self, wanted: bool) -> None:
        """Begins or ends to keep strips, from the next block on."""
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
