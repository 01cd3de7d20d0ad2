"""Whether what `bench soak` sampled grows: a slope by least squares, its confidence, and the rule for a verdict.

A process that is killed starts small again, so a line through everything would hide what grows in between. Samples are
taken life by life: a life is a stretch in which the role has the same processes. The first minutes of each are left
out (caches fill), the rest is cut into bins of one turn through all patches, whose means no longer depend on which
patch plays; one slope is fitted to all lives, each with a level of its own.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_BINS = 4
"""Fewer say nothing of a slope."""
_Z = 1.959964
"""The normal distribution's 97.5 % point."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How far a line may rise over what was measured: `most`, or `share` of its first value, the larger.

    falls: whether a fall counts as well, as with a drift.
    """

    most: float
    share: float = 0.0
    falls: bool = False

    def verdict(self, slope: float, margin: float, hours: float, start: float) -> str:
        """ "grows" where the slope's whole 95 % interval is above 0 and the line rises further than it may."""
        size = abs(slope) if self.falls else slope
        return "grows" if size > margin and size * hours > max(self.most, self.share * abs(start)) else "steady"


MEMORY = Rule(2.0, 0.02)
"""MB."""
COUNT = Rule(1.5)
"""Descriptors, threads, processes or files: so far a line through a single step of one rises at most."""
DRIFT = Rule(2.0, falls=True)
"""ms."""


@dataclass(frozen=True, slots=True)
class Trend:
    """start, end: means of the first and the last bin.  slope, margin: an hour, and half its 95 % interval; NaN where
    there are too few bins.
    """

    start: float
    end: float
    slope: float
    margin: float
    bins: int
    verdict: str


def trend(
    times: Sequence[float],
    values: Sequence[float],
    lives: Sequence[Hashable],
    bin_s: float,
    settle_s: float,
    rule: Rule,
) -> Trend:
    """The trend of samples at `times`, in seconds since the run's start, in order. lives: of each, which processes."""
    points = bins(times, values, lives, bin_s, settle_s)
    if not points:
        return Trend(math.nan, math.nan, math.nan, math.nan, 0, "too short")
    slope, margin = fit(points)
    start, end = points[0][2], points[-1][2]
    verdict = "too short" if math.isnan(margin) else rule.verdict(slope, margin, points[-1][1] - points[0][1], start)
    return Trend(start, end, slope, margin, len(points), verdict)


def bins(
    times: Sequence[float], values: Sequence[float], lives: Sequence[Hashable], bin_s: float, settle_s: float
) -> list[tuple[int, float, float]]:
    """(number of the life, time in hours, mean) of each whole bin."""
    found: list[tuple[int, float, float]] = []
    life, first = -1, 0
    for at in range(len(times) + 1):
        if at < len(times) and at > first and lives[at] == lives[first]:
            continue
        if at > first:
            life += 1
            found += [(life, t, v) for t, v in _cut(times[first:at], values[first:at], bin_s, settle_s)]
        first = at
    return found


def _cut(times: Sequence[float], values: Sequence[float], bin_s: float, settle_s: float) -> list[tuple[float, float]]:
    t, y = np.asarray(times, float), np.asarray(values, float)
    known = ~np.isnan(y)
    made = []
    begin = t[0] + settle_s
    while begin + bin_s <= t[-1] + 1e-6:
        here = (t >= begin) & (t < begin + bin_s) & known
        if here.any():
            made.append((float(t[here].mean()) / 3600.0, float(y[here].mean())))
        begin += bin_s
    return made


def fit(points: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """(slope, half its 95 % interval) over (life, time, value), each life with a level of its own; NaN if too few."""
    lives = np.array([p[0] for p in points])
    t, y = np.array([p[1] for p in points]), np.array([p[2] for p in points])
    t, y = t - _means(lives, t), y - _means(lives, y)
    free = len(points) - len(set(lives.tolist())) - 1
    spread = float((t * t).sum())
    if len(points) < LEAST_BINS or free < 1 or spread <= 0.0:
        return math.nan, math.nan
    slope = float((t * y).sum()) / spread
    left = y - slope * t
    return slope, student(free) * math.sqrt(float((left * left).sum()) / free / spread)


def _means(lives: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    made = np.empty_like(values)
    for life in set(lives.tolist()):
        made[lives == life] = values[lives == life].mean()
    return made


def student(free: int) -> float:
    """The 97.5 % point of Student's t, by the expansion of Cornish and Fisher, exact for 1 and 2 degrees of freedom."""
    if free <= 2:
        return 12.7062 if free == 1 else 4.30265
    z = _Z
    return (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )
