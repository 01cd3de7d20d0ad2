"""The kinds of events, each with its message, its record and its line in a session log."""

from typing import NamedTuple

from antiphon.kernel.session.play import LAST
from antiphon.kernel.session.records import Field


class EventRow(NamedTuple):
    """A kind of event.

    Attributes:
        kind: As in `Event`.
        code: Number of its record in rings; recorded sessions have it by `op`.
        op: Its name in a session log.
        address: Of its OSC message, whose arguments are `takes`, then a channel and a node's name, which may be left
            out.
        number: Range of the event's number, with its name in messages and logs. Unlogged where the kind has none.
        value: The same of its value.
    """

    kind: str
    code: int
    op: str
    address: str
    takes: str
    number: Field
    value: Field


def _number(name: str, high: int = 127) -> Field:
    return Field(name, "B", 0, high, of="event.number")


def _value(name: str = "value", low: float = 0.0, high: float = 1.0) -> Field:
    return Field(name, "d", low, high, of="event.value")


_NO_NUMBER = Field("number", "B", 0, 0, of="event.number", logged=False, default=0)
_NO_VALUE = Field("value", "d", 0.0, 0.0, of="event.value", logged=False, default=0.0)
PITCH_REACH = 96.0
"""Maximum pitch bend of a note, in semitones: the widest bend range of MPE."""
EVENTS = (
    EventRow("on", 8, "note_on", "/note/on", "i:note i:velocity", _number("note"), _value("velocity")),
    EventRow("off", 9, "note_off", "/note/off", "i:note [i:velocity]", _number("note"), _NO_VALUE),
    EventRow("control", 10, "control", "/cc", "i:number f:value", _number("number", LAST), _value()),
    EventRow("bend", 11, "bend", "/bend", "f:value", _NO_NUMBER, _value(low=-1.0)),
    EventRow("program", 14, "program", "/program", "i:number", _number("number"), _NO_VALUE),
    EventRow("pitch", 15, "pitch", "/note/pitch", "i:note f:semitones", _number("note"),
             _value("value", -PITCH_REACH, PITCH_REACH)),
    EventRow("pressure", 16, "pressure", "/note/pressure", "i:note f:value", _number("note"), _value()),
    EventRow("timbre", 17, "timbre", "/note/timbre", "i:note f:value", _number("note"), _value()),
)  # fmt: skip
"""All kinds, in the order of `EVENT_KINDS`. The numbers of controllers include those of a note's further values."""
