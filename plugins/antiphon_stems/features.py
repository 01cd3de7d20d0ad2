"""Network input features of a frame: level and change of every band, contrast of every unit to its neighbours.

Training mixtures, files and the node's hops use the same functions. Levels are natural logarithms of power.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import Samples
from antiphon_stems.grids import UnitGrid

QUIET = 1e-9
DETAILS, ROWS = 5, 3
"""Features of a unit, and of a band, besides one for each of the neighbouring spectra."""
REACHES = (3, 12, 43)
"""Half-widths in frames of a file's level averages: 0.07, 0.28 and 1 s."""
LEVEL_REACH = 129
"""Half-width in frames of a file's overall level average: 3 s."""
KEEPS = (0.6, 0.95, 0.99)
"""Decay per hop of the node's averages: over 20 ms, 0.2 s and 0.8 s."""
LEVEL_KEEP = 0.998
"""Decay per hop of the node's overall level average: 4 s."""
NEIGHBOURS = (2, 8)
"""Distances in units of the neighbour comparison."""
SIDE = 0.01


_SHIFTS = np.array([[0.3], [1.2]], np.float32)


def moving_mean(x: Samples, reach: int, axis: int) -> Samples:
    """Means over `reach` positions on either side, fewer at the ends."""
    size = x.shape[axis]
    at = np.arange(size)
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, size)
    zero = np.zeros_like(np.take(x, [0], axis), np.float64)
    sums = np.concatenate([zero, np.cumsum(x, axis, dtype=np.float64)], axis)
    shape = [1] * x.ndim
    shape[axis] = size
    found = (np.take(sums, high, axis) - np.take(sums, low, axis)) / (high - low).reshape(shape)
    return np.asarray(found, np.float32)


def describe(
    grid: UnitGrid, power: Samples, side: Samples, level: Samples, around: tuple[Samples, ...]
) -> tuple[Samples, Samples]:
    """Features of frames.

    Args:
        power: `[..., units]` mean power of the channels.
        side: `[..., units]` mean power of their difference, 0 for mono.
        level: `[..., 1]` log power that counts as the sound's level.
        around: `[..., units]` log powers of frames around, or of averages over them.

    Returns:
        Of bands `[..., (ROWS + len(around)) * bands]`, of units `[..., DETAILS + len(around), units]`.
    """
    log = np.log(power + np.float32(QUIET))
    band_power = power @ grid.mean + np.float32(QUIET)
    band = np.log(band_power)
    bands = [band - level, log @ grid.mean - band, np.log(side @ grid.mean / band_power + np.float32(SIDE))]
    details = [log - level, log - band @ grid.wide, *(log - moving_mean(log, reach, -1) for reach in NEIGHBOURS)]
    details.append(np.log(side / (power + np.float32(QUIET)) + np.float32(SIDE)))
    both = (
        np.stack([*bands, *(band - other @ grid.mean for other in around)], axis=-2).astype(np.float32),
        np.stack([*details, *(log - other for other in around)], axis=-2).astype(np.float32),
    )
    scale_bands(both[0])
    scale_units(both[1])
    return both[0].reshape(*both[0].shape[:-2], -1), both[1]


def scale_bands(rows: Samples) -> None:
    """Scales band features `[..., ROWS + around, bands]` to about 1, in place."""
    np.multiply(rows, np.float32(0.5), out=rows)
    np.add(rows[..., 1:3, :], _SHIFTS, out=rows[..., 1:3, :])
    np.clip(rows, np.float32(-4.0), np.float32(3.0), out=rows)


def scale_units(rows: Samples) -> None:
    """Scales unit features `[..., DETAILS + around, units]` to about 1, in place."""
    np.multiply(rows, np.float32(0.5), out=rows)
    np.add(rows[..., 4, :], np.float32(1.2), out=rows[..., 4, :])
    np.clip(rows, np.float32(-4.0), np.float32(3.0), out=rows)


def smoother(units: int, reach: int) -> Samples:
    """Matrix of `moving_mean`, `[units, units]`."""
    apart = np.abs(np.arange(units)[:, None] - np.arange(units)) <= reach
    return np.asarray(apart / apart.sum(axis=0), np.float32)


def describe_file(grid: UnitGrid, power: Samples, side: Samples) -> tuple[Samples, Samples]:
    """Features of a file segment, with look-ahead: power and side `[frames, units]`."""
    log = np.log(power + np.float32(QUIET))
    frame = (power @ grid.width)[:, None] / np.float32(grid.bins)
    level = np.log(moving_mean(frame, LEVEL_REACH, 0) + np.float32(QUIET))
    before, after = np.concatenate([log[:1], log[:-1]]), np.concatenate([log[1:], log[-1:]])
    means = (moving_mean(log, reach, 0) for reach in REACHES)
    return describe(grid, power, side, level, (*means, before, after))
