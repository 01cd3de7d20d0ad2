"""Shaping of the next pitch's probabilities by the plan of the answer."""

from __future__ import annotations

from typing import NamedTuple

from antiphon.api.kernels import f64, f64p, i64, i64p, kernel
from antiphon_answer.memory import INTERVALS, WIDEST

PITCHES = 128
_MAX_LEAP = 12
"""Maximum leap in semitones."""
HINT, NEAR = 25.0, 4.0
"""Weights of the motif's own pitch, and of others within two semitones of it."""


@kernel
def answer_backward(intervals: f64p, last: f64p, allowed: f64p, steps: i64, ahead: f64p) -> None:
    """ahead[n, pitch] ← best weight of a melody's ending at `pitch` with n notes left, up to `steps`; 1 at best.

    intervals: `[12, INTERVALS]`, chances by pitch class.  last, allowed: `[PITCHES]`, how good a pitch is as the last
    one, and at all.
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
    """Pitch weights, `[PITCHES]`: at present, and with notes left, from `ahead[at]` on."""

    allowed: f64p
    ahead: f64p
    at: i64


@kernel
def answer_shape(chances: f64p, pitch: i64, hint: i64, s: PitchShape) -> f64:
    """Weights interval probabilities `[INTERVALS]` in place by the shape; their sum. hint: motif pitch or -1."""
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
def answer_forbid(intervals: i64p, matches: i64p, count: i64, most: i64, chances: f64p) -> None:
    """Sets to 0 the probabilities that would copy more than `most` intervals in a row from the memory."""
    for i in range(count - 1):
        if matches[i] >= most and intervals[i + 1] >= 0:
            chances[intervals[i + 1]] = 0.0


@kernel
def answer_draw(chances: f64p, at: f64, floor: f64) -> i64:
    """Random interval by cumulative probability `at`; those below `floor` are skipped. -1 without any."""
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
