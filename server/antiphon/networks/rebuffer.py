"""Re-blocks a node's sound into hops for a worker, and its answers into blocks, `latency` frames later, with dropouts.

Hops lie on the sample clock: hop k is its frames k·H to (k+1)·H. Its answer plays from frame (k + 1 + lead)·H on. If it
is missing, the sound fades across the dropout, which is marked in the session log.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.processor import IO, ProcessorPart
from antiphon.native.dsp import pass_part
from antiphon.native.kernel import Step
from antiphon.networks.hop_kernels import FadeWord, HopWord, begin_hop, dot, hop_goes_on, push_tail


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
        inputs: Input channels; 0 for a source.
        post: Called as `post(hop, sound)` when a hop is complete; sound is float32 `[inputs, H]`, valid during the
            call.
        load: Called as `load(hop, out)` for the hop that plays next; it fills `out`, float32 `[outputs, H]`. If `hop`
            is below `first`, there is no answer yet.

    Attributes:
        hop: Frames of a hop.
        words: Its position, for machine code (`HopWord`).
        filling, playing: The hop being filled, float32 `[inputs, H]`, and the one being played, `[outputs, H]`.
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
        """Number of frames in the current hop so far."""
        return max(0, self._words[HopWord.FILL])

    @property
    def begun(self) -> bool:
        """True once a block has been processed."""
        return self._words[HopWord.FILL] >= 0

    def begin(self, sample: int) -> None:
        """Sets the sample time of the stream's first frame; further calls do nothing."""
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

    def step(self, x: Samples, y: Samples) -> Step:
        """Step of a block within a hop, for which nothing is posted or loaded; arguments as for `run`."""
        inside = pass_part.step(self.words, x, self.filling, self.playing, y, 0)
        return inside.provided(hop_goes_on.step(self.words, self.hop, y.shape[1]))

    def clear(self) -> None:
        """Discards the partial hop and plays silence until the hop is answered; the clock may have changed by then."""
        self.filling.fill(0.0)
        self.playing.fill(0.0)
        self._words[HopWord.FIRST] = self.number
        self._words[HopWord.FILL] = -1


FADE = 0.010
"""Length of each fade in seconds."""
RELATED = 0.5
"""Minimum correlation of an answer with the dry sound to count as derived from it; unrelated sounds stay below."""


class DropoutFader:
    """Plays a worker's answers hop by hop, and fades to the dry sound, or to silence, at dropouts.

    At a dropout, the previous sound is continued by its mirror image and fades in 10 ms; its dry part is continued by
    the dry sound. Gains keep the power of uncorrelated sounds, and the amplitude of equal sounds. All calls are for the
    block path. `fade`: frames of a fade. `words`: progress of the fades, for machine code (`FadeWord`). `tail`,
    `dry_tail`: the last 10 ms of the output, and of the dry sound in the same period.
    """

    def __init__(self, channels: int, hop: int, rate: int) -> None:
        self.fade = max(1, round(FADE * rate))
        place = np.arange(self.fade + 1) / self.fade * (math.pi / 2.0)
        self._rising: Samples = np.sin(place).astype(np.float32)
        self._rising[self.fade] = 1.0
        self._falling: Samples = self._rising[::-1].copy()
        self._hop = hop
        self._wet = np.zeros((channels, hop), np.float32)
        self._part = np.zeros((channels, min(hop, self.fade)), np.float32)
        self._ghost = np.zeros((channels, self.fade), np.float32)
        self._backwards = self._ghost[:, ::-1]
        self._share = np.zeros(hop, np.float32)
        self.tail: Samples = np.zeros((channels, self.fade), np.float32)
        self.dry_tail: Samples = np.zeros((channels, self.fade), np.float32)
        # of the outgoing sound: its correlation with the dry sound, and the gain of the dry sound in it; of incoming
        # answers: their correlation
        self._was = self._held = self._is = 0.0
        self.words = np.zeros(FadeWord.SIZE, np.int64)
        self._words: memoryview[int] = memoryview(self.words)  # type: ignore[arg-type]
        self._push = push_tail.caller()
        self.clear()

    def clear(self) -> None:
        """Resets the fades and the history: the last hop counts as answered."""
        self.tail.fill(0.0)
        self.dry_tail.fill(0.0)
        self._words[FadeWord.RISE] = self._words[FadeWord.GONE] = self.fade
        self._words[FadeWord.THERE] = 1

    @property
    def there(self) -> bool:
        """True if the last hop was answered."""
        return bool(self._words[FadeWord.THERE])

    @property
    def rests(self) -> bool:
        """True if the last hop was answered, and no fade is active."""
        return self.there and min(self._words[FadeWord.RISE], self._words[FadeWord.GONE]) >= self.fade

    def play(self, answer: Samples | None, dry: Samples | None, out: Samples) -> None:
        """Plays one hop, or fades at a dropout.

        `answer`: float32 `[channels, hop]`, or None if it is missing. `dry`: float32 `[channels, hop]`, delayed like
        the answers; None without a dry sound. `out`: float32 `[channels, hop]`, to be filled.
        """
        words = self._words
        if answer is None and self.there:
            self._leave()
        elif answer is not None and dry is not None and not self.there:
            self._is, _ = _dry_sound_correlation(answer, dry)
        words[FadeWord.THERE] = answer is not None
        risen = min(self.fade - words[FadeWord.RISE], self._hop) if answer is not None else 0
        fallen = min(self.fade - words[FadeWord.GONE], self._hop)
        if answer is not None and not risen and not fallen:
            out[:] = answer
        else:
            self._mix(answer, dry, out, risen, fallen)
        self._push(out, self.tail)
        if dry is not None:
            self._push(dry, self.dry_tail)

    def _mix(self, answer: Samples | None, dry: Samples | None, out: Samples, risen: int, fallen: int) -> None:
        wet, rise, gone = self._wet, self._words[FadeWord.RISE], self._words[FadeWord.GONE]
        if answer is not None:
            _scaled(answer[:, :risen], _gains(self._rising, rise, risen), wet[:, :risen])
            wet[:, risen:] = answer[:, risen:]
        else:
            wet.fill(0.0)
        if fallen:
            part = self._part[:, :fallen]
            ghost = self._backwards[:, gone : gone + fallen]
            _scaled(ghost, _gains(self._falling, gone, fallen), part)
            np.add(wet[:, :fallen], part, out=wet[:, :fallen])
        if dry is None:
            out[:] = wet
        else:
            self._left(risen, fallen, answer is not None)
            _scaled(dry, self._share, out)
            np.add(out, wet, out=out)
        self._words[FadeWord.RISE] += risen
        self._words[FadeWord.GONE] += fallen

    def _leave(self) -> None:
        tail, dry, ghost = self.tail, self.dry_tail, self._ghost
        self._was, self._held = _dry_sound_correlation(tail, dry)
        np.multiply(dry, self._held, out=ghost)
        np.subtract(tail, ghost, out=ghost)
        self._words[FadeWord.RISE] = self._words[FadeWord.GONE] = 0

    def _left(self, risen: int, fallen: int, there: bool) -> None:
        """Writes the dry sound's gain to `_share`.

        For gain r of an answer of correlation κ, and gain f of a mirrored sound that holds h of the dry sound with
        correlation ρ: √(1 - r²(1 - κ²) - f²(1 - ρ²)) - rκ + f(h - ρ), which keeps the power whatever κ and ρ are.
        """
        share, rise, gone = self._share, self._words[FadeWord.RISE], self._words[FadeWord.GONE]
        share.fill(1.0)
        rising, falling = _gains(self._rising, rise, risen), _gains(self._falling, gone, fallen)
        for gains, near in (rising, self._is), (falling, self._was):
            count, part = len(gains), self._part[0, : len(gains)]
            np.multiply(gains, gains, out=part)
            np.multiply(part, 1.0 - near * near, out=part)
            np.subtract(share[:count], part, out=share[:count])
        np.maximum(share, 0.0, out=share)
        np.sqrt(share, out=share)
        for gains, more in (rising, -self._is), (falling, self._held - self._was):
            count = len(gains)
            part = np.multiply(gains, more, out=self._part[0, :count])
            np.add(share[:count], part, out=share[:count])
        if there:
            # the ghost never ends after the fade-in
            share[risen:] = 0.0


