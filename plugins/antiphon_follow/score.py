"""Scores to follow: notes of MusicXML or MIDI in one form, their chords by position, and the jumps that repeats allow."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.api import F64, UsageError
from antiphon.api.backends.files import (
    MIDI_SUFFIXES,
    MUSICXML_SUFFIXES,
    MidiTimes,
    printable_path,
    read_midi,
    read_musicxml,
)

TOGETHER = 0.03
"""Quarters within which notes begin together."""
GRACE_SECONDS = 0.09
"""Seconds at the score's tempo from a grace note to the next note."""
VELOCITY = 0.7
"""Velocity of a note that has none."""
MAX_NOTES = 60_000
"""Maximum notes of a score that is followed."""
_TRILLS = ("trill-mark", "mordent", "inverted-mordent", "turn", "inverted-turn", "tremolo", "shake", "wavy-line")
_MAX_CHORD = 32


@dataclass(frozen=True, slots=True)
class PartNote:
    """A note of a score. Positions are in quarters from the score's start, repeats unfolded."""

    start: float
    end: float
    number: int  # 0 to 127
    velocity: float  # above 0 to 1
    part: int  # place among the score's parts
    grace: bool = False
    trill: bool = False  # it has a trill or another sign for further notes near it
    drum: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar as it is played."""

    start: float  # in quarters
    length: float  # in quarters
    name: str  # its printed number
    written: int  # its place in the written score
    meter: tuple[int, int] = (4, 4)
    before: float = 0.0  # quarters that a pickup lacks at its beginning


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a score."""

    name: str
    program: int | None = None  # of General MIDI, 0 to 127


@dataclass(frozen=True, slots=True)
class Chords:
    """Notes that begin together, n positions in order; `first[i]` to `first[i + 1]` are the notes of position i."""

    quarters: F64  # [n] positions
    seconds: F64  # [n] times at the score's tempo
    first: np.ndarray[tuple[int], np.dtype[np.int64]]  # [n + 1]
    pitches: np.ndarray[tuple[int], np.dtype[np.int64]]  # [notes]
    flags: np.ndarray[tuple[int], np.dtype[np.int64]]  # [n] of TRILL, HOLD, BAR


TRILL, HOLD, BAR = 1, 2, 4
"""Flags of a position: a trill or the like, a fermata, the first of a bar."""


@dataclass(frozen=True, slots=True)
class FollowedScore:
    """A score in the order in which it is played. `tempo`: (quarter, bpm of quarters), the first at 0."""

    title: str
    parts: tuple[Part, ...]
    notes: tuple[PartNote, ...]
    bars: tuple[Bar, ...]
    tempo: tuple[tuple[float, float], ...]
    fermatas: tuple[float, ...] = ()
    jumps: tuple[tuple[float, float], ...] = ()  # (from, to) bar lines that a player may join: repeats taken or not

    @property
    def length(self) -> float:
        """Quarters to the end of the last bar."""
        return self.bars[-1].start + self.bars[-1].length if self.bars else 0.0

    def bar_at(self, quarter: float) -> tuple[int, float]:
        """Place among `bars` of a position, and the beat within the bar, from 1, by its time signature."""
        place = max(0, bisect_right(self.bars, quarter + 1e-6, key=lambda one: one.start) - 1)
        one = self.bars[place]
        return place, 1.0 + (quarter - one.start + one.before) * one.meter[1] / 4.0

    def part_named(self, name: str) -> int:
        """Place of a part by its name, or by its number from 1. Raises UsageError: there is none."""
        names = [one.name.lower() for one in self.parts]
        if name.strip().lower() in names:
            return names.index(name.strip().lower())
        if name.strip().isdecimal() and 1 <= int(name) <= len(self.parts):
            return int(name) - 1
        known = ", ".join(f"{place} {one.name or '(unnamed)'}" for place, one in enumerate(self.parts, 1))
        raise UsageError(f"the score has no part {name!r}; its parts are {known}")

    def chords(self, parts: Collection[int] | None = None) -> Chords:
        """Chords of some parts, of all by default. Raises UsageError: they have no notes."""
        chosen = [one for one in self.notes if (parts is None or one.part in parts) and not one.drum]
        if not chosen:
            raise UsageError("the part to follow has no notes; name one that has")
        times, bars = MidiTimes(self.tempo), {round(one.start, 3) for one in self.bars}
        groups: list[tuple[float, float, list[PartNote]]] = []
        graces: dict[float, list[PartNote]] = {}
        for one in chosen:
            if one.grace:
                graces.setdefault(one.start, []).append(one)
                continue
            if groups and one.start - groups[-1][0] <= TOGETHER:
                groups[-1][2].append(one)
            else:
                groups.append((one.start, times.seconds(one.start), [one]))
        groups = _with_graces(groups, graces, times)
        first, pitches, flags = [0], list[int](), list[int]()
        ends: list[tuple[float, int]] = []
        for start, _, notes in groups:
            chord = sorted({one.number for one in notes})[:_MAX_CHORD]
            pitches += chord
            first.append(len(pitches))
            ends = [(end, number) for end, number in ends if end > start + TOGETHER]
            flag = TRILL if any(one.trill for one in notes) else 0
            flag |= BAR if round(start, 3) in bars else 0
            flags.append(flag)
        starts = [start for start, _, _ in groups]
        for held in self.fermatas:
            flags[max(0, bisect_right(starts, held + TOGETHER) - 1)] |= HOLD
        return Chords(
            np.array(starts),
            np.array([seconds for _, seconds, _ in groups]),
            np.array(first, np.int64),
            np.array(pitches, np.int64),
            np.array(flags, np.int64),
        )


