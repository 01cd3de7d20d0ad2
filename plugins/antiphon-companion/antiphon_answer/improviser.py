"""Generation of an answer note by note: the memory combined with the prior, between given start and end."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f64, f64p, i64, i64p, kernel
from antiphon_answer.form import FormSource
from antiphon_answer.memory import INTERVALS, SYMBOLS, TIMES, WIDEST, Matches, Memory
from antiphon_answer.phrasing import AHEAD, NO_PITCH, NO_STEP, OPEN, Onset, Phraser
from antiphon_answer.prior import (
    INTERVAL_CLASSES,
    PLACES,
    SCALES,
    TIME_CLASSES,
    Prior,
    Roles,
    degree_of,
    interval_class,
    pitch_of,
    time_class,
)

# ---- Shaping of the next pitch's probabilities by the plan of the answer

PITCHES = 128
_MAX_LEAP = 12
"""Maximum leap in semitones."""
HINT, NEAR = 25.0, 4.0
"""Weights of the motif's pitch, and of pitches within two semitones of it."""


@kernel
def answer_ending_weights(intervals: f64p, last: f64p, allowed: f64p, steps: i64, ahead: f64p) -> None:
    """ahead[n, pitch] ← best weight of a melody's ending at `pitch` with n notes left, up to `steps`; 1 at best.

    intervals: `[12, INTERVALS]`, probabilities by pitch class.  last, allowed: `[PITCHES]`, weights of a pitch as the
    last one, and as any.
    """
    for pitch in range(PITCHES):
        ahead[pitch] = last[pitch]
    for n in range(1, steps + 1):
        most = 1e-300
        for pitch in range(PITCHES):
            chance = 0.0
            for semitones in range(-_MAX_LEAP, _MAX_LEAP + 1):
                to = pitch + semitones
                if to >= 0 and to < PITCHES:
                    own = intervals[(pitch % 12) * INTERVALS + semitones + WIDEST]
                    chance += own * allowed[to] * ahead[(n - 1) * PITCHES + to]
            ahead[n * PITCHES + pitch] = chance
            most = max(most, chance)
        for pitch in range(PITCHES):
            ahead[n * PITCHES + pitch] = ahead[n * PITCHES + pitch] / most


class PitchShape(NamedTuple):
    """Pitch weights, `[PITCHES]`: for the present note, and for the notes left, from `ahead[at]` on."""

    allowed: f64p
    ahead: f64p
    at: i64


@kernel
def answer_weight_intervals(chances: f64p, pitch: i64, hint: i64, s: PitchShape) -> f64:
    """Weights interval probabilities `[INTERVALS]` in place by the shape; returns their sum. hint: pitch or -1."""
    total = 0.0
    for interval in range(INTERVALS):
        semitones = interval - WIDEST
        to = pitch + semitones
        chance = 0.0
        if to >= 0 and to < PITCHES and abs(semitones) <= _MAX_LEAP:
            chance = chances[interval] * s.allowed[to] * s.ahead[s.at + to]
            if to == hint:
                chance = chance * HINT
            elif hint >= 0 and abs(to - hint) <= 2 and semitones != 0:
                chance = chance * NEAR
        chances[interval] = chance
        total += chance
    return total


@kernel
def answer_forbid_long_copies(intervals: i64p, matches: i64p, count: i64, most: i64, chances: f64p) -> None:
    """Sets to 0 the probabilities that would copy more than `most` intervals in a row from the memory."""
    for i in range(count - 1):
        if matches[i] >= most and intervals[i + 1] >= 0:
            chances[intervals[i + 1]] = 0.0


@kernel
def answer_draw(chances: f64p, at: f64, floor: f64) -> i64:
    """Draws an interval by cumulative probability `at`, skipping those below `floor`; returns -1 without any."""
    total = 0.0
    for n in range(INTERVALS):
        if chances[n] >= floor:
            total += chances[n]
    if total <= 0.0:
        return -1
    goal = at * total
    total = 0.0
    found = -1
    for n in range(INTERVALS):
        if chances[n] >= floor and chances[n] > 0.0:
            total += chances[n]
            found = n
            if total >= goal:
                break
    return found


