"""From the network's answers to live notes, hop by hop; `file_decoder` is its counterpart for files."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon_hum.learned import spec

F32 = NDArray[np.float32]
LiveNote = tuple[float, float, float]
"""Start and end in seconds, pitch as a MIDI number with its fraction."""
SECONDS = spec.HOP / spec.RATE


@dataclass(frozen=True, slots=True)
class Live:
    """Thresholds of the live decoder: probabilities, semitones, and times in hops.

    Found by coordinate search on half of the songs of SSVD 2.0 (by a hash of the name) and on the validation part of
    the training material.

    Attributes:
        onset: Probability of an onset from which on a note begins; below half of it the next onset can be detected.
        note: Probability of a note from which on one can begin, at the highest sensitivity.
        audible: The same at the middle sensitivity.
        wait: Hops from the onset to the earliest decision on pitch.
        sure: Confidence of a pitch that is decided on at once, if it moves by less than `settled`.
        settled: Semitones a hop.
        patience: Hops after which pitch is decided on with confidence `guess`.
        guess: See `patience`.
        again: Hops to wait where the pitch is still that of the previous note, whose sound overlaps the next one's
            start.
        repeat: Probability of an onset from which on a note of the same pitch is repeated.
        same: Semitones within which two pitches are the same note.
        recent: Hops for which a note that has ended counts for `again`, and for which a note is young.
        apart: Least hops between two onsets.
        quiet: Hops below `off` (`young` at first) after which a note ends.
        off: Probability of a note below which a note may end.
        young: The same within `recent` hops of its start.
        moved: Hops on another pitch, or in a rest with a note as likely as `late`, after which a new note begins.
        late: See `moved`.
        away: Semitones from the pitch of the sounding note to another pitch.
        follow: Share of the distance by which the sounding note's pitch follows the singer's in a hop.
    """

    onset: float = 0.35
    note: float = 0.06
    audible: float = 0.3
    wait: int = 5
    sure: float = 0.85
    settled: float = 0.08
    patience: int = 10
    guess: float = 0.6
    again: int = 6
    repeat: float = 0.4
    same: float = 0.9
    recent: int = 25
    apart: int = 7
    quiet: int = 4
    off: float = 0.3
    young: float = 0.08
    moved: int = 5
    late: float = 0.6
    away: float = 0.9
    follow: float = 0.08


class NoteDecoder:
    """Turns answers of the network into notes, one hop after another.

    `sensitivity` (as `odds`) decides which of the detected notes are sent, never how sound is divided into notes: so
    with more of it the same notes and further ones are sent, none fewer.

    Attributes:
        ended: After `step`: whether the sounding note ends.
        begun: After `step`: pitch of the note that begins, a MIDI number with its fraction, or None.
        began: Hops ago that it began.
        number: MIDI number of the note that sounds and was sent, -1 for none.
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
        self._peak = 0.0
        self._quiet = self._away = 0
        self._sounding = False
        self._line = self._before = -99.0
        self._key = 0.0
        self._armed = True

    def step(self, a: F32, patience: int | None = None, odds: float = 0.0) -> None:
        """Takes the answer of a hop.

        Args:
            a: Answer `[ANSWER]`; see `spec`.
            patience: Hops, in place of the one in `live`.
            odds: Added to the log odds of a note, when it is decided whether to send it.
        """
        live = self.live
        most = live.patience if patience is None else patience
        self.begun, self.ended = None, False
        self._since += 1
        self._age += 1
        self._rested += 1
        onset, note, sure = float(a[spec.ONSET]), float(a[spec.NOTE]), float(a[spec.KEY_SURE])
        key = spec.pitch(float(a[spec.KEY])) + self._up
        moving, self._key = abs(key - self._key), key
        settled = sure >= live.sure and moving <= live.settled
        if not self._onset(onset, most, note, key, sure, settled):
            if self._sounding:
                self._hold(note, key, sure, moving)
            else:
                self._rest(note, key, settled)
        if self._sounding and self.number < 0 and shift_odds(note, odds) >= live.audible:
            # a note that was too faint to be sent when it began
            self.begun, self.number, self.began = self._line, round(self._line), self._age

    def _onset(self, onset: float, most: int, note: float, key: float, sure: float, settled: bool) -> bool:
        """Detects an onset and decides on its pitch; whether a note begins."""
        live = self.live
        if onset < 0.5 * live.onset:
            self._armed = True
        if onset >= live.onset and self._armed and self._since >= live.apart:
            self._onset_age, self._armed, self._since, self._peak = 0, False, 0, onset
        elif self._onset_age >= 0:
            self._onset_age += 1
            self._peak = max(self._peak, onset)
        age = self._onset_age
        if age >= min(live.wait, most) and note >= live.note:
            last = self._line if self._sounding else self._before if self._rested < live.recent else -99.0
            repeated = age >= min(live.again, most) and (not self._sounding or self._peak >= live.repeat)
            if (abs(key - last) >= live.same or repeated) and (settled or (age >= most and sure >= live.guess)):
                self._begin(key, age)
                return True
        if age >= max(live.patience, most):
            self._onset_age = -1
        return False

    def _rest(self, note: float, key: float, settled: bool) -> None:
        """Detects a note whose onset was not recognised."""
        live = self.live
        steady = note >= live.late and settled
        steady = steady and (self._rested >= live.recent or abs(key - self._before) > live.same)
        self._away = self._away + 1 if steady else 0
        if self._away >= live.moved and self._onset_age < 0:
            self._begin(key, 0)

    def _hold(self, note: float, key: float, sure: float, moving: float) -> None:
        """Follows the sounding note's pitch; ends it, or begins another on a pitch reached without an onset."""
        live = self.live
        self._quiet = self._quiet + 1 if note < (live.young if self._age < live.recent else live.off) else 0
        far = abs(key - self._line) > live.away
        if sure >= live.sure and not far:
            self._line += live.follow * (key - self._line)
        moved = far and moving <= 2.0 * live.settled and note >= live.audible and sure >= live.sure
        self._away = self._away + 1 if moved else 0
        if self._quiet >= live.quiet:
            self._before, self._rested = self._line, 0
            self._sounding, self.ended, self.number = False, self.number >= 0, -1
        elif self._away >= live.moved and self._onset_age < 0:
            self._begin(key, 0)

    def _begin(self, key: float, ago: int) -> None:
        self.ended = self.number >= 0
        self._sounding, self._line, self.number = True, key, -1
        self._since = self._age = ago
        self._onset_age = -1
        self._quiet = self._away = 0
        self._rested = 99

    def all(self, answers: F32) -> list[LiveNote]:
        """The notes of answers `[hops, ANSWER]`, timed from the start of the sound; starts are at the onset."""
        found: list[LiveNote] = []
        start, pitch = -1.0, -1.0
        for hop, a in enumerate(answers):
            self.step(a)
            now = (hop + 1 - spec.NEAR) * SECONDS
            if self.ended and pitch >= 0.0:
                found.append((start, max(now, start + SECONDS), pitch))
                pitch = -1.0
            if self.begun is not None:
                start, pitch = now - self.began * SECONDS, self.begun
        if pitch >= 0.0:
            found.append((start, len(answers) * SECONDS, pitch))
        return found


def shift_odds(chance: float, odds: float) -> float:
    """The probability `chance` with `odds` added to its log odds."""
    return chance if odds == 0.0 else chance / (chance + (1.0 - chance) * math.exp(-odds) + 1e-9)
