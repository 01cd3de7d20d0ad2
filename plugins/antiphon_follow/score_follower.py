"""Follower of a score: the place of a player in it, note by note, as it is known at that time.

A state is a chord of the score. A note belongs to the present chord, to the one before it, to one of the next ones, or
to none; each has a cost in nats by pitch and by time, and the best way to every chord is kept, with its own tempo (a
Kalman filter on seconds of the player per second of the score). From the best state any chord can be reached by a jump,
at a cost that repeats and bar lines lower. So restarts need no rule of their own, and what is unlikely is dropped.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from antiphon.api.kernels import f64, f64p, i64, i64p, kernel
from antiphon_follow.score import BAR, HOLD, TRILL, Chords, FollowedScore

REACH = 7
"""Positions that one note can go on by."""
BEAM = 24.0
"""Nats beyond the best state at which one is dropped."""
MOST = 512
"""States kept beyond which no new jumps begin."""
FAR = -1e300
EARLY, LATE = 7.0, 5.0
"""Maximum costs of a time too early and too late."""
WRONG, NEAR, AGAIN, ORNAMENT = 5.0, 3.5, 2.0, 0.4
"""Costs of a note outside the chord, near one of its notes, of one struck again, and of one of a trill."""
CHANGED = 6.0
"""Cost of going on with a wrong note."""
MISSED, MISSED_CHORD = 0.8, 1.6
"""Costs of each note left out, and of each chord left out beside that of its notes."""
LATER = 1.0
"""Cost of a note of the chord before."""
JUMP, JUMP_BAR, JUMP_SIGN = 13.0, 10.5, 4.0
"""Costs of a jump anywhere, to a bar line, and where a repeat allows it."""
JITTER, LOOSE = 0.025, 0.15
"""Standard deviation of a time in seconds, and relative to the time from the position before."""
SPREAD = 0.035
"""Time in seconds between notes of a chord."""
DRIFT, UNEVEN = 0.1, 0.1
"""Relative standard deviation of the tempo by a second of score, and of an observation of it."""
SLOWEST = 5.0
"""Limits of the tempo relative to the score's, both ways."""


class Model(NamedTuple):
    """A score as a kernel reads it."""

    seconds: f64p
    first: i64p
    pitches: i64p
    flags: i64p
    holders: i64p  # positions with a pitch, pitch by pitch
    first_holder: i64p  # [129]
    jump_from: i64p  # sorted
    jump_to: i64p
    jump_gap: f64p  # seconds at the score's tempo
    first_jump: i64p  # [n + 1]
    size: i64


class States(NamedTuple):
    """States by position; `active[0:count[0]]` are in use."""

    score: f64p
    time: f64p  # of the chord's first note
    last: f64p  # of its last note
    stretch: f64p  # seconds of the player per second of the score
    variance: f64p
    struck: i64p  # bits of the chord's notes
    before: i64p  # bits of the notes of the chord before
    active: i64p
    count: i64p


@kernel
def score_holds(m: Model, at: i64, pitch: i64) -> i64:
    """Place of a pitch within a chord, or -1; -2 where it is within two semitones of a note of it."""
    found = -1
    for k in range(m.first[at], m.first[at + 1]):
        off = abs(m.pitches[k] - pitch)
        if off == 0:
            return k - m.first[at]
        if off <= 2:
            found = -2
    return found


@kernel
def score_keep(
    new: States, at: i64, score: f64, time: f64, last: f64, stretch: f64, variance: f64, struck: i64, before: i64
) -> None:
    """Keeps a way to a position if it is the best one."""
    if score > new.score[at]:
        if new.score[at] <= FAR:
            new.active[new.count[0]] = at
            new.count[0] = new.count[0] + 1
        new.score[at] = score
        new.time[at] = time
        new.last[at] = last
        new.stretch[at] = stretch
        new.variance[at] = variance
        new.struck[at] = struck
        new.before[at] = before


