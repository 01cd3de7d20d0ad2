"""Queue of known, unsent script events, and the sounding notes."""

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

from antiphon.live.records import OUTSIDE

Key: TypeAlias = tuple[str, int, int]
"""Note key: node, channel and number."""
Lit: TypeAlias = tuple[float, list[list[int]]] | None
"""Highlight of an event in an editor: length in beats, and source positions; see `antiphon.live.patterns.spans`."""
_Event: TypeAlias = tuple[Fraction, int, str, tuple[Any, ...], int, Lit, str]
"""Queued event: beat of the script, order, address, arguments, line, highlight, name of the track or loop."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """A message for the server."""

    beat: float  # beat of the server's musical clock
    address: str
    args: tuple[Any, ...]
    line: int = 0
    lit: Lit = None
    source: str = ""


class Display(Protocol):
    """Callback that shows the performer a sentence."""

    def __call__(self, sentence: str, picture: str = "", *, fault: bool = False) -> None:
        """Shows a sentence. `picture`: lines below it. `fault`: whether it is an error."""


def show_failure(show: Display, sentence: str, picture: str = "", *, before: bool) -> None:
    """Shows a failure. `before`: whether it comes from the replaced version, and not from the playing one."""
    if before:
        show(f"the version before: {sentence}")
    else:
        show(sentence, picture, fault=True)


class Outgoing:
    """Messages to be sent, by time.

    `hold`: beat from which on nothing is sent until another leader has answered, or None.
    """

    def __init__(self) -> None:
        self.offset: Fraction | None = None  # the server's beat at which the script's beat 0 is; None until it is known
        self.sent = Fraction(0)  # the script's beat before which all was sent
        self.hold: Fraction | None = None
        self.silent = False
        self.muted: frozenset[str] = frozenset()
        self.soloed: frozenset[str] = frozenset()
        self.late = 0  # beginnings of notes that were left out because their beat had passed
        self._covered = self._cut = Fraction(0)
        self._events: list[_Event] = []
        self._number = 0
        self._sounding: set[Key] = set()

    @property
    def known_until(self) -> Fraction:
        """Script beat up to which events are complete, and final under the present leader."""
        return self._covered if self.hold is None else min(self.hold, self._covered)

    def begin(self, beat: Fraction) -> None:
        """Empties the queue, complete up to a beat."""
        self.sent = self._covered = beat

    def replace(self, beat: Fraction) -> None:
        """Discards events from a beat on, before the first answer of another leader."""
        self._cut = beat

    def add(self, answer: dict[str, Any], *, fresh: bool) -> None:
        """Adds a leader's answer: its events, complete up to a beat. `fresh`: whether it is its first."""
        events: list[_Event] = []
        for above, below, address, args, line, lit, source in answer["events"]:
            self._number += 1
            events.append((Fraction(above, below), self._number, address, tuple(args), line, lit, source))
        if fresh:
            self._events = [event for event in self._events if event[0] < self._cut]
            if self.sent == self._cut:
                self._end_strays(events, {(str(on), int(c), int(n)) for on, c, n in answer["sounding"]})
            self.hold = None
        # until its first answer, what the leader before it gave was sent
        self._events += [event for event in events if event[0] >= self.sent]
        self._covered = Fraction(*answer["beat"])

    def take_due(self, wanted: Fraction, too_late: Fraction) -> list[SentEvent]:
        """Removes and returns events before a beat; notes that begin before `too_late` are omitted."""
        assert self.offset is not None
        limit = min(wanted, self.known_until)
        if limit <= self.sent:
            return []
        count = bisect.bisect_left(self._events, (limit,))
        due, self._events = self._events[:count], self._events[count:]
        self.sent = limit
        events: list[SentEvent] = []
        for beat, _, address, args, line, lit, source in due:
            begins = address.endswith("/play") or (address.endswith("/note/on") and args[1] > 0)
            if begins and (self.silent or beat < too_late):
                self.late += not self.silent
                continue
            if begins and (source in self.muted or (self.soloed and source not in self.soloed)):
                continue
            key = _key(address, args)
            if key is not None:
                (self._sounding.add if begins else self._sounding.discard)(key)
            events.append(SentEvent(float(beat + self.offset), address, args, line, lit, source))
        return events

    def ends(self, beat: float | None = None) -> list[SentEvent]:
        """Note-offs of sounding notes: at a beat of the server, or at the first unsent beat."""
        at = float(self.sent + (self.offset or 0)) if beat is None else beat
        events = [SentEvent(at, _ending(key), _off(key)) for key in sorted(self._sounding)]
        self._sounding.clear()
        return events

    def end_at(self, line: Fraction, too_late: Fraction) -> list[SentEvent]:
        """Ends a script at a server beat, which is beat 0 of the next script; returns its final events."""
        events = [*self.take_due(line - (self.offset or 0), too_late), *self.ends(float(line))]
        self.clear()
        self.offset = line
        return events

    def silence(self) -> None:
        """Clears the sounding notes after the server ended them; further note-ons are omitted."""
        self.silent = True
        self._sounding.clear()

    def clear(self) -> None:
        """Removes all events."""
        self._events, self.hold = [], None

    def _end_strays(self, events: Iterable[_Event], sounding: set[Key]) -> None:
        """Ends notes unknown to the new leader, which a nondeterministic script began."""
        ended = {key for key in (_key(event[2], event[3]) for event in events) if key is not None}
        for key in sorted(self._sounding - sounding - ended):
            self._events.append((self._cut, 0, _ending(key), _off(key), 0, None, ""))


