"""Values of `range` and `meter`."""

from __future__ import annotations

import re

from antiphon.api import ParamError
from antiphon_follow.bars import METERS

RANGE = "50-200"
LEAST, MOST = 30.0, 300.0
"""Limits of `range`, bpm."""
METER_NAMES = ("auto", "2", "3", "4", "6")


def range_of(text: str) -> tuple[float, float]:
    """Lowest and highest tempo of a text as "60-200". Raises ParamError: it is none, or outside the limits."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\s*", text)
    low, high = (float(part) for part in found.groups()) if found else (0.0, 0.0)
    if not LEAST <= low < high <= MOST:
        raise ParamError(f"range takes two tempos as 60-200, within {LEAST:g}-{MOST:g} bpm, not {text!r}")
    return low, high


def meters_of(name: str) -> tuple[int, ...]:
    """Meters that a filter chooses from."""
    return METERS if name == "auto" else (int(name),)
