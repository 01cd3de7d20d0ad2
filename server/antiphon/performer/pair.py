"""Leader and follower: the two processes that perform a script, and the current beat of each.

The leader runs ahead, so that a step that never ends is noticed, and replaced, before its events are due. The follower
is at the last sent event: it receives cues from outside, and another version of the script is read in its fork. Each
time, a fork of the follower becomes the new leader. Replaced versions continue silently, so that an undo returns to
their current position. Nothing in this module reads a clock.
"""

import math
from bisect import insort
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from antiphon.performer.branch import Branch
from antiphon.performer.limits import BAR_MARGIN, LATE, LOOK_AHEAD_SECONDS
from antiphon.performer.outgoing import Outgoing, ScriptRequest, SentEvent, WaitingCues, next_multiple
from antiphon.performer.scripts import ON_THE_BAR, Begin

MAX_KEPT = 4
"""Maximum number of kept versions: each is performed like the playing one."""
_VALUES = ("/node/", "/macro/", "/tempo", "/swing")
Values = dict[str, tuple[str, tuple[Any, ...]]]
"""Last address and arguments of each set value, by a key; the addresses of a macro share one key."""


def values_of(events: Iterable[tuple[str, tuple[Any, ...], str]]) -> Values:
    """Values that tracks and loops set, of events with address, arguments and source."""
    return {
        _key(address): (address, args)
        for address, args, source in events
        if source and address.startswith(_VALUES) and not address.endswith("/play")
    }


def _key(address: str) -> str:
    plain = address.replace("/node/macro/", "/macro/")
    return "/".join(plain.split("/")[:3]) if plain.startswith("/macro/") else plain


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A replaced version. `header`: its header when read; `values`: the values that it set last."""

    branch: Branch
    version: int
    text: str
    header: Mapping[str, Any]
    values: Values

    def take(self, answer: Mapping[str, Any]) -> None:
        """Stores the values of events that are not played."""
        self.values.update(values_of((event[2], tuple(event[3]), event[6]) for event in answer["events"]))


class KeptVersions:
    """The kept versions, oldest first."""

    def __init__(self) -> None:
        self._versions: list[KeptVersion] = []

    def branches(self) -> list[Branch]:
        """Processes of the kept versions."""
        return [one.branch for one in self._versions]

    def headers(self) -> list[Mapping[str, Any]]:
        """Headers of the kept versions, from when they were read."""
        return [one.header for one in self._versions]

    def keep(self, version: KeptVersion) -> None:
        """Adds a version; beyond the maximum the oldest ends."""
        version.branch.ask("quiet", on=True)
        self._versions.append(version)
        if len(self._versions) > MAX_KEPT:
            self._versions.pop(0).branch.end()

    def follow(self, do: str, values: Mapping[str, Any]) -> None:
        """Repeats requests to the playing version for the kept ones, except strikes, whose run numbers differ there."""
        for branch in self.branches() if do != "strike" else ():
            branch.ask(do, **values)

    def version_of(self, branch: Branch) -> KeptVersion | None:
        """Kept version of a process, or None."""
        return next((one for one in self._versions if one.branch is branch), None)

    def drop(self, branch: Branch) -> bool:
        """Removes the version of a process that has ended; returns False if there is none."""
        known = self.version_of(branch)
        if known is not None:
            self._versions.remove(known)
        return known is not None

    def restore_kept_version(self, version: int) -> KeptVersion | None:
        """Removes a version, and ends those that replaced it."""
        if all(one.version != version for one in self._versions):
            return None
        while (last := self._versions.pop()).version != version:
            last.branch.end()
        return last

    def clear(self) -> None:
        """Ends all kept versions."""
        while self._versions:
            self._versions.pop().branch.end()


SEND_AHEAD = 0.1
"""Maximum seconds by which events are sent ahead."""
_HEAVY_SHARE = 0.1
"""Minimum share of the CPU time for which a loop or track is left out when the total is too long."""
_AT_FAULT = 0.25
"""Minimum CPU time per musical time for which a script counts as slow; below it the machine is slow, or was stopped."""
_OVERTAKEN = 1.0
"""Delay in seconds beyond which everything up to a bar is left out."""


class ScriptPace:
    """Speed of the leader since it last had the wanted lead. Beats are the server's.

    `slow`: names that were left out last from the playing version; None while it keeps up.
    """

    def __init__(self) -> None:
        self.slow: list[str] | None = None
        self.begin(0.0, 0.0)

    def begin(self, now: float, known: float) -> None:
        """Starts measuring: `now` is the server's beat, `known` the beat up to which events are known."""
        self._begun, self._known, self._costs = now, known, dict[tuple[str, int], float]()

    def add(self, costs: Iterable[tuple[str, int, float]]) -> None:
        """Adds CPU times in seconds of loops and tracks: name, line, time."""
        for name, line, spent in costs:
            self._costs[name, line] = self._costs.get((name, line), 0.0) + spent

    def is_late(self, now: float, known: float, bpm: float) -> bool:
        """Whether the next events would come too late."""
        beats, lead = known - self._known, (known - now) * 60.0 / bpm
        if lead < -_OVERTAKEN:
            return True
        at_fault = sum(self._costs.values()) * bpm / 60.0 > _AT_FAULT * beats > 0.0
        measured = beats >= 1.0 or lead < -LATE or self.slow is not None
        least = SEND_AHEAD if self.slow is None else LOOK_AHEAD_SECONDS
        return lead < least and at_fault and measured and now - self._begun > beats

    @property
    def wanted_lead(self) -> float:
        """Wanted lead in seconds; for a slow script, enough for its faster parts to be on time."""
        return LOOK_AHEAD_SECONDS if self.slow is None else 2 * LOOK_AHEAD_SECONDS

    def times(self, now: float, known: float) -> float:
        """Processing time as a multiple of real time."""
        return (now - self._begun) / max(known - self._known, 1.0 / GRID)

    def heavy(self) -> list[tuple[str, int]]:
        """Name and line of the loops and tracks that take most of the time, the slowest first."""
        all_of_them = sum(self._costs.values())
        found = [one for one, spent in self._costs.items() if spent > _HEAVY_SHARE * all_of_them]
        return sorted(found, key=lambda one: -self._costs[one])


