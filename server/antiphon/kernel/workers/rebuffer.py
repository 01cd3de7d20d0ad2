"""Re-blocks a node's sound into hops for a worker, and the answers into blocks, `latency` frames later.

Hops lie on the sample clock: hop k is frames k·H to (k+1)·H of it. Its answer is played from frame
(k + 1 + lead)·H on, or never.
"""

from collections.abc import Callable

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.processor import IO
from antiphon.kernel.workers.hop_kernels import HopWord, begin_hop, pass_part


def lead_for(hop: int, block: int) -> int:
    """Number of hops a worker has for its answer. `block`: frames of the longest block."""
    return max(1, -(-block // hop))


class Rebuffer:
    """Splits a stream into hops on the sample clock, and joins the answers, `latency` frames later.

    Hop k is frames k·H to (k+1)·H of the clock; its answer plays from frame (k + 1 + lead)·H on. All calls are for the
    block path.

    Args:
        hop: Frames of a hop, H.
        lead: Hops between the end of a hop and the beginning of its answer.
        inputs: Channels that come in; 0 for a source.
        post: Called as `post(hop, sound)` when a hop is complete; sound is float32 `[inputs, H]`, valid during the
            call.
        load: Called as `load(hop, out)` for the hop that plays next; it fills `out`, float32 `[outputs, H]`. Where
            `hop` is below `first` there is no answer yet.

    Attributes:
        hop: Frames of a hop.
        words: Where it is, for machine code (`HopWord`).
        filling, playing: The hop that comes in, float32 `[inputs, H]`, and the one that goes out, `[outputs, H]`.
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
        self.filling: Samples = np.zeros((inputs, hop), np.float32)
        self.playing: Samples = np.zeros((outputs, hop), np.float32)
        self._post, self._load = post, load
        self.words = np.zeros(HopWord.SIZE, np.int64)
        self._words: memoryview[int] = memoryview(self.words)  # type: ignore[arg-type]
        self._words[HopWord.FILL] = -1
        self._pass, self._none = pass_part.caller(), np.zeros((0, hop), np.float32)

    @property
    def latency(self) -> int:
        """Frames by which the output lags behind the input."""
        return self.hop * (1 + self.lead)

    @property
    def number(self) -> int:
        """Number of the hop being filled."""
        return self._words[HopWord.NUMBER]

    @property
    def first(self) -> int:
        """First hop posted since the start or `clear`."""
        return self._words[HopWord.FIRST]

    @property
    def fill(self) -> int:
        """Frames filled of the current hop."""
        return max(0, self._words[HopWord.FILL])

    @property
    def begun(self) -> bool:
        """True once a block has been processed."""
        return self._words[HopWord.FILL] >= 0

    def begin(self, sample: int) -> None:
        """Sets the sample time of the stream's first frame; only the first call counts."""
        words = self._words
        if words[HopWord.FILL] < 0:
            words[HopWord.NUMBER] = words[HopWord.FIRST] = sample // self.hop
            words[HopWord.FILL] = sample % self.hop

    def run(self, io: IO, x: Samples | None, y: Samples) -> None:
        """Processes one block: input into hops, answers into output.

        `x`: float32 `[inputs, frames]`, or None for a source. `y`: float32 `[outputs, frames]`, to be filled.
        """
        # Goal: hops lie on the sample clock, so that any split into blocks gives the same hops and the same output.
        # Plan: walk through the block in pieces that end where a hop or the block ends. One `fill` serves both sides:
        # at the same frame a hop's input fills and the answer of the hop `1 + lead` before it is played.
        # Warning: an answer is loaded at its hop's first frame, not when the hop before is posted, which leaves the
        # worker the longest time.
        self.begin(io.time.sample)
        words, done, frames, given = self._words, 0, y.shape[1], self._none if x is None else x
        while done < frames:
            if not words[HopWord.LOADED]:
                self._load(self.number - 1 - self.lead, self.playing)
                words[HopWord.LOADED] = 1
            done = self._pass(self.words, given, self.filling, self.playing, y, done)
            if words[HopWord.FILL] == self.hop:
                self._post(self.number, self.filling)
                begin_hop(self.words)

    def clear(self) -> None:
        """Discards the partial hop, and plays silence until that hop is answered."""
        self.filling.fill(0.0)
        self.playing.fill(0.0)
        self._words[HopWord.FIRST] = self.number