OUT_OF_KEY, BAD_END = 0.003, 1e-9
"""Factors of notes outside the scale, and of a final note outside the chord."""
FLOOR = 0.01
"""Sampling floor as a share of the highest probability."""
FOLLOWED, ELSEWHERE, TRANSPOSED = 8.0, 0.05, 0.1
"""Weight of a memory row relative to the prior, and its factors at another bar position and from another pitch."""
CHORD_SIXTEENTHS = 0.35
"""Maximum sixteenths between notes of one chord."""
_PHRASE_END_DEGREES = (0, 1, 4, 6)
"""Degrees that may end a phrase before the last."""
_RANGE_MARGIN = 4
"""Semitones by which an answer may exceed the range of the last notes."""
_HEAT = 0.88
"""Exponent of a continuation's pitch probabilities. Without it they repeat and step more than melodies do."""
_DIGITS = 6
"""Decimal digits of times. Further digits depend on the block size."""
_RAISED, _RARE = ((8, 9), (10, 11)), 0.05
"""Degrees of minor with their replacements in dorian and harmonic minor, and the weight of the rarer of each pair."""
_RECENT = 64
_LIFT, _COMPASS = 6.0, 10.0
"""Maximum semitones by which new bars of a continuation are raised, and the width of their range about its centre."""
_RUN = 9
"""Maximum notes of a copied run in new bars, where `originality` sets none."""
_GOOD_END = 0.3
"""Minimum weight of a returning pitch as the last."""


class DrawConstants(NamedTuple):
    """Constants for drawing the notes of an answer.

    `runs`: range of a copied run's length as a share of `originality`. Of the final note, `doubt`: divisor of the keys'
    log probabilities; `firmness`: exponent of its weight; `triad`: weights of a key's tonic, third and fifth.
    """

    runs: tuple[float, float]
    doubt: float
    firmness: float
    triad: tuple[float, float, float]


TURN = DrawConstants((0.25, 0.6), 1.0, 48.0, (1.0, 0.95, 0.9))
CONTINUATION = DrawConstants((0.5, 1.0), 0.5, 4.0, (1.0, 0.8, 0.95))


class PlannedNote(NamedTuple):
    """A note of an answer: onset and length in sixteenths, MIDI number, velocity above 0 to 1; late: after the slot."""

    slot: int
    length: float
    pitch: int
    velocity: float
    late: float = 0.0

    @property
    def at(self) -> float:
        return self.slot + self.late


@dataclass
class AnswerSettings:
    """Settings of an answer; see the parameters of `Answer`.  bar: length of a bar in sixteenths."""

    originality: int = 0
    density: float = 0.5
    register: int = 0
    forget: float = 0.0
    seed: int = 1
    bar: int = 16


