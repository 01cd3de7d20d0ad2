"""A note of a whole sound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """A note of MIDI number `number` from frame `start` to `end`, after it; velocity above 0 to 1.

    `pitch`: the MIDI number with its fraction, as sung; -1 where it is not known.
    """

    start: int
    end: int
    number: int
    velocity: float
    pitch: float = -1.0
