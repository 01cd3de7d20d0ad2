"""Re-blocks a node's sound into hops for a worker, and the answers into blocks, `latency` frames later.

Hops lie on the sample clock: hop k is frames k·H to (k+1)·H of it. Its answer is played from frame
(k + 1 + lead)·H on, or never.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from antiphon.contract.block import Samples
from antiphon.contract.processor import IO


def lead_for(hop: int, block: int) -> int:
    """Computes how many hops a worker has for its answer.

    Args:
        hop: Frames of a hop.
        block: Frames of the longest block.

    Returns:
        One, or as many as a block holds.
    """
    return max(1, -(-block // hop))


class Rebuffer:
    """Cuts a stream into hops on the sample clock, and puts the answers together, `latency` frames later.

    Hop k is frames k·H to (k+1)·H of the clock; its answer plays from frame (k + 1 + lead)·H on. All calls are for the
    block path.

    Args:
        hop: Frames of a hop, H.
        lead: Hops between the end of a hop and the beginning of its answer.
        inputs: Channels that come in; 0 for a source.
        outputs: Channels that go out.
        post: Called as `post(hop, sound)` when a hop is complete; sound is float32 `[inputs, H]`, valid during the
            call.
        load: Called as `load(hop, out)` for the hop that plays next; it fills `out`, float32 `[outputs, H]`. Where
            `hop` is below `first` there is no answer yet.

    Attributes:
        hop: Frames of a hop.
        lead: As given.
        first: The first hop that is posted since the start or `clear`.
    """

    def __init__(
        self,
        hop: int,
        lead: int,
        inputs: int,
        outputs: int,
        post: Callable[[int, Samples], None],
        load: Callable[[int, Samples], None],
    ) -> None:
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
        """Frames by which the output lags behind the input."""
        return self.hop * (1 + self.lead)

    @property
    def number(self) -> int:
        """The number of the hop that is being filled."""
        return self._number

    @property
    def fill(self) -> int:
        """Frames of it that have come in."""
        return max(0, self._fill)

    def begin(self, sample: int) -> None:
        """Sets where on the sample clock the stream begins; only the first call counts.

        Args:
            sample: Sample time of the first frame.
        """
        if self._fill < 0:
            self._number, self._fill = sample // self.hop, sample % self.hop
            self.first = self._number

    def run(self, io: IO, x: Samples | None, y: Samples) -> None:
        """Takes one block in and gives one block out.

        Args:
            io: The block's time.
            x: float32 `[inputs, frames]`, or None for a source.
            y: float32 `[outputs, frames]`, to be filled.
        """
        # Goal: hops lie on the sample clock, so that any split into blocks gives the same hops and the same output.
        # Plan: walk through the block in pieces that end where a hop or the block ends. One `fill` serves both sides:
        # at the same frame a hop's input fills and the answer of the hop `1 + lead` before it is played.
        # Warning: an answer is loaded at its hop's first frame, not when the hop before is posted, which leaves the
        # worker as much time as there is.
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
        """Forgets what has come in of the current hop, and plays silence until that hop is answered."""
        self._in.fill(0.0)
        self._out.fill(0.0)
        self.first = self._number