class Improviser:
    """Improviser with its memory and current answer. Allocates nothing after construction.

    `memory`: all notes, those of a corpus first; `wishes`: settings, read with each note; `key`: 0 to 23, estimated, or
    `fixed` if not -1; `slot`: onset of the last learnt note, -1 for none; `planning`: an answer is being drawn.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.memory = Memory()
        self.wishes = AnswerSettings()
        self.fixed = -1
        self._kept, self._copied, self._drawn = 0, Matches(), 0
        self._history, self._going = Matches(), Matches()
        self._sounds, self._roles = np.zeros(12), Roles()
        self._chances, self._pitches = np.zeros(SYMBOLS), np.zeros(INTERVALS)
        self._open, self._allowed = np.ones(PITCHES), np.ones(PITCHES)
        self._ahead = np.ones((AHEAD + 1, PITCHES))
        self._uniform = np.full(INTERVALS, 1.0 / INTERVALS), np.full(TIMES, 1.0 / TIMES)
        self._turned = np.zeros((12, INTERVALS))
        self._mean_intervals = prior.intervals.mean(axis=2)
        self._present = np.zeros(12)
        self._ages = np.arange(len(self.memory.weights), dtype=np.float64)
        self._phraser = Phraser(self.memory, prior.rhythms)
        self.slot = self.key = 0
        self._bar, self._constants, self._settled, self._lift = 0, CONTINUATION, False, 0.0
        self._most = 1
        self._now = 60
        # kernels are compiled here, and not when the first note comes
        self.memory.follow(0, 0, self._history)
        self._predict(self._history, 0, 60, 0, 4)
        self._aim()
        self._draw_interval(60, self._ahead, 0, 0.5)
        self.clear()

    def keep(self) -> None:
        """Keeps all notes learnt so far as a permanent corpus."""
        self._kept = self.memory.count
        self.clear()

    def clear(self) -> None:
        """Clears the played notes, and the answer."""
        self.memory.clear(self._kept)
        self._history.clear()
        self._sounds.fill(0.0)
        self._roles.clear()
        self.slot, self.key, self.planning, self.plans = -1, max(0, self.fixed), False, 0
        self._pitch, self._interval, self._time = 60, 0, 4

    def learn(
        self, slot: int, pitch: int, velocity: float, first: bool = False, answered: int = 0, late: float = 0.0
    ) -> None:
        """Learns a note; slots, in sixteenths, never decrease. first: the note starts a piece.

        answered: sixteenths since the previous note in which the player listened; they are not a rest.  late: delay of
        the note after its slot.
        """
        first = first or self.slot < 0
        time = max(1, slot - self.slot - answered) if answered else slot - self.slot
        before = self.memory.count
        self.memory.add(pitch, time, slot % self.wishes.bar, velocity, self._history, first)
        if self.memory.count <= before:
            self._kept = max(0, self._kept - (before - self.memory.count + 1))
            self.planning = False
        if not first:
            self._interval, self._time = pitch - self._pitch, time
        bars = slot // self.wishes.bar - self.slot // self.wishes.bar - round(answered / self.wishes.bar)
        self._bar += 1 if first else max(int(answered > 0), bars)
        self.memory.bars[self.memory.count - 1], self.memory.late[self.memory.count - 1] = (
            self._bar,
            round(late, _DIGITS),
        )
        self._roles.learn(pitch, time, first=first or answered > 0)
        self.slot, self._pitch = slot, pitch

    def set_length(self, pitch: int, sixteenths: float) -> None:
        """Sets the length of the newest note of a pitch."""
        memory = self.memory
        for row in range(memory.count - 1, max(self._kept, memory.count - 16) - 1, -1):
            if memory.pitches[row] == pitch:
                memory.lengths[row] = round(max(0.25, min(64.0, sixteenths)), _DIGITS)
                break
        self._sounds *= 0.98
        self._sounds[pitch % 12] += min(8.0, sixteenths)
        self.estimate(self._sounds)

    def estimate(self, sounds: NDArray[np.float64]) -> None:
        """Estimates the key, unless it is fixed, by the sixteenths for which each pitch class sounded (`[12]`)."""
        self.key = self.fixed if self.fixed >= 0 else self.prior.key(sounds, self._roles.current_counts())

    def surprise(self, slot: int, pitch: int, *, prior: bool = True, memory: bool = True) -> float:
        """Returns the surprise in bits of a possible next note.

        prior: whether to use the prior, else all notes are equally likely; memory: whether to use the played notes.
        """
        self._predict(self._history, self.slot, self._pitch, self._interval, self._time, prior=prior, memory=memory)
        interval = min(WIDEST, max(-WIDEST, pitch - self._pitch)) + WIDEST
        time = min(TIMES - 1, max(0, slot - self.slot))
        return -math.log2(self._chances[interval * TIMES + time])

    def begin(self, start: int, end: int, latest: int, *, turn: bool, returns: bool = True) -> bool:
        """Begins an answer; returns whether there is material for one.

        It lasts from slot `start` to before `end`, usually a bar line; its first note begins at `latest` or before.
        turn: as for `Phraser.begin`.  returns: whether the player's bars may return in it.
        """
        memory = self.memory
        if memory.count < 2 or self.slot < 0:
            self.planning = False
            return False
        self.planning = True
        self.plans += 1
        self._random = next_splitmix_number(
            self.wishes.seed * 0x9E3779B97F4A7C15 + self.plans * 0xD1B54A32D192ED03 + start
        )
        wishes, self._constants = self.wishes, TURN if turn else CONTINUATION
        span = start, end, max(start, latest)
        empty = max(0, start // wishes.bar - self.slot // wishes.bar - 1)
        source = FormSource(empty, self._kept, wishes.forget) if returns else None
        self._phraser.begin(span, wishes.bar, self.key, wishes.density, self._chance, turn=turn, source=source)
        self._going.copy(self._history)
        self._at, self._now, self._step, self._wait = self.slot, self._pitch, self._interval, self._time
        self._copied.clear()
        self._run = self._drawn = 0
        self._settled = False
        self._lift = 0.0 if turn else _LIFT * self._chance()
        self._limit_run()
        self._set_pitch_range()
        self._aim()
        return True

    def draw(self) -> PlannedNote | None:
        """Draws the next note of the answer; None at its end."""
        onset = self._phraser.take() if self.planning else None
        if onset is None:
            self.planning = False
            return None
        time = min(TIMES - 1, onset.slot - self._at)
        self._weigh(onset.slot)
        self._predict(self._going, self._at, self._now, self._step, self._wait)
        np.copyto(self._pitches, self._chances.reshape(INTERVALS, TIMES)[:, time])
        if self._constants is CONTINUATION and not onset.ends:
            np.power(self._pitches, _HEAT, out=self._pitches)
        if onset.ends:
            # where it ends counts for more than how it comes there
            np.sqrt(self._pitches, out=self._pitches)
        hint = -1
        if onset.step != NO_STEP:
            key = self._phraser.key
            hint = pitch_of(onset.step + (0 if onset.fixed else degree_of(self._now, key)), key)
        aims, row = (self._open, 0) if onset.ends == OPEN else (self._ahead, self._phraser.notes_ahead)
        interval = self._again(onset)
        if interval < 0:
            interval = self._draw_interval(hint, aims, row, self._chance())
        self._at = onset.slot
        self._step, self._wait = interval - WIDEST, time
        self._now = min(PITCHES - 1, max(0, self._now + self._step))
        self.memory.follow(interval, time, self._going)
        if self._drawn:
            self.memory.follow(interval, time, self._copied)
            self._limit_run()
        else:
            # a run of the answer's own begins with its first note
            self._copied.intervals.fill(0)
        self._drawn += 1
        if self._constants is TURN and not self._settled and self._phraser.notes_ahead < AHEAD:
            # the last notes of the player's turn have ended since the answer began
            self._settled = True
            self._set_pitch_range()
            self._aim()
        self._phraser.sounds(onset, self._now)
        return PlannedNote(onset.slot, onset.length, self._now, onset.velocity, onset.late)

    def set_sounding(self, pitches: Iterable[int]) -> None:
        """Sets the sounding notes, which weight the rows of the memory until the next call."""
        self._present.fill(0.0)
        for pitch in pitches:
            self._present[pitch % 12] = 1.0

    def _weigh(self, slot: int) -> None:
        """Weights rows by age, by the sounding notes, and by bar position, for a note at a slot."""
        memory = self.memory
        rows = memory.weights[: memory.count]
        rows.fill(1.0)
        if self.wishes.forget > 0.0:
            # some eight notes a bar
            np.multiply(self._ages[: memory.count], math.log(2.0) / (8.0 * self.wishes.forget), out=rows)
            np.subtract(rows, rows[-1], out=rows)
            np.exp(rows, out=rows)
        rows *= FOLLOWED
        rows[memory.places[: memory.count] != slot % self.wishes.bar] *= ELSEWHERE
        rows[1:][memory.pitches[: memory.count - 1] % 12 != self._now % 12] *= TRANSPOSED
        if self._present.any():
            rows *= 0.2 + 4.0 * self._present[memory.pitches[: memory.count] % 12]

    def _predict(
        self, matches: Matches, slot: int, pitch: int, step: int, wait: int, *, prior: bool = True, memory: bool = True
    ) -> None:
        mode, tonic = self.key // 12, self.key % 12
        intervals, times = self._uniform
        if prior:
            intervals = self.prior.intervals[mode, (pitch - tonic) % 12, interval_class(step) % INTERVAL_CLASSES]
            times = self.prior.times[slot % self.wishes.bar % PLACES, time_class(wait) % TIME_CLASSES]
        self.memory.predict(matches, intervals, times, self._chances, memory=memory)

    def _limit_run(self) -> None:
        """Draws the maximum length of the next copied run, once one has ended."""
        run = int(self._copied.intervals[: self.memory.count].max())
        if run < self._run or not self._drawn:
            most = (self.wishes.originality or _RUN) - 1
            shortest, longest = self._constants.runs
            self._most = max(1, round(most * (shortest + (longest - shortest) * self._chance())))
        self._run = run

    def _again(self, onset: Onset) -> int:
        """Returns the interval to the returning pitch; -1 without one, or if `originality` or the ending forbids it."""
        to = onset.pitch + self.wishes.register
        interval = to - self._now + WIDEST
        if onset.pitch == NO_PITCH or not (0 <= to < PITCHES and 0 <= interval < INTERVALS):
            return -1
        if self.wishes.register % 12 or (onset.ends and self._ahead[0, to] < _GOOD_END):
            return -1
        if self.wishes.originality:
            rows = self._copied.intervals[: self.memory.count - 1] >= self._most
            if np.any(rows & (self.memory.intervals[1 : self.memory.count] == interval)):
                return -1
        return interval

    def _aim(self) -> None:
        """Computes the weights of pitches on the way to the last note of the phrase."""
        np.copyto(self._turned, self._mean_intervals[self.key // 12, (np.arange(12) - self.key) % 12])
        answer_ending_weights(self._turned, self._ahead[0], self._allowed, AHEAD, self._ahead)

    def _draw_interval(self, hint: int, aims: NDArray[np.float64], row: int, at: float) -> int:
        """Draws one of the allowed intervals; without any, returns one towards the nearest good pitch."""
        memory, chances = self.memory, self._pitches
        answer_forbid_long_copies(memory.intervals, self._copied.intervals, memory.count, self._most, chances)
        total = answer_weight_intervals(chances, self._now, hint, PitchShape(self._allowed, aims, row * PITCHES))
        found = answer_draw(chances, at, FLOOR * float(chances.max())) if total > 0.0 else -1
        if found >= 0:
            return found
        good = self._allowed * (aims[row] if aims.ndim > 1 else aims)
        return WIDEST + max(range(-7, 8), key=lambda n: (good[(self._now + n) % PITCHES] > 1e-3, -abs(n)))

    def _set_pitch_range(self) -> None:
        """Sets the allowed pitches, and the weights of those that end the answer or a phrase."""
        memory = self.memory
        recent = memory.pitches[max(0, memory.count - _RECENT) : memory.count]
        up = self.wishes.register
        low, high = int(recent.min()) - _RANGE_MARGIN + up, int(recent.max()) + _RANGE_MARGIN + up
        if up:
            # on the way there all pitches between are allowed
            low, high = min(low, self._pitch), max(high, self._pitch)
        centre = float(recent.mean()) + up + self._lift
        high += round(self._lift)
        scale, tonic = SCALES[self.key // 12], self.key % 12
        inner = [1.0 if degree in scale else OUT_OF_KEY for degree in range(12)]
        for natural, raised in _RAISED if self.key > 11 else ():
            # the sixth and the seventh of minor are the player's
            low_one, high_one = (self._sounds[(tonic + degree) % 12] for degree in (natural, raised))
            if high_one > 0.5 * low_one:
                inner[raised], inner[natural] = 1.0, 1.0 if low_one > 0.5 * high_one else _RARE
        fits = self.prior.fits(self._sounds, self._roles.current_counts()) / self._constants.doubt
        if self.fixed >= 0:
            fits[:] = -np.inf
            fits[self.key] = 0.0
        ends = np.zeros(12)
        for key, likely in enumerate(np.exp(fits - fits.max()).tolist()):
            for degree, good in zip((0, 4 - key // 12, 7), self._constants.triad, strict=True):
                ends[(key + degree) % 12] += good * likely
        ends = np.maximum(BAD_END, (ends / ends.max()) ** self._constants.firmness)
        for pitch in range(PITCHES):
            degree = (pitch - tonic) % 12
            inside = inner[degree]
            apart = 0.0 if self._constants is TURN else (pitch - centre) / _COMPASS
            self._allowed[pitch] = inside * math.exp(-0.5 * apart * apart) if low <= pitch <= high else 0.0
            self._ahead[0, pitch] = ends[pitch % 12]
            self._open[pitch] = 1.0 if degree in scale and scale.index(degree) in _PHRASE_END_DEGREES else BAD_END

    def _chance(self) -> float:
        """Next random number, 0 to below 1."""
        self._random = next_splitmix_number(self._random)
        return (self._random >> 11) / float(1 << 53)


def next_splitmix_number(state: int) -> int:
    """The next of a sequence of 64-bit numbers (splitmix64)."""
    state = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)
