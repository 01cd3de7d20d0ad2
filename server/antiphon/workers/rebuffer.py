"""A node's sound cut into hops for a worker, and put together again, `latency` frames late.

Hops lie on the sample clock: hop k is frames k·H to (k+1)·H of it. Its answer is played from frame
(k + 1 + lead)·H on, or never.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from antiphon.contract.block import Samples
from antiphon.contract.processor import IO


def lead_for(hop: int, block: int) -> int:
    """Hops a worker has for its answer: one, or as many as a block holds."""
    return max(1, -(-block // hop))


class Rebuffer:
    """Frames in, frames out, a hop at a time. The owner gives `post` and `load`.

    post(hop, sound): a hop is complete, `[channels_in, H]`.  load(hop, out): the hop to be played next is put
    into `out` `[channels_out, H]`; `hop` is below `first` before there can be any.
    """

    def __init__(
        self, hop: int, lead: int, inputs: int, outputs: int,
        post: Callable[[int, Samples], None], load: Callable[[int, Samples], None],
    ) -> None:  # fmt: skip
        self.hop, self.lead = hop, lead
        self._in: Samples = np.zeros((inputs, hop), np.float32)
        self._out: Samples = np.zeros((outputs, hop), np.float32)
        self._post, self._load = post, load
        self._fill = -1
        self._number = 0
        self._loaded = False
        self.first = 0

    @property
    def latency(self) -> int:
        return self.hop * (1 + self.lead)

    @property
    def number(self) -> int:
        """Of the hop that is being filled."""
        return self._number

    @property
    def fill(self) -> int:
        """Frames it holds."""
        return max(0, self._fill)

    def begin(self, sample: int) -> None:
        """The first frame is that sample of the clock; only the first call counts."""
        if self._fill < 0:
            self._number, self._fill = sample // self.hop, sample % self.hop
            self.first = self._number

    def run(self, io: IO, x: Samples | None, y: Samples) -> None:
        """One block. x: None for a source."""
        self.begin(io.time.sample)
        done, frames = 0, y.shape[1]
        while done < frames:
            if not self._loaded:
                self._load(self._number - 1 - self.lead, self._out)
                self._loaded = True
            fill = self._fill
            count = min(frames - done, self.hop - fill)
            if x is not None:
                self._in[:, fill : fill + count] = x[:, done : done + count]
            y[:, done : done + count] = self._out[:, fill : fill + count]
            done += count
            self._fill += count
            if self._fill == self.hop:
                self._post(self._number, self._in)
                self._number += 1
                self._fill, self._loaded = 0, False

    def clear(self) -> None:
        """Silence until the hop that is being filled has been answered; what of it has come in is forgotten."""
        self._in.fill(0.0)
        self._out.fill(0.0)
        self.first = self._number