_Groups = list[tuple[float, float, list[PartNote]]]


def _with_graces(groups: _Groups, graces: dict[float, list[PartNote]], times: MidiTimes) -> _Groups:
    """Chords with grace notes before the chords that they lead to, at most half the way back to the one before."""
    joined: _Groups = []
    before = -1.0
    for start, seconds, notes in groups:
        own = graces.pop(start, [])
        room = min(GRACE_SECONDS, (seconds - before) / (2 * len(own))) if own else 0.0
        for place, one in enumerate(own):
            at = seconds - room * (len(own) - place)
            joined.append((times.beat(at) if at >= 0.0 else at * 2.0, at, [one]))
        joined.append((start, seconds, notes))
        before = seconds
    return joined


def read_score(path: Path) -> FollowedScore:
    """Reads a score: MusicXML or MIDI. Raises UsageError or FileError: it is none, has no notes, or too many."""
    suffix = path.suffix.lower()
    if suffix in MUSICXML_SUFFIXES:
        score = _musicxml(path)
    elif suffix in MIDI_SUFFIXES:
        score = _midi(path)
    else:
        kinds = ", ".join((*MUSICXML_SUFFIXES, *MIDI_SUFFIXES))
        raise UsageError(f"{printable_path(path)} is no score; a score is a file of {kinds}")
    if not score.notes:
        raise UsageError(f"there are no notes in {printable_path(path)}")
    if len(score.notes) > MAX_NOTES:
        raise UsageError(f"{printable_path(path)} has {len(score.notes)} notes, and at most {MAX_NOTES} are followed")
    return score


def _musicxml(path: Path) -> FollowedScore:
    score = read_musicxml(path)
    notes = [
        PartNote(
            one.start,
            one.end,
            one.number,
            VELOCITY,
            place,
            one.grace,
            any(mark in _TRILLS for mark in one.ornaments),
            one.drum,
        )
        for place, part in enumerate(score.parts)
        for one in part.notes
    ]
    bars = tuple(Bar(one.start, one.length, one.name, one.written, one.meter, one.before) for one in score.measures)
    parts = tuple(Part(one.name, one.program) for one in score.parts)
    fermatas = {*score.fermatas, *(one.start for part in score.parts for one in part.notes if one.fermata)}
    return FollowedScore(
        score.title,
        parts,
        tuple(sorted(notes, key=_order)),
        bars,
        tuple((float(at), float(bpm)) for at, bpm in score.tempo),
        tuple(sorted(fermatas)),
        _jumps(bars),
    )


def _order(note: PartNote) -> tuple[float, bool, int, int]:
    return note.start, not note.grace, note.part, 0 if note.grace else note.number


def _jumps(bars: Sequence[Bar]) -> tuple[tuple[float, float], ...]:
    """Bar lines that a player may join although the score goes on elsewhere: a repeat left out, or taken once more."""
    where: dict[int, list[float]] = {}
    for one in bars:
        where.setdefault(one.written, []).append(one.start)
    after: dict[int, set[int]] = {}
    for one, later in pairwise(bars):
        after.setdefault(one.written, set()).add(later.written)
    found = set[tuple[float, float]]()
    for one in bars:
        end = one.start + one.length
        for written in {*after.get(one.written, ()), one.written + 1}:
            found.update((end, to) for to in where.get(written, ()) if abs(to - end) > TOGETHER)
    if len(found) > 16 * len(bars):  # a section played dozens of times: any bar line can be joined at a little more
        return ()
    return tuple(sorted(found))


def _midi(path: Path) -> FollowedScore:
    song = read_midi(path)
    parts, notes = list[Part](), list[PartNote]()
    for track in song.tracks:
        if not track.notes:
            continue
        for one in track.notes:
            drum = one.channel in song.drums
            notes.append(PartNote(one.start, one.end, one.number, one.velocity, len(parts), drum=drum))
        parts.append(Part(track.name, track.program))
    end = max((one.end for one in notes), default=0.0)
    tempo = tuple((float(at), float(bpm)) for at, bpm in song.tempo)
    return FollowedScore(path.stem, tuple(parts), tuple(sorted(notes, key=_order)), _bars(song.signatures, end), tempo)


def _bars(signatures: Sequence[tuple[float, int, int]], end: float) -> tuple[Bar, ...]:
    """Bars by time signatures, to the end of the notes."""
    changes = [*signatures] if signatures and signatures[0][0] <= 0.0 else [(0.0, 4, 4), *signatures]
    bars: list[Bar] = []
    for (at, upper, lower), until in zip(changes, [*(one[0] for one in changes[1:]), math.inf], strict=True):
        length = max(4.0 * upper / lower, 0.125)
        while at < min(until, end) - TOGETHER or not bars:
            own = min(length, until - at)
            bars.append(Bar(at, own, str(len(bars) + 1), len(bars), (upper, lower)))
            at += own
    return tuple(bars)
