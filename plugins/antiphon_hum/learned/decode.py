"""From the network's answers to notes: hop by hop for live use, or by Viterbi over a whole file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from antiphon_hum.learned import spec

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Found = tuple[float, float, int]
"""Start and end in seconds, MIDI number."""
SECONDS = spec.HOP / spec.RATE


@dataclass(frozen=True, slots=True)
class Live:
    """Thresholds of the live decoder: probabilities, and times in hops.

    Attributes:
        onset: Probability of an onset from which on a note begins.
        note: Probability of a note from which on one can begin.
        wait: Hops from the onset to the earliest decision on pitch.
        sure: Confidence of a pitch that is decided on at once, if it moves by less than `settled`.
        settled: Semitones a hop.
        patience: Hops after which pitch is decided on with confidence `guess`.
        guess: See `patience`.
        again: Hops to wait where the pitch is still that of the previous note, whose sound overlaps the next one's
            start.
        recent: Hops for which the previous note counts for `again`.
        apart: Least hops between two onsets.
        quiet: Hops below `off` (`young` at first) after which a note ends.
        off: Probability of a note below which a note may end.
        young: The same within `recent` hops of its start.
        moved: Hops on another key, or in a rest with a note as likely as `late`, after which a new note begins.
        late: See `moved`.
    """

    onset: float = 0.25
    note: float = 0.3
    wait: int = 1
    sure: float = 0.8
    settled: float = 0.08
    patience: int = 10
    guess: float = 0.4
    again: int = 4
    recent: int = 15
    apart: int = 7
    quiet: int = 3
    off: float = 0.3
    young: float = 0.08
    shift_odds: int = 5
    late: float = 0.6


class NoteDecoder:
    """Turns answers of the network into notes, one hop after another.

    Attributes:
        ended: After `step`: whether the sounding note ends.
        begun: After `step`: pitch of the note that begins, a MIDI number, or None.
        began: Hops ago that it began.
        number: MIDI number of the sounding note, -1 for none.
    """

    def __init__(self, live: Live, up: float = 0.0) -> None:
        """Starts without a note.

        Args:
            live: Thresholds.
            up: Semitones to add to the network's pitches, where its rate is not exactly `spec.RATE`.
        """
        self.live, self._up = live, up
        self.reset()

    def reset(self) -> None:
        """Clears the past."""
        self.number = -1
        self.begun: float | None = None
        self.ended = False
        self.began = 0
        self._since = self._rested = self._age = 99
        self._onset_age = -1
        self._quiet = self._away = 0
        self._before = -1
        self._key = 0.0
        self._armed = True

    def step(self, a: F32, patience: int | None = None, odds: float = 0.0) -> None:
        """Takes the answer of a hop.

        Args:
            a: Answer `[ANSWER]`; see `spec`.
            patience: Hops, in place of the one in `live`.
            odds: Added to the log odds of an onset and of a note.
        """
        live = self.live
        most = live.patience if patience is None else patience
        self.begun, self.ended = None, False
        self._since += 1
        self._age += 1
        self._rested += 1
        onset, note = shift_odds(float(a[spec.ONSET]), odds), shift_odds(float(a[spec.NOTE]), odds)
        sure = float(a[spec.KEY_SURE])
        key = spec.pitch(float(a[spec.KEY])) + self._up
        moving, self._key = abs(key - self._key), key
        if onset < 0.5 * live.onset:
            self._armed = True
        if onset >= live.onset and self._armed and self._since >= live.apart:
            self._onset_age, self._armed, self._since = 0, False, 0
        elif self._onset_age >= 0:
            self._onset_age += 1
        if self._onset_age >= min(live.wait, most) and note >= live.note:
            last = self._before if self._rested < live.recent else self.number
            settled = sure >= live.sure and moving <= live.settled
            if (settled and (round(key) != last or self._onset_age >= min(live.again, most))) or (
                self._onset_age >= most and sure >= live.guess
            ):
                self._begin(key, self._onset_age)
        if self._onset_age >= max(live.patience, most):
            self._onset_age = -1
        if self.begun is not None:
            return
        if self.number < 0:
            # a note whose onset was not recognised
            steady = note >= live.late and sure >= live.sure and moving <= live.settled
            steady = steady and (self._rested >= live.recent or round(key) != self._before)
            self._away = self._away + 1 if steady else 0
            if self._away >= live.shift_odds and self._onset_age < 0:
                self._begin(key, 0)
            return
        off = live.young if self._age < live.recent else live.off
        self._quiet = self._quiet + 1 if note < off else 0
        away = note >= live.note and abs(key - self.number) > 0.6 and sure >= live.sure
        self._away = self._away + 1 if away else 0
        if self._quiet >= live.quiet:
            self._before, self._rested = self.number, 0
            self.ended, self.number = True, -1
        elif self._away >= live.shift_odds and self._onset_age < 0:
            self._begin(key, 0)

    def _begin(self, key: float, ago: int) -> None:
        self.ended = self.number >= 0
        self.begun = key
        self.number = round(key)
        self.began = self._since = ago
        self._age = 0
        self._onset_age = -1
        self._quiet = self._away = 0
        self._rested = 99

    def all(self, answers: F32) -> list[Found]:
        """The notes of answers `[hops, ANSWER]`, timed from the start of the sound; starts are at the onset."""
        found: list[Found] = []
        start, number = -1.0, -1
        for hop, a in enumerate(answers):
            self.step(a)
            now = (hop + 1 - spec.NEAR) * SECONDS
            if self.ended and number >= 0:
                found.append((start, max(now, start + SECONDS), number))
                number = -1
            if self.begun is not None:
                start, number = now - self.began * SECONDS, round(self.begun)
        if number >= 0:
            found.append((start, len(answers) * SECONDS, number))
        return found


def shift_odds(chance: float, odds: float) -> float:
    """The probability `chance` with `odds` added to its log odds."""
    return chance if odds == 0.0 else chance / (chance + (1.0 - chance) * math.exp(-odds) + 1e-9)


@dataclass(frozen=True, slots=True)
class PathCosts:
    """Weights of the path through a file.

    Attributes:
        onset: Probability of an onset at which beginning a note costs nothing besides `begin`.
        begin: Fixed cost of beginning a note.
        key: Weight of the log probability of the key.
        note: Weight of the log odds of a note.
        bias: Added to the weighted log odds of a note.
        least: Least hops of a note.
    """

    onset: float = 0.2
    begin: float = 1.2
    key: float = 0.4
    note: float = 1.0
    bias: float = 0.0
    least: int = 6


def decode_file(answers: F32, how: PathCosts | None = None) -> list[Found]:
    """The likeliest notes of a whole sound, by Viterbi. States: rest, and each key twice, so that it can be repeated.

    Args:
        answers: `[hops, ANSWER]`.
        how: Weights; None for the defaults.
    """
    how = how or PathCosts()
    p = np.clip(answers.astype(np.float64), 1e-4, 1.0 - 1e-4)
    hops, keys = len(p), spec.SEMITONES
    odds = how.note * (np.log(p[:, spec.FAR_NOTE]) - np.log(1.0 - p[:, spec.FAR_NOTE])) + how.bias
    key = how.key * (np.log(np.clip(p[:, spec.FAR_KEYS :], 1e-3, 1.0)))
    onset = p[:, spec.FAR_ONSET]
    begin = np.log(onset / (1.0 - onset)) - np.log(how.onset / (1.0 - how.onset)) - how.begin
    best = np.full(2 * keys + 1, -1e9)
    best[-1] = 0.0
    back = np.zeros((hops, 2 * keys + 1), np.int32)
    own = np.arange(2 * keys + 1)
    for n in range(hops):
        top = int(best.argmax())
        other = best.copy()
        other[top] = -1e18
        second = int(other.argmax())
        come = np.where(own == top, second, top)
        entering = best[come] + begin[n]
        # entering a rest has no cost
        entering[-1] = best[come[-1]]
        better = entering > best
        back[n] = np.where(better, come, own)
        best = np.where(better, entering, best)
        best[:keys] += odds[n] + key[n]
        best[keys:-1] += odds[n] + key[n]
    path = np.empty(hops, np.int32)
    at = int(best.argmax())
    for n in range(hops - 1, -1, -1):
        path[n] = at
        at = int(back[n, at])
    return _notes(path, keys, how.least)


def _notes(path: NDArray[np.int32], keys: int, least: int) -> list[Found]:
    edges = np.concatenate([[0], np.flatnonzero(np.diff(path)) + 1, [len(path)]])
    return [
        ((a + 1 - spec.FAR) * SECONDS, (b + 1 - spec.FAR) * SECONDS, spec.LOWEST + int(path[a]) % keys)
        for a, b in pairwise(edges)
        if path[a] < 2 * keys and b - a >= least
    ]
