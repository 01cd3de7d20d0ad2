"""What tells whether a mask takes noise or music, by how what it takes and what it leaves are spread over seconds.

A row is 40 ms of a sound: means over its hops and over each band of the power, of what the mask takes and leaves of it,
of the log power, of the mask's gain, and of how often that is low. Noise that is taken keeps its level or comes on its
own; music that is taken rises and falls with what is left.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import F32, F64
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import tables

HOPS = 5
"""Hops of a row."""
SECOND = 25
"""Rows of a second: with fewer nothing is known."""
FEATURES = 25
LOW = 0.3
"""Gain below which a unit counts as taken."""
QUIET = 1e-10
LEAST_SHARE = 1e-4
NEPER = 10.0 / np.log(10.0)
"""dB of a power whose natural logarithm is 1."""


def rows_of(log: F32, gain: F32) -> F32:
    """Log powers and the mask's gains of hops, `[T, UNITS]` → rows `[T // HOPS, 6, COUNT]`."""
    power = np.exp(log)
    parts = (power, np.square(1.0 - gain) * power, np.square(gain) * power, log, gain, (gain < LOW).astype(np.float32))
    count = len(log) // HOPS
    means = [(part @ tables.mean())[: count * HOPS].reshape(count, HOPS, COUNT).mean(1) for part in parts]
    return np.stack(means, 1)


def describe(rows: F32) -> F32:
    """The features of each band, `[COUNT, FEATURES]`, of `SECOND` rows or more."""
    powers = rows[:, :3].astype(np.float64)
    levels = 10.0 * np.log10(powers + QUIET)
    level, took, left = levels.swapaxes(0, 1)
    means = powers.mean(0)
    mean = 10.0 * np.log10(means + QUIET)
    whole = (10.0 * np.log10(powers.mean(2) + QUIET))[..., None].swapaxes(0, 1)
    flat = NEPER * rows[:, 3] - level
    low = level <= _quantile(level, 0.2)
    seconds = level[: len(level) // SECOND * SECOND].reshape(-1, SECOND, COUNT)
    of_all = np.log10(powers[:, 1].sum() / (powers[:, 0].sum() + QUIET) + LEAST_SHARE)
    made = [
        np.log10(means[1] / (means[0] + QUIET) + LEAST_SHARE),
        np.log10(means[2] / (means[0] + QUIET) + LEAST_SHARE),
        *(_beside(_quantile(level, share), mean[0]) for share in (0.05, 0.2, 0.5, 0.8)),
        *(_beside(_quantile(took, share), mean[1]) for share in (0.1, 0.3, 0.5, 0.8, 0.95)),
        flat.mean(0) / 3.0 + 1.0,
        (flat * low).sum(0) / low.sum(0) / 3.0 + 1.0,
        *(_together(took, other) for other in (left, whole[2], whole[1])),
        _together(level, level.mean(1, keepdims=True)),
        *(np.abs(np.diff(part, axis=0)).mean(0) / 4.0 for part in (took, level)),
        rows[:, 4].mean(0) - 0.5,
        rows[:, 4].std(0),
        rows[:, 5].mean(0) - 0.5,
        np.clip(seconds.min(1).std(0) / 4.0, 0.0, 4.0),
        np.clip((mean[0] - 10.0 * np.log10(means[0].mean() + QUIET)) / 20.0, -4.0, 2.0),
        np.full(COUNT, of_all),
    ]
    return np.stack(made, 1).astype(np.float32)


def _quantile(levels: F64, share: float) -> F64:
    return np.asarray(np.sort(levels, 0)[int(share * (len(levels) - 1))])


def _beside(level: F64, mean: F64) -> F64:
    return np.asarray(np.clip((level - mean) / 8.0, -5.0, 3.0))


def _together(one: F64, other: F64) -> F64:
    """Correlation of levels over time."""
    a, b = one - one.mean(0), other - other.mean(0)
    return np.asarray((a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0) + 1e-3))