def _dry_sound_correlation(x: Samples, dry: Samples) -> tuple[float, float]:
    """Correlation of x with the dry sound, and the gain of the dry sound in x, at most 1; both 0 below `RELATED`."""
    both, power, given = dot(x, dry), dot(x, x), dot(dry, dry)
    if both <= 0.0 or both * both < RELATED * RELATED * power * given:
        return 0.0, 0.0
    return min(1.0, both / math.sqrt(power * given)), min(1.0, both / given)


def _gains(curve: Samples, done: int, count: int) -> Samples:
    """Next `count` gains of a fade; the first already differs from the start."""
    gains: Samples = curve[done + 1 : done + count + 1]
    return gains


def _scaled(x: Samples, gains: Samples, out: Samples) -> None:
    """Writes x · gains into `out`, row by row: numpy would allocate a buffer to broadcast."""
    for row, into in zip(x, out, strict=True):
        np.multiply(row, gains, out=into)


class _Stream(Protocol):
    def reset(self) -> None: ...


class DropoutLog(ProcessorPart):
    """Logs the dropouts of a node's hops, and repeats them in a replay.

    Marks: `absent` and `back` when answers stop and resume, `fresh` when a worker began with an initial state. All
    calls are for the block path.
    """

    def __init__(self) -> None:
        self._there = True
        self.away = False
        self._fresh: set[int] = set()
        self._turns: deque[tuple[int, bool]] = deque()

    def recall(self, kind: str, hop: int) -> None:
        """Stores a mark of the replayed log. For `ProcessorPart.recall`."""
        if kind == "fresh":
            self._fresh.add(hop)
        elif kind in ("absent", "back"):
            self._turns.append((hop, kind == "absent"))

    def before(self, hop: int, streams: Iterable[_Stream]) -> bool:
        """Resets streams before a hop is posted if, by the log, they began with an initial state there."""
        if hop not in self._fresh:
            return False
        self._fresh.discard(hop)
        for stream in streams:
            stream.reset()
        return True

    def absent(self, hop: int) -> bool:
        """True if the replayed log marks a hop's answer as missing. Called once for each hop, in order."""
        while self._turns and self._turns[0][0] <= hop:
            self.away = self._turns.popleft()[1]
        return self.away

    def began(self, hop: int, first: int, io: IO) -> None:
        """Marks that the worker began with an initial state."""
        if hop != first:
            io.mark("fresh", hop)

    def took(self, hop: int, there: bool, io: IO) -> None:
        """Marks a change of answered to missing hops, or back."""
        if there != self._there:
            self._there = there
            io.mark("back" if there else "absent", hop)

    def standing(self) -> list[tuple[str, int]]:
        """Marks needed at the start of a log that begins now. For `ProcessorPart.standing`."""
        return [] if self._there else [("absent", 0)]