def _key(address: str, args: tuple[Any, ...]) -> Key | None:
    if address.startswith("/node/") and address.endswith("/play"):
        given = dict(zip(args[::2], args[1::2], strict=False))
        # one without a length of its own lasts until its note-off, see `LiveNote.begun`
        note = given.get("note") if given.get("length") == 0 else None
        return (address.split("/")[2], 1, note) if isinstance(note, int) else None
    if address.removeprefix(OUTSIDE) not in ("/note/on", "/note/off"):
        return None
    return str(args[3]) if len(args) > 3 else "", int(args[2]), int(args[0])


def _ending(key: Key) -> str:
    return f"{OUTSIDE if key[0].startswith(OUTSIDE) else ''}/note/off"


def _off(key: Key) -> tuple[Any, ...]:
    node, channel, number = key
    return (number, 0, channel, *((node,) if node else ()))


def next_multiple(beat: float, quantum: Fraction) -> Fraction:
    """First multiple of a quantum at or after a beat."""
    return math.ceil(Fraction(beat) / quantum) * quantum


ScriptRequest: TypeAlias = tuple[str, dict[str, Any]]
"""Request to a performing process: its kind, and its values."""
MAX_CUES, MAX_WAITING_CUES = 16, 256
"""Maximum cues given at once, and maximum waiting; further ones are dropped."""


class WaitingCues:
    """Cue queue, in which a slider's last move replaces its previous one. `waiting`: the requests, oldest first."""

    def __init__(self) -> None:
        self.waiting: list[ScriptRequest] = []

    def put(self, do: str, given: dict[str, Any]) -> None:
        """Appends a request: `cue` or `slide`."""
        for number, (before, known) in enumerate(self.waiting):
            if do == before == "slide" and _slider(known) == _slider(given):
                self.waiting[number] = do, given
                return
        if len(self.waiting) < MAX_WAITING_CUES:
            self.waiting.append((do, given))

    def take(self) -> list[ScriptRequest]:
        """Removes and returns the requests to send now."""
        taken, self.waiting = self.waiting[:MAX_CUES], self.waiting[MAX_CUES:]
        return taken

    def restore(self, given: list[ScriptRequest]) -> None:
        """Requeues moves of an ended script before waiting ones; a waiting move of the same slider takes precedence."""
        waiting, self.waiting = self.waiting, []
        for do, values in [*given, *waiting]:
            self.put(do, values)


def _slider(given: dict[str, Any]) -> tuple[int, int]:
    return given["version"], given["place"]
