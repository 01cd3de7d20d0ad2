"""What a live script gives: events in beats, as a file of events and OSC have them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.graph import NAME
from antiphon.live.patterns.places import Mark

Argument: TypeAlias = float | int | str | bool
OUTSIDE = "@"
"""Begins the address of a message to another program: `@127.0.0.1:9000/light`."""
MIDI = OUTSIDE + "/"
"""Begins the address of what goes to a MIDI port, and of a note there its node: `@/note/on`, `@/Synth`."""
TEMPO, SET, PLAY = range(3)
"""Order of what happens on one beat, after the ends of notes: the tempo, settings, beginnings of notes."""


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """A message at a beat: one line of a file of events.

    Attributes:
        beat: From the beginning, exact.
        source: Name of the track or the loop that it comes from; "" for the script itself.
        line: Of the script, from 1; 0 where it is not known.
        mark: What a display lights, where that is looked up.
    """

    beat: Fraction
    address: str
    args: tuple[Argument, ...]
    source: str = ""
    line: int = 0
    mark: Mark | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class LiveNote:
    """A note with its length, of which a beginning and an end come.

    Attributes:
        beat: From the beginning.
        note: 0 to 127.
        velocity: 1 to 127.
        length: In beats, above 0.
        on: The node's name; "" for every node that takes notes.
        channel: 1 to 16.
        source: As of `LiveEvent`.
    """

    beat: Fraction
    note: int
    velocity: float
    length: Fraction
    on: str = ""
    channel: int = 1
    source: str = ""
    line: int = 0
    mark: Mark | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[str, int, int]:
        """Identity of a note: node, channel and number, which end together."""
        return self.on, self.channel, self.note

    @property
    def way(self) -> str:
        """What its messages' addresses begin with: `OUTSIDE` where it goes to a MIDI port."""
        return OUTSIDE if self.on.startswith(OUTSIDE) else ""

    def begun(self) -> LiveEvent:
        """The message that begins it."""
        args = (self.note, self.velocity, self.channel, *((self.on,) if self.on else ()))
        return LiveEvent(self.beat, f"{self.way}/note/on", args, self.source, self.line, self.mark)

    def ended(self, beat: Fraction) -> LiveEvent:
        """The message that ends it at a beat."""
        args = (self.note, 0, self.channel, *((self.on,) if self.on else ()))
        return LiveEvent(beat, f"{self.way}/note/off", args, self.source, self.line)


class ScriptError(UsageError):
    """A live script that cannot be played on.

    Attributes:
        picture: The text at fault, and below it a caret at the character; "" where there is none.
    """

    def __init__(self, message: str, picture: str = "") -> None:
        super().__init__(message)
        self.picture = picture


class ScriptTooLong(BaseException):
    """A script has run for too long without a wait. No `Exception`, which it might catch and go on."""


def line_of(path: str) -> int:
    """The line of a script that called this, from 1; 0 where none did."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        if frame.f_back is None:
            return 0
        frame = frame.f_back
    return 0


def node_name(name: object) -> str:
    """A node's name. Raises `UsageError` for what cannot be one."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UsageError(f"a node's name is a word of the patch, as drums, not {str(name)[:40]!r}")
    return name