@dataclass(frozen=True, slots=True)
class Skip:
    """Events left out from a script beat `at` to another, `until`; `names`: of tracks and loops, None for all."""

    at: Fraction
    until: Fraction
    names: list[str] | None

    def ask(self) -> dict[str, Any]:
        """The skip as a request to a performing process."""
        return {"beat": self.until.as_integer_ratio(), "names": self.names}


class Skips:
    """Skips of the playing version, which the follower will reach, and which each new leader repeats."""

    def __init__(self) -> None:
        self._all: list[Skip] = []
        self.follower: deque[Skip] = deque()
        self.leader: deque[Skip] = deque()

    def add(self, skip: Skip) -> None:
        """Adds a skip that the leader has had."""
        self._all.append(skip)
        insort(self.follower, skip, key=lambda one: one.at)  # a cue takes the leader back

    def lead(self) -> None:
        """Repeats for a new leader, a fork of the follower, all skips that the follower has yet to reach."""
        self.leader = self.follower.copy()

    def follow(self) -> None:
        """Makes the leader the follower as well."""
        self.follower = self.leader.copy()

    def has(self, beat: Fraction, names: list[str] | None) -> bool:
        """Whether all events of such names, None for any, are already left out at a beat."""
        self._all = [skip for skip in self._all if skip.until > beat]
        return any(skip.names is None or (names is not None and {*names} <= {*skip.names}) for skip in self._all)