@kernel
def score_unstruck(m: Model, at: i64, struck: i64) -> f64:
    """Number of the notes of a chord that were not struck."""
    missing = 0.0
    for k in range(m.first[at + 1] - m.first[at]):
        if (struck >> k) & 1 == 0:
            missing += 1.0
    return missing


@kernel
def score_advance(
    m: Model, old: States, new: States, i: i64, j: i64, gap: f64, score: f64, now: f64, pitch: i64, before: i64
) -> None:
    """Tries the way from position i to j, `gap` seconds of score later."""
    place = score_holds(m, j, pitch)
    if place >= 0:
        score = score
    elif place == -2:
        score -= CHANGED - 1.0
    else:
        score -= CHANGED
    stretch = old.stretch[i]
    spread = old.variance[i] + DRIFT * DRIFT * stretch * stretch * min(gap, 4.0)
    passed = now - old.time[i]
    wanted = gap * stretch
    off = passed - wanted
    width = JITTER * JITTER + LOOSE * LOOSE * wanted * wanted + spread * gap * gap
    cost = 2.0 * math.log(1.0 + off * off / (3.0 * width))
    held = 0
    if off < 0.0:
        cost = min(cost, EARLY)
    else:
        cost = min(cost, LATE)
        if m.flags[i] & HOLD != 0:
            cost = 0.5 * min(cost, 1.0)
            held = 1
    variance = spread
    if gap > 0.02 and held == 0:
        noise = (0.03 / gap) * (0.03 / gap) + UNEVEN * UNEVEN * stretch * stretch
        seen = passed / gap - stretch
        surprise = seen * seen / (variance + noise)
        gain = variance / (variance + noise) / (1.0 + surprise / 8.0)
        stretch = min(max(stretch + gain * seen, 1.0 / SLOWEST), SLOWEST)
        variance = variance * (1.0 - gain)
    bits = 0
    if place >= 0:
        bits = 1 << place
    score_keep(new, j, score - cost, now, now, stretch, variance, bits, before)


@kernel
def score_note(m: Model, old: States, new: States, now: f64, pitch: i64, result: f64p) -> i64:
    """Takes a note; the states after it go to `new`, and `old` is cleared. The best position.

    `result`: the gain of the best state in nats, and the share of all states that are near it.
    """
    new.count[0] = 0
    top = FAR
    lead = 0
    for n in range(old.count[0]):
        i = old.active[n]
        if old.score[i] > top:
            top = old.score[i]
            lead = i
    for n in range(old.count[0]):
        i = old.active[n]
        base = old.score[i] - top
        if base < -BEAM:
            continue
        struck = old.struck[i]
        # of the chord itself, struck again, an ornament, or of none
        place = score_holds(m, i, pitch)
        delay = now - old.last[i]
        spread = math.log(1.0 + delay * delay / (SPREAD * SPREAD))
        kept = base - WRONG
        bits = struck
        last = old.last[i]
        if place >= 0:
            if (struck >> place) & 1 == 0:
                kept = base - min(spread, LATE)
                bits = struck | (1 << place)
                last = now
            elif m.flags[i] & TRILL != 0:
                kept = base - ORNAMENT
            else:
                kept = base - AGAIN - min(0.5 * spread, 3.0)
        elif place == -2:
            kept = base - (ORNAMENT if m.flags[i] & TRILL != 0 else NEAR)
        before = old.before[i]
        if i > 0:
            late = score_holds(m, i - 1, pitch)
            if late >= 0 and (before >> late) & 1 == 0:
                cost = LATER - MISSED + min(0.5 * spread, 3.0)
                if base - cost > kept:
                    kept = base - cost
                    before = before | (1 << late)
                    bits = struck
                    last = old.last[i]
        score_keep(new, i, kept, old.time[i], last, old.stretch[i], old.variance[i], bits, before)
        # on
        left = base - MISSED * score_unstruck(m, i, struck)
        gone = 0.0
        for j in range(i + 1, min(i + 1 + REACH, m.size)):
            if left - gone < -BEAM:
                break
            gap = m.seconds[j] - m.seconds[i]
            score_advance(m, old, new, i, j, gap, left - gone, now, pitch, struck if j == i + 1 else 0)
            gone += MISSED_CHORD + MISSED * min(f64(m.first[j + 1] - m.first[j]), 4.0)
        for k in range(m.first_jump[i], m.first_jump[i + 1]):
            score_advance(m, old, new, i, m.jump_to[k], m.jump_gap[k], left - JUMP_SIGN, now, pitch, 0)
    # jumps from the best state
    if new.count[0] < MOST:
        for k in range(m.first_holder[pitch], m.first_holder[pitch + 1]):
            j = m.holders[k]
            cost = JUMP_BAR if m.flags[j] & BAR != 0 else JUMP
            place = score_holds(m, j, pitch)
            wide = old.stretch[lead] * old.stretch[lead] * 0.02 + old.variance[lead]
            score_keep(new, j, -cost, now, now, old.stretch[lead], wide, 1 << place, 0)
    best = FAR
    found = lead
    for n in range(new.count[0]):
        j = new.active[n]
        if new.score[j] > best:
            best = new.score[j]
            found = j
    kept_count = 0
    near = 0.0
    total = 0.0
    for n in range(new.count[0]):
        j = new.active[n]
        under = new.score[j] - best
        if under < -BEAM:
            new.score[j] = FAR
        else:
            new.active[kept_count] = j
            kept_count += 1
            share = math.exp(under)
            total += share
            if abs(m.seconds[j] - m.seconds[found]) < 1.0:
                near += share
    new.count[0] = kept_count
    for n in range(old.count[0]):
        old.score[old.active[n]] = FAR
    old.count[0] = 0
    result[0] = best
    result[1] = near / total
    return found


