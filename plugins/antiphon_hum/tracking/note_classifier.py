"""Decides whether a segment of pitched sound is a note: long, loud and steady enough, and not a syllable of speech.

Spoken pitch glides through a syllable; a sung note, vibrato and scoop apart, is steady. A linear discriminant of four
features separates the two nine times in ten. Since speech and music come in stretches, each candidate also updates a
belief, in log odds, that the sound is music, and the belief sets how steady the next candidate has to be. Live the
belief depends on earlier candidates only; for a file it depends on later ones too, so that the first note can be
accepted because of those after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
SETTLED, FALLING = 0.45, 0.1
"""Parts of the known sustain, at its start and at its known end, that are left out of the note's pitch."""
SCOOPED = 0.3
"""Part of a candidate's hops, at its start, that is left out of its steadiness."""
SMOOTH = 9
"""Hops over which pitch is averaged for `compass`: half a period of vibrato, or half of what there is."""
MIN_VOICED = 8
"""Least number of voiced hops of a note: 43 to 46 ms."""
MIN_VOICED_PLAIN = 6
"""The same where there is no discriminant."""
HIGH_BONUS, SPEECH_TOP, HIGH_RANGE = 1.5, 56.0, 6.0
"""Log odds added from 0 to `HIGH_RANGE` semitones above MIDI number `SPEECH_TOP`: few speak above 300 Hz."""
EVIDENCE_HOPS = 4
"""Least number of voiced hops of a candidate that updates the belief."""
MAX_ODDS = 4.0
"""Bound on one candidate's log odds and on the belief."""
BELIEF_DECAY, EVIDENCE_WEIGHT = 0.93, 0.6
"""Factor on the belief for each further candidate, and weight of that candidate's log odds added to it."""
MEMORY = 8.0
"""Seconds in which a belief decays to a third."""
REACH = 6.0
"""Log odds by which `sensitivity` moves the decision, from 0 to 1."""
MARGIN = 2.0
"""Log odds, belief included, above which a candidate is a note: the least with under one false note in 20 s of speech.
"""
MARGIN_LOOKAHEAD = 1.5
"""The same where later candidates are known."""
APERIODIC_FROM, APERIODIC_COST = 0.06, 2.0
"""Trough depth from which on each factor of e costs `APERIODIC_COST` log odds: engines and animals."""
NEUTRAL_GAP, GAP_WEIGHT, GAP_LIMIT = 0.25, 0.5, 0.6
"""Seconds since the previous candidate that count 0; weight and bound of the logarithm of the ratio to it."""
SHORT_ODDS = -1.0
"""Log odds of a candidate with fewer than `MIN_VOICED` voiced hops."""


@dataclass(frozen=True, slots=True)
class CandidateFeatures:
    """Features of a candidate, as far as its hops are known when it has to be decided on.

    Attributes:
        pitch: Median of its sustain, a MIDI number.
        voiced: Number of hops with a pitch.
        compass: Semitones between lowest and highest pitch, smoothed.
        glide: Absolute slope of a line through its pitches, semitones a second.
        spread: Mean distance from its median, semitones.
        level: Level of its loudest hop, dB.
        depth: Median depth of its hops' deepest troughs; 0 is periodic.
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
    """A linear discriminant between sung notes and syllables; `antiphon_models.hum.fitting` finds its weights.

    Attributes:
        compass: Weight of log(`compass` + 0.03).
        glide: Weight of log(`glide` + 0.5).
        spread: Weight of log(`spread` + 0.02).
        voiced: Weight of log(`voiced`).
        constant: Constant term, log odds.
    """

    compass: float
    glide: float
    spread: float
    voiced: float
    constant: float

    def log_odds(self, features: CandidateFeatures, since: float) -> float:
        """Log odds that a candidate is a sung note, within ±`MAX_ODDS`.

        Args:
            features: Features of the candidate.
            since: Seconds since the previous candidate.
        """
        odds = (
            self.compass * math.log(features.compass + 0.03)
            + self.glide * math.log(features.glide + 0.5)
            + self.spread * math.log(features.spread + 0.02)
            + self.voiced * math.log(max(1, features.voiced))
            + self.constant
            + HIGH_BONUS * max(0.0, min(1.0, (features.pitch - SPEECH_TOP) / HIGH_RANGE))
            - APERIODIC_COST * math.log(max(1.0, features.depth / APERIODIC_FROM))
            + GAP_WEIGHT * max(-GAP_LIMIT, min(GAP_LIMIT, math.log((min(since, 1.0) + 0.02) / NEUTRAL_GAP)))
        )
        return max(-MAX_ODDS, min(MAX_ODDS, odds))


DISCRIMINANTS: dict[str, Discriminant | None] = {
    "pyin": Discriminant(1.23, -0.09, -4.0, 2.47, -13.6),
    "yin": None,
}
"""By mode. None accepts all: in YIN's short look-ahead the features separate too little (area under the curve 0.68)."""


