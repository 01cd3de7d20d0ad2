"""Limits how much of the removal the gate asks for is applied, by what it has removed so far.

The network errs now and then. Three rules bound the damage; none applies once the noise has been learned. A removal
that is small against the recent level is always allowed, since it is inaudible as damage. The smaller the share removed
recently, the lower the limit on a large removal: where there was little noise, it is more likely an error. And where
the level is well above its floor and nearly all of it would be removed, it is taken for the wanted sound.
"""

from __future__ import annotations

import math

HARMLESS_SHARE = 10.0**-2.5
"""Removed power over recent level, -25 dB, below which a removal is always allowed."""
MIN_LIMIT, LIMIT_FROM_DB, LIMIT_RANGE_DB = 0.3, -16.0, 8.0
"""The limit rises from `MIN_LIMIT` to 1 while the share removed recently rises from -16 dB to -8 dB."""
MAX_SHARE, SHARE_FADE = 0.75, 0.25
"""Above the floor the limit falls from 1 to 0 while the share removed over the long memory rises from 0.5 to 0.75."""
STEADY_RATIO = 3.0
"""Level over floor above which the sound counts as changing."""
SHORT_MEMORY, LONG_MEMORY, FLOOR_HOPS = 0.99, 0.999, 150
"""In hops of 13.3 ms: decay of the two running shares, and half the time over which the floor is a minimum."""
FILL_HOPS = 4
_QUIET = 1e-10


class _Share:
    """Running share of power removed, 0 to 1: a plain mean at first, then with a memory of 1 / (1 - keep) hops."""

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self.reset()

    def reset(self) -> None:
        self._count = self.level = self._removed = 0.0

    def update(self, level: float, removed: float) -> float:
        self._count = self._count * self._keep + 1.0
        self.level += (level - self.level) / self._count
        self._removed += (removed - self._removed) / self._count
        return self._removed / (self.level + _QUIET)


class SuppressionLimit:
    """The limit of one stream. Levels are mean powers of a frame."""

    def __init__(self) -> None:
        self._short, self._long = _Share(SHORT_MEMORY), _Share(LONG_MEMORY)
        self.reset()

    def reset(self) -> None:
        """Clears all running means."""
        self._short.reset()
        self._long.reset()
        self._smooth = 0.0
        self._lowest = self._before = math.inf
        self._hops = 0

    def update(self, level: float, removed: float) -> float:
        """The share, 0 to 1, of the gate's removal that is allowed in a frame; both are mean powers."""
        short_share_db = 10.0 * math.log10(self._short.update(level, removed) + _QUIET)
        long_share = self._long.update(level, removed)
        floor = self._floor(level)
        limit = 1.0
        harmless = HARMLESS_SHARE * self._short.level
        if removed > harmless:
            by_share = MIN_LIMIT + (1.0 - MIN_LIMIT) * (short_share_db - LIMIT_FROM_DB) / LIMIT_RANGE_DB
            limit = min(1.0, max(by_share, MIN_LIMIT, math.sqrt(harmless / removed)))
        if level > STEADY_RATIO * floor:
            limit = min(limit, max(0.0, (MAX_SHARE - long_share) / SHARE_FADE))
        return limit

    def _floor(self, level: float) -> float:
        """The minimum of the smoothed level over the last two to four seconds."""
        self._hops += 1
        if self._hops <= FILL_HOPS:
            # frames that reach back before the start contain silence
            self._smooth = level
            return level
        self._smooth = 0.5 * (self._smooth + level)
        if self._hops % FLOOR_HOPS == 0:
            self._before, self._lowest = self._lowest, math.inf
        self._lowest = min(self._lowest, self._smooth)
        return min(self._before, self._lowest)
