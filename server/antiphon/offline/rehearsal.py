"""Verdict on a live script before it is played: its first bars rendered, measured and judged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.signal.loudness import QUIETEST, LoudnessMeter, lufs_of

SILENT_BARS = 2
"""Maximum silence in bars that is not a fault."""
STEP_LU = 6.0
"""Maximum loudness change between bars without a remark, in LU."""
MAX_NOTES_PER_BEAT = 512
"""Maximum notes per beat."""
MAX_RENDER_SHARE = 0.7
"""Maximum share of real time spent on rendering: above it the set does not fit beside a server's own work."""
MAX_LIMITED_SHARE = 0.01
"""Maximum share of time with output beyond full scale."""
SILENCE = -60.0
"""Loudness in LUFS below which a bar is silent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures of the rehearsed bars, and objections to playing them."""

    loudness: float  # integrated, LUFS
    peak: float  # largest sample, dBFS
    clipped: int  # samples beyond full scale
    bars: tuple[float, ...]  # loudness of each bar, LUFS
    silent: int  # longest run of silent bars
    step: float  # largest change of loudness between two bars that sound, LU
    notes: int  # most notes that begin within a beat
    cost: float  # processor time of the rendering, as a share of its length; what workers take is not in it
    limited: float  # share of the time in which the output's limiter works, which is beyond full scale there
    why: tuple[str, ...]  # a sentence for each fault; empty for a set that can be played
    remarks: tuple[str, ...]  # sentences about what may be meant so

    @property
    def ok(self) -> bool:
        """True without objections."""
        return not self.why


def judge(
    sound: Samples,
    rate: int,
    edges: Sequence[int],
    notes: int,
    cost: float,
    failed: Sequence[str],
    *,
    limited: float = 0.0,
    remarks: Sequence[str] = (),
) -> Verdict:
    """Verdict on a sound.

    Args:
        sound: Float32 `[channels, frames]`.
        edges: Frames at which its bars begin, and the end of the last.
        notes: Most notes that begin within a beat.
        cost: Processor time of its rendering, as a share of its length.
        failed: A sentence for each node that failed and each loss of events.
        limited: Share of the time in which the output was beyond full scale.
        remarks: Sentences that are no faults.
    """
    bars = tuple(bar_loudness(sound[:, first:last], rate) for first, last in pairwise(edges))
    meter = LoudnessMeter(rate, len(sound))
    meter.feed(sound)
    top = float(np.abs(sound).max(initial=0.0))
    clipped = int(np.count_nonzero(np.abs(sound) > 1.0))
    silent, step = _longest(level < SILENCE for level in bars), largest_step(bars)
    why, said = list(failed), list(remarks)
    if silent > SILENT_BARS:
        why.append(f"it is silent for {silent} bars")
    if clipped or limited > MAX_LIMITED_SHARE:
        how = f"{clipped} samples are" if clipped else f"it is for {limited:.0%} of the time"
        why.append(f"{how} beyond full scale; set a lower gain, or put a limiter before out")
    if notes > MAX_NOTES_PER_BEAT:
        why.append(f"{notes} notes begin within a beat, of at most {MAX_NOTES_PER_BEAT}")
    if cost > MAX_RENDER_SHARE:
        why.append(f"it takes {cost:.0%} of the time that it lasts, of at most {MAX_RENDER_SHARE:.0%}")
    if step > STEP_LU:
        said.append(f"its loudness changes by {step:.1f} LU from one bar to the next")
    peak = 20.0 * float(np.log10(max(top, 1e-6)))
    figures = (meter.integrated(), peak, clipped, bars, silent, step, notes, cost, limited)
    return Verdict(*figures, tuple(why), tuple(said))


def bar_loudness(sound: Samples, rate: int) -> float:
    """Loudness of a bar by its loudest 400 ms, LUFS."""
    meter = LoudnessMeter(rate, len(sound))
    meter.feed(sound)
    return max(QUIETEST, float(lufs_of(meter.blocks(max(1, meter.hops))).max()))


def _longest(silent: Iterable[bool]) -> int:
    longest = run = 0
    for bar in silent:
        run = run + 1 if bar else 0
        longest = max(longest, run)
    return longest


def largest_step(bars: Sequence[float]) -> float:
    """Largest loudness change between two sounding bars, in LU."""
    pairs = [abs(b - a) for a, b in pairwise(bars) if min(a, b) >= SILENCE]
    return max(pairs, default=0.0)


_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_NAMES = ("c", "c#", "d", "eb", "e", "f", "f#", "g", "ab", "a", "bb", "b")


def out_of_key(before: Iterable[int], after: Iterable[int]) -> list[str]:
    """A remark on notes outside the seven of the major scale, or its minor, that hold all notes before."""
    was, now = ({note % 12 for note in notes} for notes in (before, after))
    fitting = [{(root + step) % 12 for step in _MAJOR} for root in range(12)]
    scale = set().union(*(one for one in fitting if was <= one))
    strange = now - was - scale
    if len(was) < 4 or not scale or not strange:
        return []
    return [f"notes out of the key of what plays: {', '.join(_NAMES[one] for one in sorted(strange))}"]


def steps_of_its_own(
    bars: Sequence[float], before: Samples, edges: Sequence[int], steps: list[int], rate: int
) -> list[str]:
    """Sentence on the first loudness step caused by the change, absent from the playing set's continuation."""
    for at in steps:
        usual = bar_loudness(before[:, edges[at] : edges[at + 1]], rate)
        if largest_step([usual, bars[at + 1]]) > STEP_LU:
            where = f"from its bar {at} to the next" if at else "where it comes in"
            return [f"the loudness changes by {abs(bars[at + 1] - bars[at]):.1f} LU {where}, by at most {STEP_LU:g}"]
    return []
