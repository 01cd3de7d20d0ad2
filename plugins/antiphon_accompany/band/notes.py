"""A note in musical time."""

from __future__ import annotations

from typing import NamedTuple


class BeatNote(NamedTuple):
    """A note in musical time.

    Attributes:
        start: Beats (quarter notes) from the beginning.
        end: Beats from the beginning.
        pitch: MIDI number.
        velocity: Above 0 to 1.
        part: Of the band, or "".
    """

    start: float
    end: float
    pitch: int
    velocity: float = 0.7
    part: str = ""
