"""A note of a whole sound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """A note with its place in the sound.

    Attributes:
        start: Frame at which it begins.
        end: Frame at which it ends, after `start`.
        number: MIDI note number.
        velocity: Above 0, up to 1.
        pitch: MIDI note number with its fraction, as sung; -1 where it is not known.
    """

    start: int
    end: int
    number: int
    velocity: float
    pitch: float = -1.0
