"""Live decoding of the network's answers to notes, hop by hop, optionally of the lead voice only."""

import math
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32
from antiphon_hum import learned

SMOOTHING = 0.02
"""Smoothing coefficient per hop of `MANY`: half a second."""
SINGLE_VOICE_ODDS = 4.0
"""Negative log odds of several voices (.018) below which a single voice is assumed; singing has .02 at most."""
WEIGHTS = ((learned.NOTE, 1.0), (learned.ONSET, 0.6), (learned.FAR_NOTE, 1.0), (learned.FAR_ONSET, 0.1))
"""Indices in an answer, with the weight there of the log odds of several voices.

Found on a grid of few values, on 8 songs over bands.
"""
_LEAST = 1e-6


class LeadVoice:
    """Filter of answers for the strongest voice, hop by hop."""

    def __init__(self) -> None:
        self._answer: F32 = np.zeros(learned.ANSWER, np.float32)
        self.reset()

    def reset(self) -> None:
        self._many = 0.0

    def __call__(self, answer: F32) -> F32:
        """Filters an answer `[ANSWER]`; the result is valid until the next call."""
        self._many += SMOOTHING * (float(answer[learned.MANY]) - self._many)
        more = max(0.0, _log_odds(self._many) + SINGLE_VOICE_ODDS)
        changed = self._answer
        changed[:] = answer
        for place, weight in WEIGHTS:
            changed[place] = 1.0 / (1.0 + math.exp(-_log_odds(float(answer[place])) - weight * more))
        return changed

    def filter_answers(self, answers: F32) -> F32:
        """Filtered answers `[hops, ANSWER]` of a whole sound."""
        self.reset()
        return np.array([self(answer).copy() for answer in answers], np.float32).reshape(answers.shape)


def _log_odds(chance: float) -> float:
    p = min(1.0 - _LEAST, max(_LEAST, chance))
    return math.log(p / (1.0 - p))


LiveNote = tuple[float, float, float]
"""Note with start and end in seconds, and pitch as a fractional MIDI number."""
SECONDS = learned.HOP / learned.RATE


@dataclass(frozen=True, slots=True)
class Live:
    """Thresholds of the live decoder: probabilities, semitones, and times in hops.

    Found by coordinate search on half of the songs of SSVD 2.0 (by a hash of the name) and on the validation part of
    the training material.
    """

    onset: float = 0.3  # of an onset from which on a note begins; below half of it the next onset can be detected
    note: float = 0.3  # of a note from which on one can begin, at the highest sensitivity
    audible: float = 0.5  # the same at the middle sensitivity
    wait: int = 0  # from the onset to the earliest decision on pitch
    early: float = 0.9  # of a pitch that is decided on at once, if it moves by less than 2 `settled`
    sure: float = 0.85  # of a pitch that is followed, or moved to
    settled: float = 0.12  # semitones a hop
    patience: int = 10  # after which pitch is decided on with confidence `guess`
    guess: float = 0.6
    again: int = 3  # to wait where the pitch is still that of the previous note, whose sound overlaps the next start
    repeat: float = 0.4  # of an onset from which on a note of the same pitch is repeated
    same: float = 0.6  # semitones within which two pitches are the same note
    recent: int = 15  # for which a note that has ended counts for `again`, and for which a note is young
    apart: int = 9  # at least, between two onsets
    quiet: int = 4  # below `off` (`young` within `recent` hops of the start), after which a note ends
    off: float = 0.3
    young: float = 0.08
    moved: int = 3  # on another pitch, or in a rest with a note as likely as `late`, after which a new note begins
    late: float = 0.6
    alone: float = 0.95  # `late` where no onset was as likely as `faint`: engines have pitch that begins without one
    faint: float = 0.05
    away: float = 1.0  # semitones from the pitch of the sounding note to another pitch
    follow: float = 0.1  # share of the distance by which the note's pitch follows the singer's in a hop
    settling: int = 15  # from its onset within which a note whose pitch moves is the same note, which is corrected
    last: int = 30  # from its onset after which a note is not corrected
    wrong: float = 0.6  # semitones from the number that was sent to the pitch, from which on it is corrected
    catch: float = 0.2  # `follow` within `settling`


_FADE = 0.8
"""Decay per hop of a weak onset's memory."""


