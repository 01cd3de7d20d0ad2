"""Tables of `harmony`: counted from songs, or diatonic defaults if not installed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import ModelError, find_array, read_weights
from antiphon_accompany.harmony.chords import tones

F32 = NDArray[np.float32]
MODEL = "accompany-harmony"
PAST = ((-8, -4), (-4, -2), (-2, -1), (-1, 0))
AHEAD = ((0, 1), (1, 2), (2, 4), (4, 8))
WINDOWS = ((-3, 1), (-2, 2), (-1, 3), (0, 4), (-1, 1), (0, 2), (-16, -15), (-8, -7), (8, 9), (16, 17))
"""Windows of the melody in beats relative to the current beat; near single-beat ones also count onsets."""
_COMMON = ({0: 6, 5: 4, 7: 4, 21: 3, 14: 2, 16: 1}, {12: 6, 17: 3, 8: 4, 3: 2, 10: 3, 19: 2, 7: 1})
DIATONIC = tuple(tuple(shares) for shares in _COMMON)
"""Chords of a major and a minor key, relative to the tonic; of a minor key both dominants."""
_CHANGE = (0.8, 0.05, 0.4, 0.05)
_log = logging.getLogger("antiphon.accompany")


@dataclass(frozen=True)
class HarmonyTables:
    """Tables for the modes major, minor, with chords relative to the tonic.

    first: `[2, 24]`, a chord's share.  next: `[4, 2, 24, 24]`, by place in the bar, from chord to chord.
    heard: `[2, 24, 24]`, log chance of a beat's 12 durations and 12 onsets (weighted), by chord.
    past, around: `[4, 2, features + 1, 24]`, the discriminants without and with lookahead.
    """

    first: F32
    next: F32
    heard: F32
    past: F32
    around: F32

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> HarmonyTables:
        """Tables of arrays by name, in any precision. Raises `ModelError`: they do not fit."""
        shapes: dict[str, tuple[int, ...]] = {"first": (2, 24), "next": (4, 2, 24, 24), "heard": (2, 24, 24)}
        shapes |= {
            "past": (4, 2, _groups(PAST) * 12 + 1, 24),
            "around": (4, 2, _groups(PAST + AHEAD + WINDOWS) * 12 + 1, 24),
        }
        return cls(**{name: find_array(arrays, name, *shape).astype(np.float32) for name, shape in shapes.items()})


def _groups(windows: tuple[tuple[int, int], ...]) -> int:
    """Number of groups of twelve features: each window, onsets of single-beat ones, held notes."""
    return sum(1 + is_near_beat(*window) for window in windows) + 1


def is_near_beat(first: int, last: int) -> bool:
    """Whether a window is a single beat near the current one."""
    return last - first == 1 and abs(first) <= 2


@cache
def installed_tables() -> HarmonyTables:
    """The installed tables; the defaults, with a warning, if missing or changed."""
    try:
        return HarmonyTables.of(read_weights(MODEL))
    except ModelError as error:
        _log.warning("%s; accompany goes by plain rules of harmony", error)
        return plain()


def plain() -> HarmonyTables:
    """Default tables: diatonic chords that change with the bar, and melody notes that are mostly chord tones."""
    first = np.full((2, 24), 0.05)
    fits = np.full((24, 12), 0.05)
    for chord in range(24):
        fits[chord, list(tones(chord))] = (0.3, 0.24, 0.26)
    for mode, shares in enumerate(_COMMON):
        for chord, share in shares.items():
            first[mode, chord] = share
    first /= first.sum(axis=1, keepdims=True)
    change = np.array(_CHANGE)[:, None, None, None]
    following = (1.0 - change) * np.eye(24) + change * first[None, :, None, :]
    fits = np.log(fits / fits.sum(axis=1, keepdims=True)).T
    melody = np.broadcast_to(np.concatenate((0.6 * fits, 0.4 * fits)), (2, 24, 24))
    arrays = {"first": first, "next": following, "heard": melody}
    for name, windows, window_count in (("past", PAST, 5), ("around", PAST + AHEAD + WINDOWS, 7)):
        # the beat before, or with lookahead the beat itself and the next
        table = np.zeros((4, 2, _groups(windows) * 12 + 1, 24))
        for group, weight in ((4, 0.3), (5, 0.2)) if window_count == 5 else ((6, 1.0), (7, 0.5), (8, 0.8), (10, 0.5)):
            table[:, :, group * 12 : group * 12 + 12] = weight * fits
        table[:, :, -1] = np.log(first)
        arrays[name] = table
    return HarmonyTables.of(arrays)
