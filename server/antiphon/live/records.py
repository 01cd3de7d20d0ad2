"""Output records of a live script: events in beats, in the format of event files and OSC."""

import heapq
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.graph import NAME
from antiphon.live.patterns.spans import Mark

Argument: TypeAlias = float | int | str | bool
OUTSIDE = "@"
"""Address prefix of messages to other programs: `@127.0.0.1:9000/light`."""
MIDI = OUTSIDE + "/"
"""Address prefix of MIDI port messages, and of the node of a note for such a port: `@/note/on`, `@/Synth`."""
TEMPO, SET, PLAY = range(3)
"""Order of events on one beat, after note-offs: the tempo, settings, note-ons."""


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """A message at a beat: one line of a file of events.

    `source`: name of the track or the loop that sends it; "" for the script itself. `line`: line in the script, from 1;
    0 if unknown.
    """

    beat: Fraction
    address: str
    args: tuple[Argument, ...]
    source: str = ""
    line: int = 0
    mark: Mark | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class LiveNote:
    """A note with its length: source of a note-on and a note-off."""

    beat: Fraction
    note: int  # 0 to 127
    velocity: float  # 1 to 127
    length: Fraction  # in beats, above 0
    on: str = ""  # the node's name; "" for every node that takes notes
    channel: int = 1  # 1 to 16; 1 with `values`
    source: str = ""  # as of `LiveEvent`
    line: int = 0
    mark: Mark | None = field(default=None, compare=False)
    values: tuple[Argument, ...] = ()  # names and values of its own, in turn, for the node's SynthDef

    @property
    def key(self) -> tuple[str, int, int]:
        """Identity of a note: node, channel and number; notes with the same key end together."""
        return self.on, self.channel, self.note

    @property
    def way(self) -> str:
        """Address prefix of its messages: `OUTSIDE` for a MIDI port."""
        return OUTSIDE if self.on.startswith(OUTSIDE) else ""

    def note_on(self) -> LiveEvent:
        """Note-on message."""
        if self.values:
            own = ("note", self.note, "velocity", self.velocity, "length", 0, *self.values)
            return LiveEvent(self.beat, f"/node/{self.on}/play", own, self.source, self.line, self.mark)
        args = (self.note, self.velocity, self.channel, *((self.on,) if self.on else ()))
        return LiveEvent(self.beat, f"{self.way}/note/on", args, self.source, self.line, self.mark)

    def note_off(self, beat: Fraction) -> LiveEvent:
        """Note-off message at a beat."""
        args = (self.note, 0, self.channel, *((self.on,) if self.on else ()))
        return LiveEvent(beat, f"{self.way}/note/off", args, self.source, self.line)


class ScriptError(UsageError):
    """A live script that cannot continue.

    `picture`: the faulty text, and below it a caret at the character; "" without any. `before`: whether it comes from a
    version that has been replaced, or is about to be.
    """

    def __init__(self, message: str, picture: str = "") -> None:
        super().__init__(message)
        self.picture, self.before = picture, False


class ScriptTooLong(BaseException):
    """Raised when a script runs too long without a wait. Not an `Exception`, which a script might catch."""


def line_of(path: str) -> int:
    """Script line of the present call, from 1; 0 outside a script."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        if frame.f_back is None:
            return 0
        frame = frame.f_back
    return 0


def check_node_name(name: object) -> str:
    """Checks and returns a node name. Raises `UsageError` for an invalid one."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UsageError(f"a node's name is a word of the patch, as drums, not {str(name)[:40]!r}")
    return name


class SoundingNotes:
    """Tracks note-ons and note-offs; a channel holds only one of equal notes."""

    def __init__(self) -> None:
        """Starts without sounding notes."""
        self._count = 0
        self._ends: list[tuple[Fraction, int, LiveNote]] = []
        self._numbers: dict[tuple[str, int, int], int] = {}

    @property
    def keys(self) -> set[tuple[str, int, int]]:
        """Node, channel and number of each note."""
        return set(self._numbers)

    def begin(self, note: LiveNote, events: list[LiveEvent]) -> None:
        """Adds a note-on to the events."""
        if note.key in self._numbers:  # a note that begins again ends before, or its end would end the new one
            events.append(note.note_off(note.beat))
        self._count += 1
        self._numbers[note.key] = self._count
        heapq.heappush(self._ends, (note.beat + note.length, self._count, note))
        events.append(note.note_on())

    def end(self, beat: Fraction, events: list[LiveEvent], *, through: bool = False) -> None:
        """Adds the note-offs before a beat to the events. `through`: including those on it."""
        while self._ends and (self._ends[0][0] < beat or (through and self._ends[0][0] == beat)):
            at, number, note = heapq.heappop(self._ends)
            if self._numbers.get(note.key) == number:
                del self._numbers[note.key]
                events.append(note.note_off(at))
