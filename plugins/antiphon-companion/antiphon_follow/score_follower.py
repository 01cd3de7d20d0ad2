"""Follower of a score: the most likely place by what was played until now.

A hidden semi-Markov model whose states are the score's onsets. Each keeps its best path: the log probability, when its
onset began, which of its notes came, and the path's own tempo by a Kalman filter of seconds per quarter. A note stays
(chord, ornament, insertion), moves on by some onsets, or jumps, with little probability, to anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon_follow.entry import ScoreEntry
from antiphon_follow.score import FollowedScore, starts_of

F64 = NDArray[np.float64]
REACH = 6
"""Most onsets by which one note moves on."""
WINDOW = 2048
"""Most onsets among which the player is looked for, half of them before the last place."""
EARLY = 0.25
"""Seconds within which a note that was taken early is found once more, and then surely."""
_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class ScoreOdds:
    """Costs in nats, and the deviations of times in seconds or as a share."""

    wrong: float = 7.0  # the next onset begins with a wrong note
    octave: float = 4.0  # a note in another octave
    octave_alone: float = 2.5  # of a melody, less than beside its next: it may be a harmonic
    beside: float = 3.0  # a semitone beside a melody's note, in any octave: a voice
    extra: float = 5.0  # an added note
    again: float = 3.0  # a note of the present onset once more
    ornament: float = 1.0
    late: float = 1.5  # a note of the onset before
    chord: float = 0.1  # seconds of a chord's spread that cost one
    missed: float = 0.7  # each note that is left out, or not found in sound
    skipped: float = 2.0  # each onset that is left out, beside its notes
    jump: float = 90.0  # to anywhere
    jump_to_bar: float = 4.0  # by which it is more likely
    jump_near: float = 60.0  # by which it is more likely among the onsets around
    near: int = 64  # how many these are to either side
    jump_waited: float = 35.0  # by which it is more likely after a stop of two seconds
    jump_least: float = 14.0
    jump_repeat: float = 2.0  # where a repeat is left out or taken once more
    spread: float = 0.035  # seconds of a player's deviation
    share: float = 0.25  # of the expected interval
    most: float = 2.5  # that a late onset costs: a stop
    most_early: float = 12.0
    wander: float = 0.12  # share of its tempo by which a player's changes in a second
    error: float = 0.03  # seconds of a player's deviation that are no change of tempo


class ScorePlace(NamedTuple):
    """Where the player is. `quarter`: from the score's start. `sureness`: 0 to 1. `pace`: seconds per quarter."""

    quarter: float
    sureness: float
    pace: float


