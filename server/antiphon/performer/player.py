"""Decides what is sent when: asks a leader for events half a second ahead, and sends them a tenth of a second ahead.

Two processes perform the script. The leader is ahead, so that a step which never ends is noticed, and replaced, before
its events are due. The follower has come to what was sent: a cue from outside is given to it, another version of the
script is read in a copy of it, and each time a copy of the follower is the new leader. Nothing in this module reads a
clock.
"""

from __future__ import annotations

import bisect
import math
import signal
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

from antiphon.live.listening import level_cue
from antiphon.performer.branch import Branch, Processes, pair
from antiphon.performer.limits import PATIENCE

LEAD = 0.1
"""Seconds that events are sent ahead of their beats, at most."""
AHEAD = 0.5
"""Seconds that events are asked for ahead of the server's beat."""
FIRST_PATIENCE = 2.0
"""Seconds that reading a script may take where nothing plays yet: it may import what takes long."""
LATE = 0.25
"""Seconds after which the beginning of a note is left out rather than played late."""
MARGIN = 0.05
"""Seconds before a bar in which a new version still begins on it."""
GRID = 1024
"""Parts of a beat to which what was sent is counted."""
_CHUNK, _FOLLOW = Fraction(1, 4), Fraction(1, 8)
"""Beats that the leader is asked for at once, and that the follower may be behind."""
MOST_CUES, MOST_WAITING_CUES = 16, 256
MOST_STRIKES = 64
"""Calls of one version that may run without end before all of it counts as failed."""
_SHOWN = 32
"""Faults whose repetition is not shown."""
Key: TypeAlias = tuple[str, int, int]


class Show(Protocol):
    """Shows a sentence to the performer."""

    def __call__(self, sentence: str, picture: str = "", *, fault: bool = False) -> None:
        """picture: lines below it. fault: something is wrong."""


@dataclass(frozen=True, slots=True, order=True)
class SentEvent:
    """A message for the server.

    Attributes:
        beat: Of the server's musical clock.
        address: As in OSC.
        args: Its arguments.
        line: Of the script.
    """

    beat: float
    address: str
    args: tuple[Any, ...]
    line: int = 0


_Event: TypeAlias = tuple[Fraction, int, str, tuple[Any, ...], int]
"""Beat of the script, order, address, arguments, line."""


