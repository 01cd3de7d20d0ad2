"""A clip that plays: what of it is due, and what it has begun and not ended."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from antiphon.api.backends.transports import Arg
from antiphon_clip.take import Take

UNMEANT = 60
"""Number of a note with values that gives none."""
Message = tuple[float, str, tuple[int | float | str, ...]]


@dataclass(slots=True, eq=False)
class ClipRun:
    """A clip that plays from beat `begin` to beat `end`.

    Attributes:
        sent: The beat before which all was sent; infinite where nothing is left.
        take: What it plays until that is kept as the clip.
    """

    name: str
    begin: float
    sent: float
    end: float = math.inf
    take: Take | None = None
    sounding: dict[tuple[Arg, ...], None] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def began(self, address: str, args: tuple[Arg, ...]) -> None:
        """Keeps what a message begins until one ends it."""
        if address == "/note/on":
            self.sounding[args[:1] + args[2:]] = None
        elif address == "/note/off":
            self.sounding.pop(args[:1] + args[2:], None)
        elif address.endswith("/play"):
            given = dict(zip(args[::2], args[1::2], strict=False))
            if "cut" in given:
                self.sounding[(address, *args)] = None
            elif given.get("length") == 0:
                self.sounding[(given.get("note", UNMEANT), 1, address.split("/")[2])] = None

    def release(self) -> Iterator[tuple[Arg, ...]]:
        """Messages that end what it began and did not end."""
        sounding, self.sounding = self.sounding, {}
        for what in sounding:
            if str(what[0]).startswith("/"):
                # a sound of a choke group: a silent one of its group ends it
                yield *what, "gain", 0
            else:
                yield "/note/off", what[0], 0, *what[1:]


def due(
    messages: list[Message], begin: float, length: float, since: float, to: float
) -> Iterator[tuple[float, str, tuple[Arg, ...]]]:
    """The messages in [since, to) of a clip that repeats after `length` beats, or is played once where that is 0."""
    first = max(0, math.floor((since - begin) / length) - 1) if length else 0
    last = max(0, math.floor((to - begin) / length)) if length else 0
    for turn in range(first, last + 1):
        base = begin + turn * length
        place = bisect_left(messages, since - base, key=lambda one: one[0])
        for beat, address, args in messages[place:]:
            if beat >= to - base:
                break
            if beat <= length or not length:
                yield base + beat, address, args
