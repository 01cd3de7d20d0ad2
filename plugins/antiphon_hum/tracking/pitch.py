"""One pitch a hop, or none: a hidden Markov model over pitch, decoded with a fixed lag.

The model is that of pYIN (Mauch and Dixon, 2014), with one unvoiced state in place of a copy of every pitch, so that a
leap between two notes costs the same whatever its size.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from antiphon.api.kernels import f64, f64p, i64, i64p, kernel
from antiphon_hum.tracking.candidates import HEAD

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
LOWEST, HIGHEST = 36, 96
"""MIDI numbers: C2 (65 Hz) to C7 (2093 Hz)."""
PER_NOTE = 5
"""Bins of a semitone."""
BINS = (HIGHEST - LOWEST + 1) * PER_NOTE
REACH = 11
"""Bins by which pitch may glide in one hop: 4.1 octaves a second."""
LEAVE = 0.01
"""Probability that a hop ends or begins being voiced."""
SLOPE = 0.08
"""Log probability that a leap costs per bin."""
FLOOR = 1e-4
"""Probability of a pitch that is not among the candidates."""
LEAP = 1e-4
"""Probability of a leap to any pitch while voiced."""


@kernel
def hum_pitch(
    found: f64p, head: i64, best: f64p, next_best: f64p, back: i64p, refined: f64p, glide: f64p,
    bins: i64, per_note: i64, lowest: f64, reach: i64, leave: f64, leap: f64, unvoiced: f64, floor: f64, seen: f64p,
    slope: f64, leaps: f64p, leaps_from: i64p,
) -> None:  # fmt: skip
    """One Viterbi step: next_best ← log probability of the best path into each state; state `bins` is unvoiced.

    Args:
        found: Output of `hum_candidates`.
        head: Numbers before the candidates in `found`.
        best: `[bins + 1]` log probabilities of the previous hop.
        next_best: `[bins + 1]` result.
        back: `[bins + 1]` result, predecessor of each state.
        refined: `[bins]` result, pitch of the candidate in each bin, a MIDI number, 0 for none.
        glide: `[2 * reach + 1]` log weights of a glide.
        bins: Number of pitch bins.
        per_note: Bins of a semitone.
        lowest: MIDI number of the lowest bin's semitone.
        reach: Bins of the longest glide.
        leave: Probability that a hop begins or ends being voiced.
        leap: Probability of a leap.
        unvoiced: Weight of finding no pitch.
        floor: Probability of a pitch without a candidate.
        seen: `[bins]` scratch.
        slope: Log probability that a leap costs per bin.
        leaps: `[bins]` scratch.
        leaps_from: `[bins]` scratch.
    """
    for b in range(bins):
        seen[b] = floor
        refined[b] = 0.0
    voiced = f64(0.0)
    for k in range(i64(found[0])):
        pitch = found[head + 2 * k]
        p = found[head + 2 * k + 1]
        b = i64((pitch - lowest + 0.5) * f64(per_note))
        if b >= 0 and b < bins:
            voiced = voiced + p
            seen[b] = seen[b] + p
            if refined[b] == 0.0 or p > 0.5 * seen[b]:
                refined[b] = pitch
    rest = 1.0 - voiced
    rest = 1e-6 if rest < 1e-6 else rest
    # the best place to leap from: what is lost grows with the distance, so two sweeps find it for every place
    top = best[0]
    top_at = i64(0)
    run = best[0]
    run_at = i64(0)
    for b in range(bins):
        run = run - slope
        if best[b] > run:
            run = best[b]
            run_at = b
        leaps[b] = run
        leaps_from[b] = run_at
        if best[b] > top:
            top = best[b]
            top_at = b
    run = best[bins - 1] - slope
    run_at = bins - 1
    for n in range(bins):
        b = bins - 1 - n
        run = run - slope
        if best[b] > run:
            run = best[b]
            run_at = b
        if run > leaps[b]:
            leaps[b] = run
            leaps_from[b] = run_at
    stay = math.log(1.0 - leave)
    jump = math.log(leap)
    begin = best[bins] + math.log(leave / f64(bins))
    for b in range(bins):
        value = leaps[b] + jump
        origin = leaps_from[b]
        if begin > value:
            value = begin
            origin = bins
        low = b - reach
        low = 0 if low < 0 else low
        high = b + reach + 1
        high = bins if high > bins else high
        for k in range(low, high):
            v = best[k] + glide[k - b + reach] + stay
            if v > value:
                value = v
                origin = k
        next_best[b] = value + math.log(seen[b])
        back[b] = origin
    value = best[bins] + stay
    origin = bins
    if top + math.log(leave) > value:
        value = top + math.log(leave)
        origin = top_at
    next_best[bins] = value + math.log(rest * unvoiced)
    back[bins] = origin
    top = next_best[bins]
    for b in range(bins):
        top = next_best[b] if next_best[b] > top else top
    for b in range(bins + 1):
        next_best[b] = next_best[b] - top


@kernel
def hum_decode(best: f64p, back: i64p, states: i64, row: i64, rows: i64, depth: i64) -> i64:
    """The state `depth` hops before the newest on the best path; `row` is the newest of `rows` rows of `back`."""
    at = i64(0)
    for b in range(states):
        at = b if best[b] > best[at] else at
    r = row
    for _ in range(depth):
        at = back[r * states + at]
        r = rows - 1 if r == 0 else r - 1
    return at


class PitchTrack:
    """The pitch of each hop, `lag` hops late."""

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self._rows = lag + 1
        triangle = np.minimum(np.arange(1, 2 * REACH + 2), np.arange(2 * REACH + 1, 0, -1)).astype(np.float64)
        self._glide: F64 = np.log(triangle / triangle.sum())
        self._best: list[F64] = [np.zeros(BINS + 1, np.float64), np.zeros(BINS + 1, np.float64)]
        self._back: I64 = np.zeros((self._rows, BINS + 1), np.int64)
        self._refined: F64 = np.zeros((self._rows, BINS), np.float64)
        self._backs = [self._back[n] for n in range(self._rows)]
        self._refineds = [self._refined[n] for n in range(self._rows)]
        self._leaps: F64 = np.zeros(BINS, np.float64)
        self._leaps_from: I64 = np.zeros(BINS, np.int64)
        self._seen: F64 = np.zeros(BINS, np.float64)
        self.reset()

    def reset(self) -> None:
        """Clears the past and sets the state to unvoiced."""
        for best in self._best:
            best.fill(-50.0)
            best[BINS] = 0.0
        self._back.fill(BINS)
        self._refined.fill(0.0)
        self._row = 0

    def step(self, found: F64, unvoiced: float) -> float:
        """Takes the candidates of a hop.

        Args:
            found: Output of `hum_candidates`.
            unvoiced: Weight of finding no pitch.

        Returns:
            The pitch of `lag` hops before, a MIDI number, 0 for none.
        """
        old, new = self._best
        self._row = row = (self._row + 1) % self._rows
        hum_pitch(
            found, HEAD, old, new, self._backs[row], self._refineds[row], self._glide,
            BINS, PER_NOTE, float(LOWEST), REACH, LEAVE, LEAP, unvoiced, FLOOR, self._seen,
            SLOPE, self._leaps, self._leaps_from,
        )  # fmt: skip
        self._best.reverse()
        at = hum_decode(new, self._back, BINS + 1, row, self._rows, self.lag)
        if at == BINS:
            return 0.0
        then = self._refineds[(row - self.lag) % self._rows]
        for place in (at, at - 1, at + 1):
            if 0 <= place < BINS and then[place] > 0.0:
                return float(then[place])
        return LOWEST - 0.5 + (at + 0.5) / PER_NOTE


class PlainPitch:
    """The pitch of YIN: the first trough below the threshold, as the median of `2 * lag + 1` hops."""

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self._recent: list[float] = [0.0] * (2 * lag + 1)

    def reset(self) -> None:
        """Clears the past."""
        self._recent[:] = [0.0] * len(self._recent)

    def step(self, found: F64, unvoiced: float) -> float:
        """As `PitchTrack.step`; `unvoiced` is ignored."""
        pitch = 0.0
        for k in range(int(found[0])):
            if found[HEAD + 2 * k + 1] > 0.5:
                pitch = float(found[HEAD + 2 * k])
                break
        self._recent.pop(0)
        self._recent.append(pitch)
        return sorted(self._recent)[self.lag]