class NoteDecoder:
    """Turns answers of the network into notes, one hop after another.

    A note begins as soon as its pitch is confident. The voice may still slide then, and the pitch is corrected later.
    `sensitivity` (as `odds`) decides which of the detected notes are sent, never how sound is divided into notes. So a
    higher value adds notes and removes none.

    After `step`: whether the sounding note has `ended`; the pitch of the note that has `begun`, `began` hops ago, and
    of the sounding note if it was `corrected`, fractional MIDI numbers, or None. `number`: number of the note that was
    sent and sounds, corrections included, -1 for none; `pitch`: its pitch `Live.last` hops after its onset.
    """

    def __init__(self, live: Live, up: float = 0.0) -> None:
        """Starts without a note.

        `up`: semitones to add to the network's pitches, where its rate is not exactly `learned.RATE`.
        """
        self.live, self._up = live, up
        self.reset()

    def reset(self) -> None:
        self.number = -1
        self.begun: float | None = None
        self.corrected: float | None = None
        self.ended = False
        self.began = 0
        self._since = self._rested = self._age = 99
        self._onset_age = -1
        self._peak = self._hint = 0.0
        self._quiet = self._away = 0
        self._sounding = False
        self._line = self._before = self.pitch = -99.0
        self._key = 0.0
        self._armed = True

    def step(self, a: F32, patience: int | None = None, odds: float = 0.0) -> None:
        """Processes the answer `[ANSWER]` of a hop; see `spec`.

        `patience`: delay in hops, in place of that in `live`; `odds`: added to the log odds of a note in the decision
        whether to send it.
        """
        live = self.live
        most = live.patience if patience is None else patience
        self.begun = self.corrected = None
        self.ended = False
        self._since += 1
        self._age += 1
        self._rested += 1
        onset, note, sure = float(a[learned.ONSET]), float(a[learned.NOTE]), float(a[learned.KEY_SURE])
        self._hint = max(onset, _FADE * self._hint)
        key = learned.pitch(float(a[learned.KEY])) + self._up
        moving, self._key = abs(key - self._key), key
        if not self._onset(onset, most, note, key, sure, moving):
            if self._sounding:
                self._hold(note, key, sure, moving)
            else:
                self._rest(note, key, sure >= live.sure and moving <= live.settled)
        if self._sounding and self.number < 0 and shift_odds(note, odds) >= live.audible:
            # also a note that was too faint to be sent when it began
            self.begun, self.number, self.began = self._line, round(self._line), self._age

    def _onset(self, onset: float, most: int, note: float, key: float, sure: float, moving: float) -> bool:
        """Detects an onset and decides on its pitch; returns whether a note begins."""
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
            at_once = sure >= live.early and moving <= 2.0 * live.settled
            if (abs(key - last) >= live.same or repeated) and (at_once or (age >= most and sure >= live.guess)):
                self._begin(key, age)
                return True
        if age >= max(live.patience, most):
            self._onset_age = -1
        return False

    def _rest(self, note: float, key: float, settled: bool) -> None:
        """Detects a note whose onset was not recognised."""
        live = self.live
        steady = settled and note >= (live.late if self._hint >= live.faint else live.alone)
        steady = steady and (self._rested >= live.recent or abs(key - self._before) > live.same)
        self._away = self._away + 1 if steady else 0
        if self._away >= live.moved and self._onset_age < 0:
            self._begin(key, 0)

    def _hold(self, note: float, key: float, sure: float, moving: float) -> None:
        """Tracks the sounding note's pitch; ends it, or begins another on a pitch reached without an onset."""
        live = self.live
        self._quiet = self._quiet + 1 if note < (live.young if self._age < live.recent else live.off) else 0
        far = abs(key - self._line) > live.away
        still = sure >= live.sure and moving <= 2.0 * live.settled
        if self._age <= live.settling:
            self._settle(key, still and note >= live.note, far)
            far = False
        elif sure >= live.sure and not far:
            self._line += live.follow * (key - self._line)
            if self._age <= live.last:
                self._correct()
        self._away = self._away + 1 if far and still and note >= live.audible else 0
        if self._quiet >= live.quiet:
            self._before, self._rested = self._line, 0
            self._sounding, self.ended, self.number = False, self.number >= 0, -1
        elif self._away >= live.moved and self._onset_age < 0:
            self._begin(key, 0)

    def _settle(self, key: float, still: bool, far: bool) -> None:
        """Tracks the pitch of a note that has just begun."""
        live = self.live
        if still and self.number >= 0 and abs(key - self.number) > live.wrong:
            self._line = key
            self._correct()
        elif still and not far:
            self._line += live.catch * (key - self._line)
        self.pitch = self._line

    def _correct(self) -> None:
        self.pitch = self._line
        if self.number >= 0 and abs(self._line - self.number) > self.live.wrong:
            self.corrected, self.number = self._line, round(self._line)

    def _begin(self, key: float, ago: int) -> None:
        self.ended = self.number >= 0
        self._sounding, self._line, self.pitch, self.number = True, key, key, -1
        self._since = self._age = ago
        self._onset_age = -1
        self._quiet = self._away = 0
        self._rested = 99

    def decode_answers(self, answers: F32) -> list[LiveNote]:
        """Notes of answers `[hops, ANSWER]`, in seconds from the start of the sound; starts are at the onset."""
        found: list[LiveNote] = []
        start, pitch = -1.0, -1.0
        for hop, a in enumerate(answers):
            self.step(a)
            now = (hop + 1 - learned.NEAR) * SECONDS
            if self.ended and pitch >= 0.0:
                found.append((start, max(now, start + SECONDS), pitch))
                pitch = -1.0
            if self.begun is not None:
                start = now - self.began * SECONDS
            if self.number >= 0:
                pitch = self.pitch
        if pitch >= 0.0:
            found.append((start, len(answers) * SECONDS, pitch))
        return found


def shift_odds(chance: float, odds: float) -> float:
    """The probability `chance` with `odds` added to its log odds."""
    return chance if odds == 0.0 else chance / (chance + (1.0 - chance) * math.exp(-odds) + 1e-9)
