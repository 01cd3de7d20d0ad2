"""Note boundaries: a hidden Markov model over notes, decoded with a fixed lag.

A note has an attack, in which any pitch near the note is likely, and a sustain, in which pitch keeps to the note but
for a few hops; between notes there is a rest state. So vibrato and scoops cost less than a new note would, and a slur
costs more than a new note. States and idea follow the note model of Tony (Mauch et al., 2015); here the rise of the
spectrum's level sets the cost of beginning a note, also of repeating one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.signal import HIGHEST, LOWEST
from antiphon.api.kernels import f64, f64p, i64, i64p, kernel

I64 = NDArray[np.int64]
PER_NOTE = 3
"""Places per semitone: singers are not in tune with 440 Hz."""
PLACES = (HIGHEST - LOWEST + 1) * PER_NOTE
REST = 2 * PLACES
STATES = REST + 1
RANGE = float(HIGHEST - LOWEST + 1)


@dataclass(frozen=True, slots=True)
class Weights:
    """Parameters of the model: probabilities a hop, and semitones."""

    attack: float = 1.0  # standard deviation of pitch in an attack, semitones
    sustain: float = 0.44  # the same in a sustain
    astray: float = 0.5  # share of an attack's pitches that may be anywhere
    stray: float = 0.01  # share of a sustain's
    unvoiced_attack: float = 0.35  # probability of no pitch in an attack
    unvoiced_sustain: float = 0.06
    unvoiced_rest: float = 0.85
    begin: float = 1e-6  # that a note begins, times e^(rise_weight * (rise - rise_middle)) for a rise in dB
    rise_weight: float = 4.0
    rise_middle: float = 2.5
    rise_limit: float = 24.0  # upper bound of the exponent
    rise_least: float = 11.0  # lower bound of the exponent, its sign reversed
    end: float = 0.01  # that a note ends
    settle: float = 0.065  # that an attack becomes a sustain

    def table(self) -> F64:
        """The parameters in the form and order that `hum_notes` takes."""
        return np.array(
            [
                1.0 / self.attack, 1.0 / self.sustain, self.stray / RANGE,
                math.log(self.unvoiced_attack), math.log(self.unvoiced_sustain), math.log(self.unvoiced_rest),
                math.log(1 - self.unvoiced_attack), math.log(1 - self.unvoiced_sustain),
                math.log((1 - self.unvoiced_rest) / RANGE),
                math.log(self.begin), self.rise_weight, self.rise_middle, self.rise_limit,
                math.log(self.end), math.log(self.settle), math.log(1 - self.settle), 1.0 - self.stray,
                1.0 - self.astray, self.astray / RANGE, self.rise_least,
            ]
        )  # fmt: skip


class NoteGrid(NamedTuple):
    """Number of places, places per semitone, and the MIDI number of the lowest place's semitone."""

    places: i64
    per_note: i64
    lowest: f64


@kernel
def hum_notes(pitch: f64, rise: f64, best: f64p, next_best: f64p, back: i64p, w: f64p, s: NoteGrid) -> None:
    """One Viterbi step over `[2 * places + 1]` states: the attack of each place, the sustain of each place, rest.

    From log probabilities `best` to `next_best`, and the predecessor of each state, `back`; for a `pitch` (MIDI number,
    0 for none) and the onset flux `rise`, dB. `w`: `Weights.table`.
    """
    places = s.places
    rest = 2 * places
    top = best[rest]
    top_at = rest
    for g in range(places):
        if best[places + g] > top:
            top = best[places + g]
            top_at = places + g
    extra = w[10] * (rise - w[11])
    extra = w[12] if extra > w[12] else extra
    extra = -w[19] if extra < -w[19] else extra
    begin = w[9] + extra
    enter = top + begin
    silent = w[5]
    if pitch > 0.0:
        silent = w[8]
    best_ending = w[13] + top
    value = best[rest]
    origin = rest
    if best_ending > value and top_at != rest:
        value = best_ending
        origin = top_at
    next_best[rest] = value + silent
    back[rest] = origin
    for g in range(places):
        seen_attack = w[3]
        seen_sustain = w[4]
        if pitch > 0.0:
            off = pitch - (s.lowest - 0.5 + (f64(g) + 0.5) / f64(s.per_note))
            a = off * w[0]
            b = off * w[1]
            density = w[17] * 0.39894 * w[0] * math.exp(-0.5 * a * a) + w[18]
            seen_attack = w[6] + math.log(density)
            density = w[16] * 0.39894 * w[1] * math.exp(-0.5 * b * b) + w[2]
            seen_sustain = w[7] + math.log(density)
        value = best[g] + w[15]
        origin = g
        if enter > value:
            value = enter
            origin = top_at
        next_best[g] = value + seen_attack
        back[g] = origin
        value = best[places + g]
        origin = places + g
        if best[g] + w[14] > value:
            value = best[g] + w[14]
            origin = g
        next_best[places + g] = value + seen_sustain
        back[places + g] = origin
    top = next_best[rest]
    for g in range(2 * places):
        top = next_best[g] if next_best[g] > top else top
    for g in range(2 * places + 1):
        next_best[g] = next_best[g] - top


@kernel
def hum_path(best: f64p, back: i64p, states: i64, row: i64, rows: i64, path: i64p, count: i64, places: i64) -> None:
    """path ← the best path's newest `count` hops, oldest first.

    A value is the place, plus 1000 in the attack, plus 2000 at a note's first hop; -1 in a rest. `best`: `[states]` log
    probabilities of the newest hop; `back`: `[rows, states]` ring of predecessors, `row` the newest.
    """
    at = i64(0)
    for b in range(states):
        at = b if best[b] > best[at] else at
    r = row
    for n in range(count):
        before = back[r * states + at]
        mark = at if at < places else at - places
        if at < places:
            mark = mark + 1000
            mark = mark if before == at else mark + 2000 - 1000
        mark = -1 if at == 2 * places else mark
        path[count - 1 - n] = mark
        at = before
        r = rows - 1 if r == 0 else r - 1


GRID = NoteGrid(PLACES, PER_NOTE, float(LOWEST))


class Segmenter:
    """Fixed-lag Viterbi path of the newest `lag + 1` hops; the oldest value is final.

    `lag`: hops by which the final value is late; `path`: `[lag + 1]`, oldest first; see `hum_path`.
    """

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self._rows = lag + 1
        self._weights = Weights().table()
        self._best: list[F64] = [np.zeros(STATES, np.float64), np.zeros(STATES, np.float64)]
        self._back: I64 = np.zeros((self._rows, STATES), np.int64)
        self._backs = [self._back[n] for n in range(self._rows)]
        self.path: I64 = np.zeros(lag + 1, np.int64)
        self.reset()

    def reset(self) -> None:
        """Clears the past and sets the state to rest."""
        for best in self._best:
            best.fill(-50.0)
            best[REST] = 0.0
        self._back.fill(REST)
        self.path.fill(-1)
        self._row = 0

    def step(self, pitch: float, rise: float) -> None:
        """Processes a hop's MIDI number, 0 for none, and its onset flux in dB, and updates `path`."""
        old, new = self._best
        self._row = row = (self._row + 1) % self._rows
        hum_notes(pitch, rise, old, new, self._backs[row], self._weights, GRID)
        self._best.reverse()
        hum_path(new, self._back, STATES, row, self._rows, self.path, self.lag + 1, PLACES)
