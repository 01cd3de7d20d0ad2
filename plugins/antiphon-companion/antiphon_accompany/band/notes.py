"""A note in musical time."""

from typing import NamedTuple


class BeatNote(NamedTuple):
    """A note in musical time."""

    start: float  # beats (quarter notes) from the beginning
    end: float  # beats from the beginning
    pitch: int  # MIDI number
    velocity: float = 0.7  # above 0 to 1
    part: str = ""  # of the band, or ""
