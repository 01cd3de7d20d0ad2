"""Reading the ring of captures block by block, as files of tracks and strips at ports do."""

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.io.capture_memory import CaptureMemory


class CaptureReader:
    """Finds the slots of blocks, near those that were found last."""

    def __init__(self, memory: CaptureMemory) -> None:
        self._memory, self._place = memory, -1

    def slots(self, first: int, count: int) -> NDArray[np.int64]:
        """Slots of `count` blocks, as far as the ring has them."""
        found = self._among(first, count)
        if self._place >= 0 and len(np.unique(self._memory.tags[found])) < count:  # a gap, or the ring went round
            self._place = -1
            found = self._among(first, count)
        if len(found):
            tags = self._memory.tags[found]
            self._place = int(found[tags == tags.max()].max()) + 1
        return found

    def _among(self, first: int, count: int) -> NDArray[np.int64]:
        size, end, at = self._memory.shape.slots, int(self._memory.place[0]), self._place
        spans = [(0, size)] if at < 0 else [(at, end)] if at <= end else [(at, size), (0, end)]
        slots = np.concatenate([np.arange(*span) for span in spans])
        tags = self._memory.tags[slots]
        found: NDArray[np.int64] = slots[(tags > first) & (tags <= first + count)]
        return found
