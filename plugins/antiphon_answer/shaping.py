"""What is wanted of the next note of an answer, laid over its chances."""

from __future__ import annotations

from typing import NamedTuple

from antiphon.api.kernels import f64, f64p, i64, i64p, kernel
from antiphon_answer.memory import INTERVALS, SYMBOLS, TIMES, WIDEST

REACH = 32
"""Sixteenths before the end from which the end is aimed at."""
PITCHES = 128
_WIDE = 12
"""Semitones beyond which an answer does not leap."""
_BEAT = 4
"""Sixteenths before the end in which only good last notes begin, and those seldom."""
_SHORT = 0.1


@kernel
def answer_backward(
    intervals: f64p, times: f64p, last: f64p, allowed: f64p, place: i64, bar: i64, ahead: f64p, moved: f64p
) -> None:
    """ahead[h, pitch] ← the chance that a melody that is at `pitch` h sixteenths before the end ends well.

    intervals: `[12, INTERVALS]` by pitch class.  times: `[16, TIMES]` by place.  last, allowed: `[PITCHES]`, how good
    a pitch is as the last one, and at all.  place: of the end, in a bar of `bar` sixteenths.
    """
    for h in range(1, REACH + 1):
        at = (place - h) % bar
        row = at % 16
        short = _SHORT if h < _BEAT else 1.0
        for pitch in range(PITCHES):
            chance = 0.0
            for time in range(1, TIMES):
                if time < h:
                    chance += times[row * TIMES + time] * moved[(h - time) * PITCHES + pitch]
                else:
                    chance += times[row * TIMES + time] * last[pitch] * short
            ahead[h * PITCHES + pitch] = chance
        for pitch in range(PITCHES):
            mean = 0.0
            for semitones in range(-_WIDE, _WIDE + 1):
                to = pitch + semitones
                if to >= 0 and to < PITCHES:
                    mean += (
                        intervals[(pitch % 12) * INTERVALS + semitones + WIDEST] * allowed[to] * ahead[h * PITCHES + to]
                    )
            moved[h * PITCHES + pitch] = mean


class ChanceShape(NamedTuple):
    """What the notes before and the bar make of the chances."""

    allowed: f64p
    by_time: f64p
    last: f64p
    ahead: f64p


@kernel
def answer_shape(chances: f64p, pitch: i64, left: i64, low: i64, high: i64, s: ChanceShape) -> f64:
    """chances ← multiplied by what is wanted; their sum. left: sixteenths to the end.

    low, high: of the times that are possible.  allowed, last, ahead: as for `answer_backward`.
    """
    total = 0.0
    short = _SHORT if left < _BEAT else 1.0
    for interval in range(INTERVALS):
        semitones = interval - WIDEST
        to = pitch + semitones
        inside = to >= 0 and to < PITCHES and abs(semitones) <= _WIDE
        for time in range(TIMES):
            place = interval * TIMES + time
            chance = 0.0
            if inside and time >= low and time <= high and chances[place] > 0.0:
                chance = chances[place] * s.by_time[time]
                if time >= left:
                    chance = chance * s.last[pitch] * short
                else:
                    chance = chance * s.allowed[to]
                    if left - time <= _BEAT:
                        chance = chance * s.last[to]
                    if left - time <= REACH:
                        chance = chance * s.ahead[(left - time) * PITCHES + to]
                    else:
                        chance = chance * s.ahead[REACH * PITCHES + to]
            chances[place] = chance
            total += chance
    return total


@kernel
def answer_forbid(joint: i64p, matches: i64p, count: i64, most: i64, chances: f64p) -> None:
    """chances ← 0 of what would continue a run of `most` symbols as the memory has it."""
    for i in range(count - 1):
        if matches[i] >= most and joint[i + 1] >= 0:
            chances[joint[i + 1]] = 0.0


@kernel
def answer_draw(chances: f64p, at: f64, floor: f64) -> i64:
    """The symbol at which the running sum passes `at`; chances below `floor` are passed over. -1 where none is left."""
    total = 0.0
    for n in range(SYMBOLS):
        if chances[n] >= floor:
            total += chances[n]
    if total <= 0.0:
        return -1
    goal = at * total
    total = 0.0
    found = -1
    for n in range(SYMBOLS):
        if chances[n] >= floor and chances[n] > 0.0:
            total += chances[n]
            found = n
            if total >= goal:
                break
    return found
