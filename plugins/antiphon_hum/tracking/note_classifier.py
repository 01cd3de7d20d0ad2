"""Whether what was segmented is a note: long, loud and steady enough, and not a syllable of speech.

Spoken pitch glides through a syllable; a sung note, vibrato and scoop apart, stays. A linear discriminant of four
figures tells the two apart nine times in ten; since speech and music come in stretches, each candidate also moves a
belief that what sounds is music, and the belief says how steady the next one has to be. Live that belief is of what
has been; in a file what comes is known too, and a first note is judged by those after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
SETTLED, FALLING = 0.45, 0.1
"""Parts of the known sustain, at its beginning and at its known end, that say nothing about the note's pitch."""
SCOOPED = 0.3
"""Part of a candidate's hops that says nothing about its steadiness."""
SMOOTH = 9
"""Hops averaged before pitch is called moving: half a period of vibrato, or half of what there is."""
LEAST = 8
"""Hops with a pitch that a note has at least: 43 to 46 ms."""
LEAST_PLAIN = 6
"""The same where nothing more is asked of it."""
HIGH, SPOKEN, ABOVE = 1.5, 56.0, 6.0
"""Log odds for a pitch so many semitones above MIDI number `SPOKEN`: few speak above 300 Hz, many sing there."""
SAID = 4
"""Hops with a pitch from which on a candidate says anything."""
SURE = 4.0
"""Most that one candidate says, and most that is believed, as log odds."""
KEPT, TAKEN = 0.93, 0.6
"""What is left of a belief after one candidate more, and the part of what that one says which is added."""
MEMORY = 8.0
"""Seconds in which a belief fades to a third."""
REACH = 6.0
"""Log odds that `sensitivity` moves the decision by."""
MARGIN = 2.0
"""Log odds a candidate needs, with what is believed: the least with under one false note in 20 s of speech."""
FORESEEN = 1.5
"""The same where what comes is known."""
ROUGH, BUZZ = 0.06, 2.0
"""A pitch less periodic than this, as the trough's depth, loses so much for each e-fold: engines and animals."""
EVENT, SLOWLY, SLOW_LIMIT = 0.25, 0.5, 0.6
"""Seconds after the candidate before at which nothing is said; weight and limit of the logarithm of others."""
BRIEF = -1.0
"""Log odds of what is too short for a note."""


@dataclass(frozen=True, slots=True)
class Look:
    """A candidate as far as it is known when it has to be decided on.

    pitch: median of its sustain, a MIDI number.  voiced: hops with a pitch.  compass: semitones between lowest and
    highest, smoothed.  glide: semitones a second, of a line through it, either way.  spread: mean distance from its
    median, semitones.  level: of its loudest hop, dB.  depth: median of its hops' deepest troughs, 0 is periodic.
    """

    pitch: float
    voiced: int
    compass: float
    glide: float
    spread: float
    level: float
    depth: float = 0.0


@dataclass(frozen=True, slots=True)
class Discriminant:
    """Log odds of a sung note against a syllable: weights of the logarithms of `compass` + 0.03, `glide` + 0.5,
    `spread` + 0.02, `voiced`; and a constant. `evaluation.fit` finds them.
    """

    compass: float
    glide: float
    spread: float
    voiced: float
    constant: float

    def says(self, seen: Look, since: float) -> float:
        """Log odds within ±`SURE`. since: seconds since the candidate before."""
        odds = (
            self.compass * math.log(seen.compass + 0.03)
            + self.glide * math.log(seen.glide + 0.5)
            + self.spread * math.log(seen.spread + 0.02)
            + self.voiced * math.log(max(1, seen.voiced))
            + self.constant
            + HIGH * max(0.0, min(1.0, (seen.pitch - SPOKEN) / ABOVE))
            - BUZZ * math.log(max(1.0, seen.depth / ROUGH))
            + SLOWLY * max(-SLOW_LIMIT, min(SLOW_LIMIT, math.log((min(since, 1.0) + 0.02) / EVENT)))
        )
        return max(-SURE, min(SURE, odds))