class ScoreFollower:
    """Follows notes through a score, each by what was played until it."""

    def __init__(self, score: FollowedScore, parts: tuple[int, ...] = (), odds: ScoreOdds | None = None) -> None:
        """Prepares the onsets of `parts` (all without any). Raises UsageError: there are none, or too many."""
        self._odds = odds = odds or ScoreOdds()
        self._score = score
        self.onsets = score.onsets(parts)
        self.starts = starts_of(self.onsets)
        count = len(self.onsets)
        self._bits: dict[int, NDArray[np.uint64]] = {}
        self._spare: dict[int, F64] = {}
        for place, one in enumerate(self.onsets):
            for n, number in enumerate(one.numbers):
                row = self._bits.setdefault(number, np.zeros(count, np.uint64))
                row[place] = 1 << n
            for number in one.spare:
                self._spare.setdefault(number, np.full(count, -odds.extra, np.float64))[place] = -odds.ornament
        self._off = np.full((12, count), -odds.wrong, np.float64)
        melody = all(len(one.numbers) == 1 for one in self.onsets)
        for place, one in enumerate(self.onsets):
            for number in one.numbers:
                self._off[number % 12, place] = -(odds.octave_alone if melody else odds.octave)
                if melody:
                    self._off[[(number - 1) % 12, (number + 1) % 12], place] = -odds.beside
        self._tops = np.array([np.uint64(1 << max(0, len(one.numbers) - 1)) for one in self.onsets])
        self._none = np.zeros(count, np.uint64)
        self._extra = np.full(count, -odds.extra, np.float64)
        sizes = np.array([len(one.numbers) for one in self.onsets], np.float64)
        self._sizes = sizes
        passed = np.concatenate(([0.0], np.cumsum(odds.skipped + odds.missed * np.minimum(sizes, 3.0))))
        self._gaps = np.ones((REACH, count))
        self._passing = np.full((REACH, count), _NEVER)
        for k in range(1, min(REACH, count - 1) + 1):
            self._gaps[k - 1, k:] = self.starts[k:] - self.starts[:-k]
            self._passing[k - 1, k:] = passed[1:-k] - passed[k:-1] if k > 1 else 0.0
        self._jumping = np.full(count, -odds.jump, np.float64)
        bars = np.searchsorted(self.starts, np.array(score.bars) - 1e-6)
        self._jumping[bars[bars < count]] += odds.jump_to_bar
        self._edges = [
            (source - 1, target)
            for source, target in ((self._onset_at(one), self._onset_at(other)) for one, other in score.jumps)
            if source > 0 and target < count
        ]
        last = count - 1
        self._again = (0, *(target for source, target in self._edges if source == last and target > 0))
        self._entry = ScoreEntry(self.onsets)
        width = min(count, WINDOW)
        self._index = np.arange(width)
        self._before = np.maximum(self._index[None, :] - np.arange(1, REACH + 1)[:, None], 0)
        self.reset()

    def _onset_at(self, position: float) -> int:
        """Place of the first onset from a position on; their number where there is none."""
        return int(np.searchsorted(self.starts, position - 1e-6))

    def reset(self, position: float = 0.0) -> None:
        """Forgets what was played, and expects the player at a position in quarters."""
        count = len(self.starts)
        at = min(self._onset_at(position), count - 1)
        pace = self._score.seconds_per_quarter(float(self.starts[at]))
        self._entry.reset((at,), pace)
        self._begun = self._ended = False
        self._early = -EARLY, 0
        self._now = at
        self._low = 0
        self._like = self._jumping.copy()
        self._like[at] = 0.0
        self._began = np.zeros(count)
        self._pace = np.full(count, pace)
        self._doubt = np.full(count, (0.3 * pace) ** 2)
        self._came = np.zeros(count, np.uint64)
        self._came_before = np.zeros(count, np.uint64)
        self._left = self._sizes.copy()
        self._sure = 0.0
        self._last = 0.0
        self._from: float | None = None
        self._wait = max(0.0, position) if position < self.starts[at] else float(self.starts[at])

    def hear(self, at: float, pitch: int, sure: bool = True) -> None:
        """Takes a note that was found in sound, where the player is in the score by it and others, or was before.

        What began it is then known: the place is counted from the first of these notes. One that is not `sure` counts
        where the player holds a fermata, and it comes next.
        """
        early, pitch_before = self._early
        if not sure:
            if self._holds(at) and pitch in self.onsets[self._now + 1].numbers:
                self.note(at, pitch)
                self._early = at, pitch
            return
        if pitch == pitch_before and at - early < EARLY:
            self._early = -EARLY, pitch
            return
        if self._begun and not self._over(at):
            self.note(at, pitch)
            return
        place, notes = self._entry.take(at, pitch)
        if notes:
            self.reset(float(self.starts[place]))
            for note in notes:
                self.note(*note)

    def _holds(self, at: float) -> bool:
        """Whether the player holds a fermata, for as long as is written at least."""
        straight, bound, held = self.straight(at)
        return self._begun and held and straight > bound

    def _over(self, at: float) -> bool:
        """Whether the last note has ended; from then on the score may be begun anew."""
        straight, bound, _ = self.straight(at)
        over = self._now + 1 == len(self.starts) and straight > bound
        if over and not self._ended:
            self._entry.reset(self._again, self._score.seconds_per_quarter(0.0))
        self._ended = over
        return over

    def note(self, at: float, pitch: int, velocity: float = 0.7) -> None:
        """Takes a note. `at`: seconds, in order. `pitch`: 0 to 127. `velocity`: 0 to 1, of no weight yet."""
        odds = self._odds
        if not self._begun:
            self._begin(at, self._bits.get(pitch, self._none))
            return
        here = self._window()
        low, top = self._low, self._now - self._low
        bits = self._bits.get(pitch, self._none)[here]
        inside = bits != 0
        like, began, pace, doubt = self._like[here], self._began[here], self._pace[here], self._doubt[here]
        came, came_before, left = self._came[here], self._came_before[here], self._left[here]
        fresh = (bits & ~came) != 0
        passed = at - began
        # stays
        off = self._off[pitch % 12, here]
        octave = off > -odds.wrong
        stay = np.maximum(self._spare.get(pitch, self._extra)[here], np.where(inside, -odds.again, off))
        late = np.zeros(len(like), bool)
        late[1:] = (bits[:-1] & ~came_before[1:]) != 0
        spread = np.minimum(passed / odds.chord, odds.most + 1.0)
        np.maximum(stay, -odds.late - spread, out=stay, where=late)
        taken = fresh & (-spread > stay)
        stay[taken] = -spread[taken]
        stay += like
        # moves on
        source = self._before
        gaps = self._gaps[:, here]
        expected = gaps * pace[source]
        error = passed[source] - expected
        scaled = error / (odds.spread + odds.share * expected)
        moved = (like - odds.missed * np.minimum(left, 3.0))[source] + self._passing[:, here]
        moved -= np.minimum(0.5 * scaled * scaled, np.where(error > 0.0, odds.most, odds.most_early))
        best = moved.argmax(axis=0)
        chosen = moved[best, self._index]
        chosen += np.where(inside, 0.0, off)
        # jumps
        waited = odds.jump_waited * min(max(0.0, at - self._last - 1.0), 1.0)
        leap = like[top] + self._jumping[here] + waited
        leap[max(0, top - odds.near) : top + odds.near] += odds.jump_near
        np.minimum(leap, like[top] - odds.jump_least, out=leap)
        leap = np.where(inside, leap, _NEVER)
        origin = np.full(len(like), top)
        for start, target in self._edges:
            if low <= start < low + len(like) and low <= target < low + len(like) and inside[target - low]:
                way = like[start - low] - odds.jump_repeat - odds.missed * min(left[start - low], 3.0)
                if way > leap[target - low]:
                    leap[target - low], origin[target - low] = way, start - low
        jumped = (leap > chosen) & (leap > stay)
        moves = ~jumped & (chosen > stay)
        # the paths that move on: their tempo, and when their onset began
        place = np.flatnonzero(moves)
        step = best[place]
        back = source[step, place]
        gap, late_by = gaps[step, place], error[step, place]
        limit = 0.6 * expected[step, place] + odds.error
        late_by = np.clip(late_by, -limit, limit)
        held = pace[back]
        variance = doubt[back] + (odds.wander * held) ** 2 * np.clip(passed[back], 0.0, 2.0)
        gain = variance * gap / (gap * gap * variance + 2.0 * odds.error**2)
        new_pace = np.clip(held + gain * late_by, 0.08, 12.0)
        new_doubt = variance * (1.0 - gain * gap)
        entered_after = np.where(step == 0, came[back], np.uint64(0))
        leaps = np.flatnonzero(jumped)
        leap_pace, leap_doubt = pace[origin[leaps]], doubt[origin[leaps]] * 2.0
        entered = moves | jumped
        came_before[place] = entered_after
        came_before[leaps] = ~np.uint64(0)
        tardy = np.flatnonzero(late & ~entered)
        came_before[tardy] |= bits[tardy - 1]
        began[place] = began[leaps] = at
        pace[place], doubt[place] = new_pace, new_doubt
        pace[leaps], doubt[leaps] = leap_pace, leap_doubt
        came[entered] = bits[entered]
        left[entered] = self._sizes[here][entered] - octave[entered]
        stays = taken & ~entered
        came[stays] |= bits[stays]
        left[stays] -= 1.0
        # a bass that comes before its melody is early: the melody is on the beat
        highest = stays & (bits == self._tops[here])
        began[highest] = at
        self._settle(np.where(jumped, leap, np.where(moves, chosen, stay)), at, here)

    def _window(self) -> slice:
        """Onsets among which the player is looked for; what leaves it is forgotten."""
        count, width = len(self.starts), len(self._index)
        if abs(self._now - self._low - width // 2) > width // 4:
            self._low = min(max(0, self._now - width // 2), count - width)
            self._like[: self._low] = self._like[self._low + width :] = _NEVER
        return slice(self._low, self._low + width)

    def _begin(self, at: float, bits: NDArray[np.uint64]) -> None:
        self._begun = True
        inside = bits != 0
        self._began[:] = at
        self._came[:] = bits
        self._came_before[:] = ~np.uint64(0)
        self._left -= inside
        self._settle(self._like + np.where(inside, 0.0, -self._odds.wrong), at, slice(0, len(inside)))

    def _settle(self, new: F64, at: float, here: slice) -> None:
        best = int(new.argmax())
        new -= new[best]
        np.maximum(new, _NEVER, out=self._like[here])
        self._now, self._last = here.start + best, at
        starts = self.starts[here]
        share = np.exp(np.maximum(new, -60.0))
        self._sure = float(share[np.abs(starts - starts[best]) <= 1.0].sum() / share.sum())

    @property
    def onset(self) -> int:
        """Place among `onsets` of the last one that was played."""
        return self._now

    @property
    def begun(self) -> bool:
        """Whether a note has come since the last reset."""
        return self._begun

    @property
    def pace(self) -> float:
        """Seconds per quarter of the player."""
        return float(self._pace[self._now])

    def start(self, seconds: float) -> None:
        """Counts from the expected position at the score's tempo until the player's first note."""
        self._from = seconds

    def straight(self, seconds: float) -> tuple[float, float, bool]:
        """Position by tempo alone, that of the player's next onset, and whether the player holds a fermata until it."""
        now = self._now
        if not self._begun:
            passed = 0.0 if self._from is None else max(0.0, seconds - self._from)
            return self._wait + passed / self.pace, float(self.starts[now]), self._from is None
        passed = max(0.0, seconds - float(self._began[now]))
        quarter = float(self.starts[now]) + passed / self.pace
        if now + 1 < len(self.starts):
            return quarter, float(self.starts[now + 1]), self.onsets[now].held
        return quarter, max(self._score.length, float(self.starts[now])), False

    def at(self, seconds: float) -> ScorePlace:
        """Where the player is at a time, by the notes until now; before the next onset comes, no further than it."""
        quarter, after, _ = self.straight(seconds)
        return ScorePlace(min(quarter, after), self._sure if self._begun else 0.0, self.pace)
