"""A note or a controller, as processors get and give it, and commands and logs hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

EventKind = Literal["on", "off", "control", "bend", "program", "pitch", "pressure", "timbre"]
EVENT_KINDS: tuple[str, ...] = get_args(EventKind)
"""Kinds of events, in the order of their codes in packed events."""
PEDAL = 64
"""The MIDI controller number of the sustain pedal."""


@dataclass(frozen=True, slots=True)
class Event:
    """A note or a controller at a frame of a block.

    Events of one note ("pitch", "pressure", "timbre") are for the note of that number and channel that is down, or,
    where none is, for the next one. A processor ignores kinds that it has no use for.

    Attributes:
        kind: "on", "off", "control", "bend", "program", or of one note "pitch", "pressure", "timbre".
        offset: The frame, counted from the block's first.
        number: The note, the controller or the program, 0 to 127; 0 for a bend.
        value: Velocity above 0 to 1 for "on", 0 to 1 for "control", -1 to 1 for "bend", semitones from -96 to 96 for
            "pitch", 0 to 1 for "pressure" and "timbre".
        channel: MIDI channel, 1 to 16.
        age: Frames for which the note has sounded already, where a synth is given notes again after a restart;
            otherwise 0.
        live: The note was played without a time: it should sound as early as possible.
        serial: If above 0, the number under which the synth got this event already, by the low-latency path.
    """

    kind: str
    offset: int
    number: int = 0
    value: float = 0.0
    channel: int = 1
    age: int = 0
    live: bool = False
    serial: int = 0

    def moved(self, by: int) -> Event:
        """Copies the event to an offset `by` frames later."""
        return Event(
            self.kind, self.offset + by, self.number, self.value, self.channel, self.age, self.live, self.serial
        )