GRID, _CHUNK, _FOLLOW = 1024, Fraction(1, 4), Fraction(1, 8)
"""Resolution of sent beats; beats requested at once; and maximum lag of the follower in beats."""


class PerformerPair:
    """The performing processes, their events, and the server's last known time. Initially nothing plays."""

    def __init__(self, begin: Begin = ON_THE_BAR) -> None:
        self._when = begin
        self._follower: Branch | None = None
        self._leader: Branch | None = None
        self._candidate: Branch | None = None
        self._kept = KeptVersions()
        self._since: list[ScriptRequest] = []  # what the follower was asked while another version was read
        self._moved = WaitingCues()  # the moves of sliders among it, for a version from the top
        self.version = 0
        self.out = Outgoing()
        self._bar = Fraction(4)
        self._now, self._bpm = 0.0, 120.0
        self._passed = 0.0  # beats since the step before
        self.pace = ScriptPace()
        self._skips = Skips()
        self._moving = 120.0  # tempo of the beat when it moved last: a performance has no tempo of 0
        self._first: list[SentEvent] = []
        self._awaited: set[str] = set()
        self._cues = WaitingCues()
        self._foreseen: tuple[int, int] = 0, 0

    @property
    def playing(self) -> bool:
        """Whether a version plays."""
        return self._follower is not None

    @property
    def known_until(self) -> float:
        """Server beat up to which events are known; minus infinity while nothing plays."""
        if self._follower is None or self.out.offset is None:
            return -math.inf
        return float(self.out.known_until + self.out.offset)

    def branches(self) -> list[Branch]:
        """The current performing processes."""
        playing = (self._follower, self._leader, self._candidate)
        return [*(one for one in playing if one is not None), *self._kept.branches()]

    def cue(self, name: str, value: Any = None) -> None:
        """Wakes the loops that wait for a name, at the earliest unsent beat."""
        if name in self._awaited and self._follower is not None:
            self._cues.put("cue", {"name": name, "value": value})

    def slide(self, version: int, place: int, value: float) -> None:
        """Moves a slider of a version of the script, at the earliest unsent beat, or when the version has been read."""
        if self._follower is not None or self._candidate is not None:
            self._cues.put("slide", {"version": version, "place": place, "value": value})

    def close(self) -> None:
        """Ends the processes."""
        for branch in self.branches():
            branch.end()
        self._follower = self._leader = self._candidate = None
        self._kept = KeptVersions()

    def _end_players(self) -> None:
        for branch in (self._follower, self._leader):
            if branch is not None:
                branch.end()
        self._follower = self._leader = None
        self._skips = Skips()
        self._kept.clear()

    def _follow(self, do: str, **values: Any) -> None:
        """Sends a request to the follower, and later to the version being read, which continues from its state."""
        assert self._follower is not None
        self._follower.ask(do, **values)
        self._kept.follow(do, values)
        if self._candidate is not None and not self._when.top:
            self._since.append((do, values))
        elif self._candidate is not None and do == "slide":
            self._moved.put(do, values)

    def _advance(self, beat: Fraction | None = None) -> Fraction:
        """Advances the follower to a beat, by default that of the last sent event; returns its beat."""
        assert self._follower is not None
        beat = self.out.sent if beat is None else beat
        skips = self._skips.follower
        while skips and skips[0].at <= beat:
            skip = skips.popleft()
            if skip.at > self._follower.asked:
                self._follower.asked = skip.at
                self._follow("until", beat=skip.at.as_integer_ratio())
            self._follow("skip", **skip.ask())
        if beat > self._follower.asked:
            self._follower.asked = beat
            self._follow("until", beat=beat.as_integer_ratio())
        return self._follower.asked

    def _lead(self, cut: Fraction) -> None:
        """Makes a fork of the follower the leader, with events from a beat on; skips are repeated."""
        assert self._follower is not None
        if self._leader is not None:
            self._leader.end()
        self._leader = self._follower.fork()
        self._skips.lead()
        self.pace.begin(self._now, float(cut + (self.out.offset or 0)))
        self.out.replace(cut)
        self._leader.ask("quiet", on=True)

    def _ask(self) -> None:
        assert self._follower is not None
        if self._follower.idle and self.out.sent - self._follower.asked >= _FOLLOW:
            self._advance()
        leader, target = self._leader, self._ahead(self.pace.wanted_lead)
        if leader is None or not leader.idle:
            return
        known = float(leader.asked + (self.out.offset or 0))
        if leader.asked >= target:
            self.pace.begin(self._now, known)
        else:
            skips = self._skips.leader
            while skips and skips[0].at <= leader.asked:
                leader.ask("skip", **skips.popleft().ask())
            if self.pace.is_late(self._now, known, self._moving):
                self._skip(leader, known)
            seen = self.version, int(leader.asked // self._bar)
            until = (leader.asked // _CHUNK + 1) * _CHUNK
            leader.request_until(
                min([until, *(skip.at for skip in skips)]), coming=bool(self.version) and seen != self._foreseen
            )
            self._foreseen = seen

    def _skip(self, leader: Branch, known: float) -> None:
        """Makes the leader skip the parts that take too long, up to the bar by which it is ahead again."""
        pace, offset = self.pace, self.out.offset or 0
        heavy = pace.heavy()
        names = None if (known - self._now) * 60.0 / self._moving < -_OVERTAKEN else [name for name, _ in heavy]
        if self._skips.has(leader.asked, names):
            return
        if heavy and pace.slow is None:
            self._slow(pace.times(self._now, known), *heavy[0])
            self._kept.clear()  # they take as much time, unheard
        pace.slow = [name for name, _ in heavy] or pace.slow
        soon = self._now + pace.wanted_lead * self._moving / 60.0
        bar = next_multiple(max(soon - float(offset), float(leader.asked)), self._bar)
        skip = Skip(leader.asked, bar, names)
        self._skips.add(skip)
        leader.ask("skip", **skip.ask())
        pace.begin(self._now, known)

    def _slow(self, times: float, name: str, line: int) -> None:
        """Hook, called once for a version that needs `times` times real time, mostly in the loop or track `name`."""

    def _give_cues(self) -> None:
        if not self._cues.waiting or self.out.hold is not None:
            return
        at = self._advance()
        self._lead(at)
        assert self._leader is not None
        for count, (do, values) in enumerate(self._cues.take()):
            beat = at + Fraction(count, GRID)  # two cues on one beat would be one
            if count:
                self._advance(beat)
                self._leader.request_until(beat)
            self._follow(do, **values)
            self._leader.ask(do, **values)
        self.out.hold = at

    def _soon(self) -> float:
        return self._now + (SEND_AHEAD + BAR_MARGIN) * self._bpm / 60.0

    def _ahead(self, seconds: float) -> Fraction:
        """Script beat `seconds` ahead; also while the clock is stopped, since it may start at any time."""
        return self._at(self._now + seconds * self._moving / 60.0)

    def _here(self, seconds: float) -> Fraction:
        """Script beat in `seconds` from now, rounded down."""
        return self._at(self._now + seconds * self._bpm / 60.0)

    def _at(self, beat: float) -> Fraction:
        return Fraction(math.floor(beat * GRID), GRID) - (self.out.offset or 0)

    def _realign_to_bar(self) -> None:
        """Realigns the script to the next bar after a jump of the server's clock."""
        assert self.out.offset is not None
        behind = self._here(0.0) - self.out.sent
        leap = max(Fraction(2), self._here(1.0) - self._here(0.0))
        if -2 * self._bar < behind and (behind < leap or self._passed < leap):  # a slow script skips, see `_ask`
            return
        bars = math.ceil((Fraction(self._soon()) - self.out.sent - self.out.offset) / self._bar)
        self._first += self.out.ends(self._now)
        self.out.offset += bars * self._bar