class Place(NamedTuple):
    """Where the player is, as known at a time."""

    quarters: float  # from the score's start
    sureness: float  # 0 to 1
    tempo: float  # in quarters per second, 0 while waiting for the player
    next_onset: float  # quarters of the next chord; infinity after the last one
    waiting: bool = False


class ScoreFollower:
    """Aligns notes with a score as they come. `parts`: what is played, all parts by default."""

    def __init__(self, score: FollowedScore, parts: tuple[int, ...] | None = None) -> None:
        """Prepares the states. Raises UsageError: the parts have no notes."""
        self.score = score
        self.chords: Chords = score.chords(parts)
        self._quarters: list[float] = self.chords.quarters.tolist()
        self._seconds: list[float] = self.chords.seconds.tolist()
        self._flags: list[int] = self.chords.flags.tolist()
        size = len(self._quarters)
        self._model = self._compiled(size)
        self._old, self._new = self._states(size), self._states(size)
        self._result = np.zeros(2)
        self.reset()

    def _compiled(self, size: int) -> Model:
        chords = self.chords
        owner = np.repeat(np.arange(size), np.diff(chords.first))
        order = np.argsort(chords.pitches, kind="stable")
        counts = np.bincount(chords.pitches, minlength=128)
        seconds = chords.seconds
        rows: list[tuple[int, int, float]] = []
        for begin, end in self.score.jumps:
            source = int(np.searchsorted(chords.quarters, begin - 0.03)) - 1
            to = int(np.searchsorted(chords.quarters, end - 0.03))
            if 0 <= source and to < size:
                per = self._quarter_seconds(source)
                gap = (begin - self._quarters[source] + self._quarters[to] - end) * per
                rows.append((source, to, max(gap, 0.01)))
        rows.sort()
        sources = np.array([row[0] for row in rows], np.int64)
        return Model(
            np.ascontiguousarray(seconds),
            chords.first,
            chords.pitches,
            chords.flags,
            np.ascontiguousarray(owner[order], np.int64),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            sources,
            np.array([row[1] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.float64),
            np.searchsorted(sources, np.arange(size + 1)).astype(np.int64),
            size,
        )

    def _quarter_seconds(self, at: int) -> float:
        """Seconds of a quarter at a position, by the score's tempo."""
        bpm = next((bpm for where, bpm in reversed(self.score.tempo) if where <= self._quarters[at] + 1e-6), 120.0)
        return 60.0 / bpm

    @staticmethod
    def _states(size: int) -> States:
        floats = [np.zeros(size) for _ in range(4)]
        wholes = [np.zeros(size, np.int64) for _ in range(3)]
        return States(np.full(size, FAR), *floats, *wholes, np.zeros(1, np.int64))

    def reset(self, position: float = 0.0) -> None:
        """Expects the player at a position in quarters; other places stay possible."""
        for states in (self._old, self._new):
            states.score.fill(FAR)
            states.count[0] = 0
        self._start = min(int(np.searchsorted(self.chords.quarters, position - 0.03)), len(self._quarters) - 1)
        self._best, self._at, self._stretch = self._start, -math.inf, 1.0
        self._quality, self._near, self._begun = 0.0, 1.0, False
        self._position = max(position, 0.0)

    def note(self, at: float, pitch: int, velocity: float = 0.7) -> None:
        """Takes a note that begins. `at`: in seconds, not before that of the last one; `pitch`: 0 to 127."""
        if not (0 <= pitch <= 127 and math.isfinite(at)):
            return
        old, new = self._old, self._new
        if not self._begun:
            self._begin(at)
        found = int(score_note(self._model, old, new, at, pitch, self._result))
        gain, self._near = float(self._result[0]), float(self._result[1])
        self._old, self._new = new, old
        self._best = found
        self._at = float(new.time[found])
        self._stretch = float(new.stretch[found])
        self._quality += 0.15 * (math.exp(0.25 * min(gain, 0.0)) - self._quality)

    def _begin(self, at: float) -> None:
        """Puts the state before the first note at each start that is likely."""
        self._begun = True
        old, i = self._old, self._start
        # a position before the start that is due now would need a state of its own; the chord itself, not yet struck,
        # does the same
        old.active[0], old.count[0] = i, 1
        old.score[i], old.time[i], old.last[i] = 0.0, at, at
        old.stretch[i], old.variance[i] = 1.0, 0.25
        old.struck[i] = old.before[i] = 0

    @property
    def sureness(self) -> float:
        """How sure the place is, 0 to 1."""
        return self._near * min(1.0, 1.6 * self._quality)

    @property
    def begun(self) -> bool:
        """Whether a note has come."""
        return self._begun

    def place(self, seconds: float) -> Place:
        """Where the player is at a time, not before that of the last note, by the notes until now."""
        i = self._best
        if not self._begun:
            return Place(self._position, 0.0, 0.0, self._quarters[i], True)
        if i + 1 == len(self._quarters):
            per = self._quarter_seconds(i) * self._stretch
            return Place(self._quarters[i] + max(0.0, seconds - self._at) / per, self.sureness, 1.0 / per, math.inf)
        quarters = self._quarters[i + 1] - self._quarters[i]
        span = max(1e-3, (self._seconds[i + 1] - self._seconds[i]) * self._stretch)
        done = max(0.0, seconds - self._at) / span
        # it waits just before the next chord until that is played
        most = 1.0 - min(0.02 / quarters, 0.1)
        waiting = done > most
        return Place(
            self._quarters[i] + min(done, most) * quarters,
            self.sureness,
            0.0 if waiting else quarters / span,
            self._quarters[i + 1],
            waiting,
        )

    def at(self, seconds: float) -> tuple[float, float]:
        """Position in quarters, and its sureness, 0 to 1, at a time as known by the notes until now."""
        place = self.place(seconds)
        return place.quarters, place.sureness

    @property
    def quarter_seconds(self) -> float:
        """Seconds of a quarter as the player plays."""
        return self._quarter_seconds(self._best) * self._stretch

    @property
    def holding(self) -> bool:
        """Whether the player is at a fermata."""
        return bool(self._flags[self._best] & HOLD)