def candidate_features(
    pitches: F64, sustain: NDArray[np.bool_], levels: F64, depths: F64, seconds: float, whole: bool
) -> CandidateFeatures:
    """The features of a candidate from its `n` known hops.

    Args:
        pitches: `[n]` MIDI numbers, 0 for unvoiced.
        sustain: `[n]` whether the hop is past the attack.
        levels: `[n]` dB.
        depths: `[n]` depth of the deepest trough.
        seconds: Length of a hop.
        whole: Whether the candidate ends within these hops.
    """
    voiced_hops = pitches > 0.0
    level = float(levels.max())
    voiced = int(np.count_nonzero(voiced_hops))
    if voiced < MIN_VOICED_PLAIN:
        return CandidateFeatures(0.0, voiced, 99.0, 99.0, 99.0, level)
    sustained = voiced_hops & sustain
    chosen = pitches[sustained] if np.count_nonzero(sustained) >= 4 else pitches[voiced_hops]
    begin, end = int(SETTLED * len(chosen)), len(chosen) - (int(FALLING * len(chosen)) if whole else 0)
    pitch = _median(chosen[begin:end])
    line = pitches[voiced_hops][int(SCOOPED * voiced) :]
    width = min(SMOOTH, max(1, len(line) // 2))
    sums = np.cumsum(line - pitch)
    smooth = sums[width - 1 :].copy()
    smooth[1:] -= sums[:-width]
    t = (np.arange(len(line)) - (len(line) - 1) / 2.0) * seconds
    return CandidateFeatures(
        pitch,
        voiced,
        float(smooth.max() - smooth.min()) / width,
        abs(float(np.dot(t, line) / np.dot(t, t))),
        float(np.abs(line - _median(line)).mean()),
        level,
        _median(depths[voiced_hops]),
    )


def _median(values: F64) -> float:
    """The median. `numpy.median` imports a package at its first call, and this runs on the block path."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle]) if len(values) % 2 else 0.5 * float(ordered[middle - 1] + ordered[middle])


@dataclass(frozen=True, slots=True)
class Evidence:
    """One candidate's contribution to the belief.

    Attributes:
        odds: Log odds that it is a note.
        since: Seconds since the previous candidate.
        counts: Whether it updates the belief.
    """

    odds: float
    since: float
    counts: bool


def backward_beliefs(evidence: Sequence[Evidence]) -> list[float]:
    """The belief at each candidate of a sound from the candidates after it.

    Args:
        evidence: Of all candidates, in order.

    Returns:
        Log odds, one for each candidate.
    """
    beliefs = [0.0] * len(evidence)
    for n in range(len(evidence) - 1, 0, -1):
        beliefs[n - 1] = _updated_belief(beliefs[n], evidence[n]) * math.exp(-evidence[n].since / MEMORY)
    return beliefs


def _updated_belief(belief: float, evidence: Evidence) -> float:
    return (
        max(-MAX_ODDS, min(MAX_ODDS, BELIEF_DECAY * belief + EVIDENCE_WEIGHT * evidence.odds))
        if evidence.counts
        else belief
    )


class NoteClassifier:
    """Accepts or rejects one candidate after another.

    Attributes:
        on_decision: Called with the features and evidence of each candidate.
        lookahead: Result of `backward_beliefs` for the same sound; empty live.
        belief: Log odds that the sound is music.
    """

    def __init__(self, discriminant: Discriminant | None) -> None:
        """Starts with belief 0.

        Args:
            discriminant: None accepts every candidate that is long and loud enough.
        """
        self._discriminant = discriminant
        self.on_decision: Callable[[CandidateFeatures, Evidence], object] | None = None
        self.lookahead: Sequence[float] = ()
        self.reset()

    def reset(self) -> None:
        """Sets the belief to 0 and the count of candidates to 0."""
        self.belief = 0.0
        self._count = 0

    def accepts(self, features: CandidateFeatures, since: float, sensitivity: float, threshold: float) -> bool:
        """Whether the candidate is a note; updates the belief.

        Args:
            features: Features of the candidate.
            since: Seconds since the previous candidate.
            sensitivity: 0 to 1; higher accepts more.
            threshold: Least level, dB.
        """
        if self._discriminant is None:
            return features.voiced >= MIN_VOICED_PLAIN and features.level > threshold
        before = self.belief * math.exp(-since / MEMORY)
        odds = self._discriminant.log_odds(features, since) if features.voiced >= MIN_VOICED else SHORT_ODDS
        evidence = Evidence(odds, since, features.voiced >= EVIDENCE_HOPS)
        self.belief = _updated_belief(before, evidence)
        if self.on_decision is not None:
            self.on_decision(features, evidence)
        known, margin = before, MARGIN
        if self._count < len(self.lookahead):
            known, margin = before + self.lookahead[self._count], MARGIN_LOOKAHEAD
        self._count += 1
        likely = odds + known > margin + REACH * (0.5 - sensitivity)
        return likely and features.voiced >= MIN_VOICED and features.level > threshold