class Player:
    """Plays the versions of a script.

    Attributes:
        patch: The patch that the version that plays names.
        wanted: Another patch that the next version names, which has to be loaded before it is taken; or "".
        late: Beginnings of notes that were left out.
        starved: How often a step of time had not all of its events.
        swaps: Versions that were taken.
        silent: Whether notes are left out, until the script is saved.
    """

    def __init__(self, path: str, processes: Processes, show: Show, *, quantum: float = 0.0) -> None:
        """Plays nothing before `save`.

        Args:
            path: Of the script, for errors.
            processes: Where it is performed.
            show: Takes what is to be read by the performer.
            quantum: Beats at whose multiples a new version begins; 0 for the script's bars.
        """
        self._path, self._processes, self._show = path, processes, show
        self._quantum = Fraction(quantum).limit_denominator(GRID)
        self._follower: Branch | None = None
        self._leader: Branch | None = None
        self._candidate: Branch | None = None
        self._header: dict[str, Any] | None = None
        self._since: list[tuple[str, dict[str, Any]]] = []
        self._text, self._texts = "", [""]
        self._buffer: list[_Event] = []
        self._number = 0
        self._sent = self._covered = self._cut = Fraction(0)
        self._hold: Fraction | None = None
        self._offset: Fraction | None = None
        self._bar = Fraction(4)
        self._now, self._bpm = 0.0, 120.0
        self._first: list[SentEvent] = []
        self._sounding: set[Key] = set()
        self._awaited: set[str] = set()
        self._cues: deque[tuple[str, Any]] = deque()
        self._shown: deque[str] = deque(maxlen=_SHOWN)
        self._strikes = 0
        self._levels: dict[str, list[float]] = {}
        self._above: dict[tuple[str, float], bool] = {}
        self.patch = self.wanted = ""
        self.late = self.starved = self.swaps = 0
        self.silent = False

    # ---- from outside

    @property
    def playing(self) -> bool:
        """Whether a version plays."""
        return self._follower is not None

    @property
    def covered(self) -> float:
        """The server's beat up to which events are known; minus infinity where nothing plays."""
        if self._follower is None or self._offset is None:
            return -math.inf
        return float(self._known() + self._offset)

    def branches(self) -> list[Branch]:
        """The processes that perform now."""
        return [one for one in (self._follower, self._leader, self._candidate) if one is not None]

    def save(self, text: str) -> None:
        """Another version of the script: it is read, and taken on the next bar where it can be."""
        if self._candidate is not None:
            self._candidate.end()
        self._header, self.wanted, self._since = None, "", []
        source = self._follower or self._processes.first
        self._text, self._candidate = text, source.fork()
        patience = FIRST_PATIENCE if self._follower is None else PATIENCE
        self._candidate.ask("read", path=self._path, text=text, patience=patience)

    def cue(self, name: str, value: Any = None) -> None:
        """Wakes the loops that wait for a name, as soon as what was not sent yet allows."""
        if name in self._awaited and self._follower is not None and len(self._cues) < MOST_WAITING_CUES:
            self._cues.append((name, value))

    def level(self, node: str, decibels: float) -> None:
        """The level of a node is so high now, in dBFS."""
        for above in self._levels.get(node, ()):
            was, self._above[node, above] = self._above.get((node, above), False), decibels > above
            if decibels > above and not was:
                self.cue(level_cue(node, above))

    def loaded(self) -> None:
        """The patch that was `wanted` plays."""
        self.patch, self.wanted = self.wanted, ""

    def refuse(self, sentence: str) -> None:
        """The version that was read cannot be taken."""
        if self._candidate is not None:
            self._candidate.end()
        self._candidate, self._header, self.wanted = None, None, ""
        self._show(sentence, fault=True)

    def panic(self) -> None:
        """Silence was asked for: notes are left out until the script is saved."""
        if not self.silent and self.playing:
            self._show("panic: the script plays on in silence until it is saved")
        self.silent = True
        self._sounding.clear()

    def ends(self) -> list[SentEvent]:
        """The ends of the notes that sound, at the first beat for which nothing was sent."""
        at = float(self._sent + (self._offset or 0))
        events = [SentEvent(at, "/note/off", _off(key)) for key in sorted(self._sounding)]
        self._sounding.clear()
        return events

    def close(self) -> None:
        """Ends the processes."""
        for branch in self.branches():
            branch.end()
        self._follower = self._leader = self._candidate = None

    def tick(self, now: float, bpm: float) -> list[SentEvent]:
        """One step of time.

        Args:
            now: The server's beat.
            bpm: Its tempo.

        Returns:
            What is to be sent now, in order.
        """
        self._now, self._bpm = now, bpm
        self._processes.collect()
        for branch in self.branches():
            if branch in self.branches():  # what another one answered may have ended it
                self._read(branch)
        self._read(self._processes.first)
        if self._header is not None and not self.wanted:
            self._take()
        if self._follower is None:
            return self._flushed()
        self._align()
        self._give_cues()
        self._ask()
        return [*self._flushed(), *self._due()]

    # ---- answers

    def _read(self, branch: Branch) -> None:
        answers, ended = branch.answers()
        for answer in answers:
            match answer["did"]:
                case "read" if branch is self._candidate:
                    self._header = answer
                    # a patch is loaded before the version that needs it is taken
                    self.wanted = answer["patch"] if answer["patch"] != self.patch else ""
                case "until" if branch is self._leader:
                    self._events(branch, answer)
                case "until" if branch is self._follower:
                    self._awaited.update(answer["awaited"])
                case "dead":
                    branch.end()
                    self._failed(branch, answer["fault"], answer["picture"])
                    return
        if ended or branch.overdue():
            status = branch.end(ended=ended)
            self._failed(branch, _cause(status) if ended else "it runs without end, or waits, and was stopped", None)

    def _events(self, branch: Branch, answer: dict[str, Any]) -> None:
        """What the leader gives."""
        events: list[_Event] = []
        for above, below, address, args, line in answer["events"]:
            self._number += 1
            events.append((Fraction(above, below), self._number, address, tuple(args), line))
        if branch.fresh:
            branch.fresh = False
            self._buffer = [event for event in self._buffer if event[0] < self._cut]
            if self._hold is not None and self._sent <= self._cut:
                self._end_strays(events, {(str(on), int(c), int(n)) for on, c, n in answer["sounding"]})
            self._hold = None
        # until its first answer, what the leader before it gave was sent
        self._buffer += [event for event in events if event[0] >= self._sent]
        self._covered = Fraction(*answer["beat"])
        for said in answer["faults"]:
            self._fault(said["fault"], said["picture"])

    def _end_strays(self, events: list[_Event], sounding: set[Key]) -> None:
        """Ends notes of which the new leader knows nothing: a script that plays otherwise each time has begun them."""
        ended = {key for key in (_key(event[2], event[3]) for event in events) if key is not None}
        for key in sorted(self._sounding - sounding - ended):
            bisect.insort(self._buffer, (self._cut, 0, "/note/off", _off(key), 0))

    def _fault(self, sentence: str, picture: str) -> None:
        if sentence not in self._shown:
            self._shown.append(sentence)
            self._show(sentence, picture, fault=True)

    def _failed(self, branch: Branch, sentence: str, picture: str | None) -> None:
        """A process has ended. picture: of a sentence with file and line; None for one without."""
        run = branch.run
        if branch is self._candidate:
            self._candidate, self._header, self.wanted = None, None, ""
            name = self._path.rpartition("/")[2]
            self._show(sentence if picture is not None else f"{name}: {sentence}", picture or "", fault=True)
        elif branch is self._leader:
            self._leader = None
            self._strike(run, sentence, picture)
        elif branch is self._follower:
            # what the leader gave was computed from the same state: it goes on as both
            self._follower, self._leader = self._leader, None
            if self._follower is None:
                self._lost()
            else:
                self._follower.ask("quiet", on=False)
                self._lead(self._follower.asked)
        elif branch is self._processes.first:
            self._show("the process from which versions are started has ended; end `antiphon live` and start it again",
                       fault=True)  # fmt: skip

    def _strike(self, run: int, sentence: str, picture: str | None) -> None:
        """The leader failed in a call of the script's code: the follower leaves that call out."""
        assert self._follower is not None
        self._strikes += 1
        if self._strikes > MOST_STRIKES:
            self._lost()
            return
        self._follow("strike", run=run, fault=sentence, picture=picture or "", located=picture is not None)
        self._lead(self._advance())

    def _lost(self) -> None:
        """Nothing performs any more: the version before is started anew, or there is silence."""
        for branch in (self._follower, self._leader):
            if branch is not None:
                branch.end()
        self._follower = self._leader = None
        self._first += self.ends()
        self._buffer, self._hold = [], None
        self._texts.pop()
        before = self._texts[-1]
        if before:
            self._show("the version before is started anew", fault=True)
            if self._candidate is None:
                self.save(before)
        else:
            self._texts.append("")
            self._show("there is silence until the script is saved", fault=True)

    # ---- processes

    def _follow(self, do: str, **values: Any) -> None:
        """Asks the follower, and later the version that is being read, which goes on from the same state."""
        assert self._follower is not None
        self._follower.ask(do, **values)
        if self._candidate is not None:
            self._since.append((do, values))

    def _follow_until(self, beat: Fraction) -> None:
        assert self._follower is not None
        if beat > self._follower.asked:
            self._follower.asked = beat
            self._follow("until", beat=pair(beat))

    def _advance(self) -> Fraction:
        """Brings the follower to what was sent; that beat."""
        assert self._follower is not None
        self._follow_until(self._sent)
        return self._follower.asked

    def _lead(self, cut: Fraction) -> None:
        """Makes a copy of the follower the leader, whose events are taken from a beat on."""
        assert self._follower is not None
        if self._leader is not None:
            self._leader.end()
        self._leader, self._cut = self._follower.fork(), cut
        self._leader.ask("quiet", on=True)

    def _ask(self) -> None:
        assert self._follower is not None
        if self._follower.idle and self._sent - self._follower.asked >= _FOLLOW:
            self._advance()
        leader, target = self._leader, self._here(AHEAD)
        if leader is not None and leader.idle and leader.asked < target:
            leader.until((leader.asked // _CHUNK + 1) * _CHUNK)

    def _give_cues(self) -> None:
        """Gives the follower the cues that came, once the leader of the last ones has answered."""
        if not self._cues or self._hold is not None:
            return
        at = self._advance()
        self._lead(at)
        assert self._leader is not None
        for count in range(min(len(self._cues), MOST_CUES)):
            name, value = self._cues.popleft()
            beat = at + Fraction(count, GRID)  # two cues on one beat would be one
            if count:
                self._follow_until(beat)
                self._leader.until(beat)
            self._follow("cue", name=name, value=value)
            self._leader.ask("cue", name=name, value=value)
        self._hold = at

    # ---- versions

    def _take(self) -> None:
        """Takes the version that was read."""
        candidate, header = self._candidate, self._header
        assert candidate is not None
        assert header is not None
        self._header, bar = None, Fraction(*header["bar"])
        at = self._begin(candidate, bar) if self._follower is None else self._replace(candidate)
        self._candidate, self._follower, self._bar = None, candidate, bar
        self._lead(candidate.asked)
        self._levels = {}
        for node, above in header["levels"]:
            self._levels.setdefault(node, []).append(above)
        self._texts.append(self._text)
        del self._texts[1:-2]
        self._strikes, self.silent = 0, False
        self._shown.clear()
        self.swaps += 1
        self._show(f"plays from bar {at // self._bar + 1}")

    def _begin(self, candidate: Branch, bar: Fraction) -> Fraction:
        """Begins on the server's next bar, as beat 0 the first time."""
        if self._offset is None:
            self._offset = Fraction(_next(self._soon(), bar))
            at = Fraction(0)
            # the beat is put on a sample, so that what follows is where a file has it
            self._first.append(SentEvent(float(self._offset), "/beat", (float(self._offset),)))
        else:
            at = max(_next(self._soon() - float(self._offset), bar), self._sent)
        self._sent = self._covered = candidate.asked = at
        candidate.ask("start", beat=pair(at), tempo=self._bpm)
        candidate.ask("until", beat=pair(at))
        return at

    def _replace(self, candidate: Branch) -> Fraction:
        """Brings the version that was read to where the follower is, and has it begin on a bar."""
        assert self._follower is not None
        assert self._offset is not None
        at = self._advance()
        candidate.ask("quiet", on=True)
        for do, values in self._since:
            candidate.ask(do, **values)
        candidate.ask("quiet", on=False)
        candidate.asked = at
        self._since = []
        beat = max(_next(self._soon() - float(self._offset), self._quantum or self._bar), at)
        candidate.ask("swap", beat=pair(beat))
        self._follower.end()
        self._hold = beat
        return beat

    def _soon(self) -> float:
        return self._now + (LEAD + MARGIN) * self._bpm / 60.0

    # ---- time

    def _here(self, seconds: float) -> Fraction:
        """The script's beat in so many seconds, rounded down."""
        beat = self._now + seconds * self._bpm / 60.0
        return Fraction(math.floor(beat * GRID), GRID) - (self._offset or 0)

    def _align(self) -> None:
        """Goes on from where the script was on the next bar, where the server's beat has jumped."""
        assert self._offset is not None
        behind = self._here(0.0) - self._sent
        if -2 * self._bar < behind < max(Fraction(2), self._here(1.0) - self._here(0.0)):
            return
        bars = math.ceil((Fraction(self._soon()) - self._sent - self._offset) / self._bar)
        self._first += [SentEvent(self._now, "/note/off", _off(key)) for key in sorted(self._sounding)]
        self._sounding.clear()
        self._offset += bars * self._bar

    def _known(self) -> Fraction:
        """The script's beat up to which events are known, and no other leader gives others."""
        return self._covered if self._hold is None else min(self._hold, self._covered)

    def _flushed(self) -> list[SentEvent]:
        first, self._first = self._first, []
        return first

    def _due(self) -> list[SentEvent]:
        """The events that are due within `LEAD` seconds."""
        assert self._offset is not None
        wanted = self._here(LEAD)
        limit = min(wanted, self._known())
        if limit <= self._sent:
            self.starved += wanted > self._sent
            return []
        self.starved += limit < wanted
        count = bisect.bisect_left(self._buffer, (limit,))
        due, self._buffer = self._buffer[:count], self._buffer[count:]
        self._sent = limit
        too_late = self._here(-LATE)
        events: list[SentEvent] = []
        for beat, _, address, args, line in due:
            begins = address.endswith("/play") or (address == "/note/on" and args[1] > 0)
            if begins and (self.silent or beat < too_late):
                self.late += not self.silent
                continue
            key = _key(address, args)
            if key is not None:
                (self._sounding.add if begins else self._sounding.discard)(key)
            events.append(SentEvent(float(beat + self._offset), address, args, line))
        return events


def _next(beat: float, quantum: Fraction) -> Fraction:
    """The first multiple of a quantum from a beat on."""
    return math.ceil(Fraction(beat) / quantum) * quantum


def _key(address: str, args: tuple[Any, ...]) -> Key | None:
    """The note that a message begins or ends."""
    if address not in ("/note/on", "/note/off"):
        return None
    return str(args[3]) if len(args) > 3 else "", int(args[2]), int(args[0])


def _off(key: Key) -> tuple[Any, ...]:
    node, channel, number = key
    return (number, 0, channel, *((node,) if node else ()))


def _cause(status: int | None) -> str:
    if status == -signal.SIGVTALRM:
        return f"it runs without end, over {PATIENCE:g} s in one call, and was stopped"
    if status is not None and status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process has ended{'' if status is None else f', with status {status}'}; a script plays to its end"
