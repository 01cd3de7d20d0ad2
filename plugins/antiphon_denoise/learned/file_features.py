"""What the mask of files sees of a file, in numpy: the mask's features of the past and, backwards, of what comes.

Beside them, the level to which each unit falls in the seconds around. All levels are natural logarithms of power.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from antiphon.api import F32
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import tables
from antiphon_denoise.learned.tables import BLOCK, DETAILS, FEATURES, LEVEL, LONG, NO_FLOOR, PAST, QUIET, SHORT

AROUND = 8
"""Blocks of hops each way, of whose lowest levels the median is taken: 3 s."""
FILE_FEATURES = 2 * FEATURES + 1
FILE_DETAILS = DETAILS + 4
_LOWS, _HIGHS, _SCALES, _SHIFTS = (np.array(row, np.float32) for row in tables.ROWS.values())


def bands_and_details(log: F32, noise: F32 | None) -> tuple[F32, Callable[[slice], F32]]:
    """bands `[T, COUNT, FILE_FEATURES]`, and what gives the details `[…, FILE_DETAILS, UNITS]` of some of the hops.

    log: `[T, UNITS]` log powers; noise: `[UNITS]`, those of the noise, where they are known.
    """
    past, future = _followed(log), [part[::-1] for part in _followed(log[::-1])]
    around = lowest_around(past[0])
    power = np.exp(log)
    level = np.log(power @ tables.mean() + np.float32(QUIET))
    frame = power @ tables.sums()[:, COUNT]
    frames = _running(frame), _running(frame[::-1])[::-1]
    bands = [
        _bands(log, level, followed, mean, frame, noise) for followed, mean in zip((past, future), frames, strict=True)
    ]
    near = np.clip(around @ tables.mean() - level, _LOWS[4], _HIGHS[4]) * _SCALES[4] + _SHIFTS[4]
    here = level @ tables.wide()

    def details(some: slice) -> F32:
        now = log[some]
        wide = np.pad(now, ((0, 0), (2, 2)), "edge")
        parts = [now, wide[:, 1:-3], wide[:, 3:-1], wide[:, :-4], wide[:, 4:], *(part[some] for part in past)]
        parts += [here[some] if noise is None else np.broadcast_to(noise, now.shape)]
        parts += [*(part[some] for part in future), around[some]]
        made = np.stack(parts, 1) - here[some, None]
        np.clip(made, np.float32(tables.LOWEST_DETAIL), np.float32(tables.HIGHEST_DETAIL), out=made)
        return np.asarray(made * np.float32(tables.DETAIL_SCALE))

    return np.concatenate([*bands, near[..., None]], 2), details


def lowest_around(short: F32) -> F32:
    """Of smoothed levels `[T, UNITS]`: the median of each block's lowest over `AROUND` blocks each way."""
    lowest = np.minimum.reduceat(short, np.arange(0, len(short), BLOCK))
    # of an even number the lower one, as torch has it
    median = [np.sort(lowest[max(0, row - AROUND) : row + AROUND + 1], 0) for row in range(len(lowest))]
    return np.repeat([rows[(len(rows) - 1) // 2] for rows in median], BLOCK, 0)[: len(short)]


def _followed(log: F32) -> list[F32]:
    """`[T, UNITS]`: both smoothed levels, and the lowest of the first over the blocks so far."""
    short, long, floor = (np.empty_like(log) for _ in range(3))
    floors = np.full((PAST, log.shape[1]), NO_FLOOR, np.float32)
    keep_short, keep_long = np.float32(SHORT), np.float32(LONG)
    for hop, now in enumerate(log):
        before = max(0, hop - 1)
        short[hop] = now + keep_short * (short[before] - now) if hop else now
        long[hop] = now + keep_long * (long[before] - now) if hop else now
        block = hop // BLOCK % PAST
        if hop % BLOCK == 0:
            floors[block] = NO_FLOOR
        np.minimum(floors[block], short[hop], out=floors[block])
        np.minimum.reduce(floors, axis=0, out=floor[hop])
    return [short, long, floor]


def _running(frame: F32) -> F32:
    """The mean of all hops so far `[T]`, each weighing `LEVEL` of the one after it."""
    out, mean, weight = np.empty_like(frame), 0.0, 0.0
    for hop, now in enumerate(frame):
        weight = weight * LEVEL + 1.0
        mean += (float(now) - mean) / weight
        out[hop] = mean
    return out


def _bands(log: F32, level: F32, followed: list[F32], mean: F32, frame: F32, noise: F32 | None) -> F32:
    """`[T, COUNT, FEATURES]`, as `HopFeatures.bands` has them feature by feature."""
    made = np.zeros((*level.shape, FEATURES), np.float32)
    mean_log = np.log(mean + tables.QUIETEST_MEAN)[:, None]
    made[..., 0] = level - mean_log
    for row, part in enumerate((log, *followed), 1):
        made[..., row] = part @ tables.mean() - level
    if noise is not None:
        made[..., 5] = np.log(np.exp(noise) @ tables.mean() + np.float32(QUIET)) - level
        made[..., 6] = 1.0
    made[..., 7] = np.log(frame + QUIET)[:, None] - mean_log
    made[..., 8] = mean_log
    return np.asarray(np.clip(made, _LOWS, _HIGHS) * _SCALES + _SHIFTS, np.float32)
