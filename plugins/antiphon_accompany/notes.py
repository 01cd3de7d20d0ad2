"""A note in musical time."""

from __future__ import annotations

from typing import NamedTuple


class BeatNote(NamedTuple):
    """start, end: beats (quarter notes) from the beginning.  pitch: MIDI number.  velocity: above 0 to 1."""

    start: float
    end: float
    pitch: int
    velocity: float = 0.7