DISCRIMINANTS: dict[str, Discriminant | None] = {
    "pyin": Discriminant(1.23, -0.09, -4.0, 2.47, -13.6),
    "yin": None,
}
"""By mode. What YIN's short look-ahead shows of a note tells too little (area under the curve 0.68): it admits all."""


def look(pitches: F64, sustain: NDArray[np.bool_], levels: F64, depths: F64, seconds: float, whole: bool) -> Look:
    """pitches: MIDI numbers of each hop, 0 unvoiced.  sustain: which hops are past the attack.  levels: dB.
    depths: of each hop's deepest trough.  seconds: a hop's.  whole: the candidate ends within these hops.
    """
    there = pitches > 0.0
    level = float(levels.max())
    voiced = int(np.count_nonzero(there))
    if voiced < LEAST_PLAIN:
        return Look(0.0, voiced, 99.0, 99.0, 99.0, level)
    kept = there & sustain
    chosen = pitches[kept] if np.count_nonzero(kept) >= 4 else pitches[there]
    begin, end = int(SETTLED * len(chosen)), len(chosen) - (int(FALLING * len(chosen)) if whole else 0)
    pitch = _median(chosen[begin:end])
    line = pitches[there][int(SCOOPED * voiced) :]
    width = min(SMOOTH, max(1, len(line) // 2))
    sums = np.cumsum(line - pitch)
    smooth = sums[width - 1 :].copy()
    smooth[1:] -= sums[:-width]
    t = (np.arange(len(line)) - (len(line) - 1) / 2.0) * seconds
    return Look(
        pitch,
        voiced,
        float(smooth.max() - smooth.min()) / width,
        abs(float(np.dot(t, line) / np.dot(t, t))),
        float(np.abs(line - _median(line)).mean()),
        level,
        _median(depths[there]),
    )


def _median(values: F64) -> float:
    """As numpy's, which imports a package of its own the first time: this runs on the block path."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle]) if len(values) % 2 else 0.5 * float(ordered[middle - 1] + ordered[middle])


@dataclass(frozen=True, slots=True)
class Said:
    """What a candidate said. odds: log odds.  since: seconds since the one before.  counts: moves the belief."""

    odds: float
    since: float
    counts: bool


def backwards(told: Sequence[Said]) -> list[float]:
    """What is believed at each of a sound's candidates from those after it, as log odds."""
    beliefs = [0.0] * len(told)
    for n in range(len(told) - 1, 0, -1):
        beliefs[n - 1] = _moved(beliefs[n], told[n]) * math.exp(-told[n].since / MEMORY)
    return beliefs


def _moved(belief: float, said: Said) -> float:
    return max(-SURE, min(SURE, KEPT * belief + TAKEN * said.odds)) if said.counts else belief


class Judge:
    """Decides on one candidate after another. heard: told each.  ahead: what `backwards` gave for the same sound."""

    def __init__(self, discriminant: Discriminant | None) -> None:
        """discriminant: None admits whatever is long and loud enough."""
        self._discriminant = discriminant
        self.heard: Callable[[Look, Said], object] | None = None
        self.ahead: Sequence[float] = ()
        self.reset()

    def reset(self) -> None:
        """Believes nothing."""
        self.belief = 0.0
        self._count = 0

    def admits(self, seen: Look, since: float, sensitivity: float, threshold: float) -> bool:
        """Whether the candidate is a note. since: seconds since the candidate before.  sensitivity: 0 to 1.
        threshold: dB.
        """
        if self._discriminant is None:
            return seen.voiced >= LEAST_PLAIN and seen.level > threshold
        before = self.belief * math.exp(-since / MEMORY)
        odds = self._discriminant.says(seen, since) if seen.voiced >= LEAST else BRIEF
        said = Said(odds, since, seen.voiced >= SAID)
        self.belief = _moved(before, said)
        if self.heard is not None:
            self.heard(seen, said)
        known, margin = before, MARGIN
        if self._count < len(self.ahead):
            known, margin = before + self.ahead[self._count], FORESEEN
        self._count += 1
        sure = odds + known > margin + REACH * (0.5 - sensitivity)
        return sure and seen.voiced >= LEAST and seen.level > threshold
