"""Tests whether a quantity grows over a soak: a slope by least squares, its confidence interval, and the rule.

A process that is killed starts small again, so a line through everything would hide what grows in between. Samples are
taken life by life: a life is a stretch in which the role has the same processes. The first minutes of each are left
out (caches fill), the rest is cut into bins of one turn through all patches, whose means no longer depend on which
patch plays; one slope is fitted to all process lifetimes, each with a level of its own.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_BINS = 4
"""Least number of bins for a slope."""
_Z = 1.959964
"""The normal distribution's 97.5 % point."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Allowed rise over the run: the larger of `most` and `share` of the first value.

    falls: whether a fall counts as well, as for a drift.
    """

    most: float
    share: float = 0.0
    falls: bool = False

    def verdict(self, slope: float, margin: float, hours: float, start: float) -> str:
        """ "grows" if the slope's whole 95 % interval is above 0 and the line rises more than allowed."""
        size = abs(slope) if self.falls else slope
        return "grows" if size > margin and size * hours > max(self.most, self.share * abs(start)) else "steady"


MEMORY = Rule(2.0, 0.02)
"""MB."""
COUNT = Rule(1.5)
"""Descriptors, threads, processes or files: largest rise of a fitted line through a single step of 1."""
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
    """The trend of samples at `times`, in seconds since the run's start, in order.

    lives: of each sample, an identity of the processes; a new one starts a new lifetime.
    """
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
    """(number of the lifetime, time in hours, mean) of each whole bin."""
    rows: list[tuple[int, float, float]] = []
    life, first = -1, 0
    for at in range(len(times) + 1):
        if at < len(times) and at > first and lives[at] == lives[first]:
            continue
        if at > first:
            life += 1
            rows += [(life, t, v) for t, v in _cut(times[first:at], values[first:at], bin_s, settle_s)]
        first = at
    return rows


def _cut(times: Sequence[float], values: Sequence[float], bin_s: float, settle_s: float) -> list[tuple[float, float]]:
    t, y = np.asarray(times, float), np.asarray(values, float)
    known = ~np.isnan(y)
    rows = []
    begin = t[0] + settle_s
    while begin + bin_s <= t[-1] + 1e-6:
        here = (t >= begin) & (t < begin + bin_s) & known
        if here.any():
            rows.append((float(t[here].mean()) / 3600.0, float(y[here].mean())))
        begin += bin_s
    return rows


def fit(points: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """(slope, half its 95 % interval) over (lifetime, time, value), each lifetime with a level; NaN if too few."""
    lives = np.array([p[0] for p in points])
    t, y = np.array([p[1] for p in points]), np.array([p[2] for p in points])
    t, y = t - _means(lives, t), y - _means(lives, y)
    free = len(points) - len(set(lives.tolist())) - 1
    spread = float((t * t).sum())
    if len(points) < MIN_BINS or free < 1 or spread <= 0.0:
        return math.nan, math.nan
    slope = float((t * y).sum()) / spread
    left = y - slope * t
    return slope, student(free) * math.sqrt(float((left * left).sum()) / free / spread)


def _means(lives: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    means = np.empty_like(values)
    for life in set(lives.tolist()):
        means[lives == life] = values[lives == life].mean()
    return means


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
