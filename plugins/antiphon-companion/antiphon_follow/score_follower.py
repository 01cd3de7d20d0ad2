"""Score follower: the most likely position, from the notes played so far.

A hidden semi-Markov model whose states are the score's onsets. Each keeps its best path: the log probability, the time
of its onset, the notes received, and the path's tempo, by a Kalman filter of seconds per quarter. With each note a path
stays (chord, ornament, insertion), advances by some onsets, or jumps, with little probability, to anywhere.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from antiphon_follow.entry import ScoreEntry
from antiphon_follow.score import FollowedScore, starts_of
from antiphon_follow.score_step import (
    NEVER,
    REACH,
    ScoreBuffers,
    ScoreNoteCosts,
    ScoreOdds,
    ScorePaths,
    ScoreTables,
    score_step,
    score_store_paths,
)

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
WINDOW = 2048
"""Maximum number of onsets among which the player is sought, half of them before the last position."""
EARLY = 0.25
"""Seconds within which a note that was taken early, while unsure, is detected again as sure."""


class ScorePlace(NamedTuple):
    """Where the player is. `quarter`: from the score's start. `sureness`: 0 to 1. `pace`: seconds per quarter."""

    quarter: float
    sureness: float
    pace: float


class ScoreFollower:
    """Follows notes through a score, causally."""

    def __init__(self, score: FollowedScore, parts: tuple[int, ...] = (), odds: ScoreOdds | None = None) -> None:
        """Prepares the onsets of `parts` (all if none are given). Raises UsageError: there are none, or too many."""
        self._odds = odds = odds or ScoreOdds()
        self._score = score
        self.onsets = score.onsets(parts)
        self.starts = starts_of(self.onsets)
        self._costs(odds)
        self._tables = self._prepared(odds)
        last = len(self.onsets) - 1
        edges = [(int(source), int(target)) for source, target in self._tables.edges]
        self._again = (0, *(target for source, target in edges if source == last and target > 0))
        self._entry = ScoreEntry(self.onsets)
        self._width = min(len(self.onsets), WINDOW)
        self._paths = ScorePaths(
            *(
                np.zeros(len(self.onsets), np.int64 if name.startswith("came") else np.float64)
                for name in ScorePaths._fields
            )
        )
        self._room = ScoreBuffers(*(np.zeros(len(self.onsets)) for _ in ScoreBuffers._fields))
        self._step = score_step.caller()
        self.behind = deque[tuple[float, int]]()
        self.reset()

    def _costs(self, odds: ScoreOdds) -> None:
        """Prepares the role of each number at each onset: its bit if expected, an ornament, or a wrong note."""
        count = len(self.onsets)
        self._bits: dict[int, I64] = {}
        self._spare: dict[int, F64] = {}
        self._off = [np.full(count, -odds.wrong, np.float64) for _ in range(12)]
        melody = all(len(one.numbers) == 1 for one in self.onsets)
        for place, one in enumerate(self.onsets):
            for n, number in enumerate(one.numbers):
                self._bits.setdefault(number, np.zeros(count, np.int64))[place] = 1 << n
            for number in one.spare:
                self._spare.setdefault(number, np.full(count, -odds.extra, np.float64))[place] = -odds.ornament
            for number in one.numbers:
                self._off[number % 12][place] = -(odds.octave_alone if melody else odds.octave)
                if melody:
                    self._off[(number - 1) % 12][place] = self._off[(number + 1) % 12][place] = -odds.beside
        self._none = np.zeros(count, np.int64)
        self._extra = np.full(count, -odds.extra, np.float64)

    def _prepared(self, odds: ScoreOdds) -> ScoreTables:
        count, score = len(self.onsets), self._score
        sizes = np.array([len(one.numbers) for one in self.onsets], np.float64)
        passed = np.concatenate(([0.0], np.cumsum(odds.skipped + odds.missed * np.minimum(sizes, 3.0))))
        gaps, passing = np.ones((REACH, count)), np.full((REACH, count), NEVER)
        for k in range(1, min(REACH, count - 1) + 1):
            gaps[k - 1, k:] = self.starts[k:] - self.starts[:-k]
            passing[k - 1, k:] = passed[1:-k] - passed[k:-1] if k > 1 else 0.0
        jumping = np.full(count, -odds.jump, np.float64)
        bars = np.searchsorted(self.starts, np.array(score.bars) - 1e-6)
        jumping[bars[bars < count]] += odds.jump_to_bar
        edges = [
            (source - 1, target)
            for source, target in ((self._onset_at(one), self._onset_at(other)) for one, other in score.jumps)
            if source > 0 and target < count
        ]
        tops = np.array([1 << max(0, len(one.numbers) - 1) for one in self.onsets], np.int64)
        held = np.array([one.held for one in self.onsets], np.int64)
        pairs = np.array(edges, np.int64).reshape(-1, 2)
        return ScoreTables(self.starts, sizes, tops, held, gaps, passing, jumping, pairs, count, len(edges))

    def _onset_at(self, position: float) -> int:
        """Place of the first onset from a position on; their number where there is none."""
        return int(np.searchsorted(self.starts, position - 1e-6))

    def reset(self, position: float = 0.0) -> None:
        """Clears the notes played, and expects the player at a position in quarters."""
        count = len(self.starts)
        at = min(self._onset_at(position), count - 1)
        pace = self._score.seconds_per_quarter(float(self.starts[at]))
        self._entry.reset((at,), pace)
        self._begun = self._ended = False
        self.behind.clear()
        self._early = -EARLY, 0
        self._now = at
        self._low = 0
        paths = self._paths
        paths.like[:] = self._tables.jumping
        paths.like[at] = 0.0
        paths.pace[:], paths.doubt[:], paths.left[:] = pace, (0.3 * pace) ** 2, self._tables.sizes
        for one in (paths.began, paths.came, paths.came_before):
            one.fill(0)
        self._sure = 0.0
        self._last = 0.0
        self._from: float | None = None
        self._wait = max(0.0, position) if position < self.starts[at] else float(self.starts[at])

    def hear(self, at: float, pitch: int, sure: bool = True) -> None:
        """Takes a note detected in sound. It counts once it and others show that the player has entered the score.

        The position is then computed from the first of these notes. A note that is not `sure` counts only if the player
        holds a fermata and the note comes next.
        """
        self.take_sound_note(at, pitch, sure)
        while self.behind:
            self.catch_up()

    def catch_up(self) -> None:
        """Takes one of the notes that began the score."""
        self._take(*self.behind.popleft(), heard=True)

    def take_sound_note(self, at: float, pitch: int, sure: bool) -> None:
        """Does what `hear` does at a bounded cost: the notes that begin the score go to `behind`, for `catch_up`."""
        early, pitch_before = self._early
        if not sure:
            straight, bound, held = self.straight(at)
            holds = self._begun and held and straight > bound  # a fermata, at least for its written duration
            if holds and pitch in self.onsets[self._now + 1].numbers:
                self._take(at, pitch, heard=True)
                self._early = at, pitch
            return
        if pitch == pitch_before and at - early < EARLY:
            self._early = -EARLY, pitch
            return
        if self._begun and not self._over(at):
            self._take(at, pitch, heard=True)
            return
        place, notes = self._entry.take(at, pitch)
        if notes:
            self.reset(float(self.starts[place]))
            self.behind.extend(notes)

    def _over(self, at: float) -> bool:
        """Whether the last note has ended; if so, prepares for another start of the score."""
        straight, bound, _ = self.straight(at)
        over = self._now + 1 == len(self.starts) and straight > bound
        if over and not self._ended:
            self._entry.reset(self._again, self._score.seconds_per_quarter(0.0))
        self._ended = over
        return over

    def note(self, at: float, pitch: int, velocity: float = 0.7) -> None:
        """Takes a played note. `at`: seconds, in order. `pitch`: 0 to 127. `velocity`: 0 to 1, not used yet."""
        self._take(at, pitch, heard=False)

    def _take(self, at: float, pitch: int, *, heard: bool) -> None:
        """Takes a note; `heard`: it was detected in sound."""
        odds, bits = self._odds, self._bits.get(pitch, self._none)
        if not self._begun:
            self._begin(at, bits)
            return
        low = self._window()
        waited = odds.jump_waited * min(max(0.0, at - self._last - 1.0), 1.0)
        in_stop = (odds.stray, odds.resume) if heard else (odds.extra, odds.most)
        note = ScoreNoteCosts(bits, self._spare.get(pitch, self._extra), self._off[pitch % 12], at, waited, *in_stop)
        self._settled(self._step(odds, self._tables, self._paths, self._room, note, low, self._width), at)

    def _window(self) -> int:
        """Returns the first onset of the window in which the player is sought; paths outside the window are dropped."""
        count, width, like = len(self.starts), self._width, self._paths.like
        if abs(self._now - self._low - width // 2) > width // 4:
            self._low = min(max(0, self._now - width // 2), count - width)
            like[: self._low] = like[self._low + width :] = NEVER
        return self._low

    def _begin(self, at: float, bits: I64) -> None:
        self._begun = True
        paths, inside = self._paths, bits != 0
        paths.began[:], paths.came[:], paths.came_before[:] = at, bits, -1
        paths.left[:] -= inside
        self._room.new[:] = paths.like + np.where(inside, 0.0, -self._odds.wrong)
        self._settled(score_store_paths(self._tables, paths, self._room, 0, len(inside)), at)

    def _settled(self, best: int, at: float) -> None:
        self._now, self._last, self._sure = best, at, float(self._room.said[0])

    @property
    def onset(self) -> int:
        """Index in `onsets` of the last one that was played."""
        return self._now

    @property
    def last_note_time(self) -> float:
        """Time in seconds of the last note, whether it fits the score or not."""
        return self._last

    @property
    def begun(self) -> bool:
        """Whether a note has arrived since the last reset."""
        return self._begun

    @property
    def pace(self) -> float:
        """The player's tempo in seconds per quarter."""
        return float(self._paths.pace[self._now])

    def start(self, seconds: float) -> None:
        """Counts from the expected position at the score's tempo until the player's first note."""
        self._from = seconds

    def straight(self, seconds: float) -> tuple[float, float, bool]:
        """Returns the position by tempo alone, that of the next onset, and whether a fermata lasts until the onset."""
        now = self._now
        if not self._begun:
            passed = 0.0 if self._from is None else max(0.0, seconds - self._from)
            return self._wait + passed / self.pace, float(self.starts[now]), self._from is None
        passed = max(0.0, seconds - float(self._paths.began[now]))
        quarter = float(self.starts[now]) + passed / self.pace
        if now + 1 < len(self.starts):
            return quarter, float(self.starts[now + 1]), self.onsets[now].held
        return quarter, max(self._score.length, float(self.starts[now])), False

    def position_at(self, seconds: float) -> ScorePlace:
        """Returns the player's position at a time, from the notes so far, up to the next onset until that is played."""
        quarter, after, _ = self.straight(seconds)
        return ScorePlace(min(quarter, after), self._sure if self._begun else 0.0, self.pace)
