"""Zone of a key range: sound in pyo's tables, and cutoff by velocity."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon_pyo.quietpyo import pyo
from antiphon_pyo.zone_sound import STEPS, ZoneSound

PADDING = 4096
"""Frames of silence after a one-shot sound: the fastest reading passes the end by less within a chunk."""


class Zone:
    """A `ZoneSound` in tables. tables: pyo's own, left and right.  size: their frames.  frames: without the padding."""

    def __init__(self, sound: ZoneSound) -> None:
        self.root, self.loop = sound.root, sound.loop
        self.frames = len(sound.left)
        self.size = self.frames if sound.loop else self.frames + PADDING
        self.hz = sound.rate / self.size
        self._logs = np.log(np.asarray(sound.cutoffs))
        self._held = [_table(sound.left, self.size)]
        self._held.append(self._held[0] if sound.right is sound.left else _table(sound.right, self.size))
        self.tables: tuple[Any, Any] = (self._held[0][0], self._held[1][0])

    def pitch(self, note: float) -> float:
        """Reading speed for a note, 1 at the root."""
        return float(2.0 ** ((note - self.root) / 12.0))

    def cutoff(self, note: float, velocity: float) -> float:
        """Low-pass cutoff of a note in Hz: it tracks the pitch."""
        return float(np.exp(np.interp(velocity, STEPS, self._logs))) * self.pitch(note)


def keys(sounds: Iterable[ZoneSound]) -> list[Zone | None]:
    """Zone of each key 0 to 127; None for silent keys. Creates the tables; requires a pyo server."""
    zones: list[Zone | None] = [None] * 128
    for sound in sounds:
        zone = Zone(sound)
        for key in range(max(0, sound.low), min(127, sound.high) + 1):
            zones[key] = zone
    return zones


def _table(x: Samples, size: int) -> Any:
    table = pyo.DataTable(size)
    view: NDArray[np.float32] = np.asarray(table.getBuffer())
    view[: len(x)] = x
    return table
