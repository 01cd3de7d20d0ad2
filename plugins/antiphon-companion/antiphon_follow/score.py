"""Scores to follow: notes of MusicXML or MIDI, their chords by position, and the jumps that repeats allow."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.backends.files import (
    MIDI_SUFFIXES,
    MUSICXML_SUFFIXES,
    MidiTimes,
    printable_path,
    read_midi,
    read_musicxml,
)

SUFFIXES = MIDI_SUFFIXES
"""Suffixes of scores that are followed."""
MAX_ONSETS = 1 << 15
"""Maximum number of onsets of the followed part."""
MAX_CHORD = 63
"""Maximum number of notes per onset that are distinguished."""
TOGETHER = 1 / 24
"""Quarters within which notes of a score are one onset."""
MAX_BAR = 9999
"""Highest bar number."""
_NUMBER = re.compile(r"[0-9]+")
_ORNAMENTS = frozenset(
    {"trill-mark", "mordent", "inverted-mordent", "turn", "inverted-turn", "delayed-turn", "shake", "tremolo"}
)


@dataclass(frozen=True, slots=True)
class OrchestraNote:
    """A note of a part: positions in quarters from the score's start, a number from 0 to 127."""

    start: float
    length: float
    number: int
    grace: bool = False
    ornament: bool = False
    drum: bool = False
    velocity: float = 0.7
    fermata: bool = False  # also where it is tied to

    @property
    def end(self) -> float:
        """End of the note in quarters."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class OrchestraPart:
    """A part of a score. `notes`: ordered by start. `program`: of General MIDI, 0 to 127, or None."""

    name: str
    notes: tuple[OrchestraNote, ...]
    program: int | None = None


@dataclass(frozen=True, slots=True)
class ScoreOnset:
    """Notes of a score that begin together. `numbers`: expected notes; `spare`: grace notes and possible notes of an
    ornament. `hold`: start and end of the last fermata over one of the notes.
    """

    start: float  # in quarters from the score's start
    numbers: tuple[int, ...]
    spare: frozenset[int] = frozenset()
    held: bool = False  # there is a fermata until the next one
    hold: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FollowedScore:
    """A score as it is played, repeats unfolded; all positions are in quarters from its start.

    `tempo`: (quarter, bpm of quarters). `bars`: starts of the measures, and `beats`: quarters of each. `names`: printed
    name of each bar. `jumps`: (from, to) positions at which a repeat may be left out or taken once more. `written`:
    index of each bar in the written score; empty if unknown.
    """

    parts: tuple[OrchestraPart, ...]
    tempo: tuple[tuple[float, float], ...]
    bars: tuple[float, ...]
    beats: tuple[float, ...]
    names: tuple[str, ...]
    length: float
    fermatas: tuple[float, ...] = ()
    jumps: tuple[tuple[float, float], ...] = ()
    written: tuple[int, ...] = ()

    def part_indices(self, names: str) -> tuple[int, ...]:
        """Returns indices of parts by name or by number from 1, separated by commas; the first part for "".

        Raises UsageError: there is no part of a name.
        """
        if not names:
            return (0,)
        if (whole := self._place(names)) is not None:  # also one that has a comma in its name
            return (whole,)
        found = dict[int, None]()
        for name in filter(None, map(str.strip, names.split(","))):
            place = self._place(name)
            if place is None:
                known = ", ".join(f"{n} ({one.name})" if one.name else str(n) for n, one in enumerate(self.parts, 1))
                raise UsageError(f"the score has no part {name!r}; it has {known}")
            found[place] = None
        return tuple(found) or (0,)

    def _place(self, name: str) -> int | None:
        if name.isdecimal() and 1 <= int(name) <= len(self.parts):
            return int(name) - 1
        return next((place for place, one in enumerate(self.parts) if one.name.casefold() == name.casefold()), None)

    def bar_at(self, quarter: float) -> tuple[int, float]:
        """Place among `bars` of a position, and quarters into that bar."""
        place = max(0, bisect_right(self.bars, quarter + 1e-6) - 1)
        return place, quarter - self.bars[place]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Printed number of each of `bars`; one without a number has that of the bar before it."""
        found, last = list[int](), 0
        for name in self.names:
            digits = _NUMBER.match(name)
            last = min(int(digits[0]), MAX_BAR) if digits else last
            found.append(last)
        return tuple(found)

    @property
    def passes(self) -> tuple[int, ...]:
        """Returns the count, from 1, of each play of each of `bars`; 0 for a bar that is played once."""
        order = self.written or range(len(self.bars))
        all_times, so_far, found = Counter(order), Counter[int](), list[int]()
        for bar in order:
            so_far[bar] += 1
            found.append(so_far[bar] if all_times[bar] > 1 else 0)
        return tuple(found)

    def seconds_per_quarter(self, quarter: float) -> float:
        """Duration of a quarter by the score's tempo."""
        place = max(0, bisect_right(self.tempo, (quarter + 1e-6, float("inf"))) - 1)
        return 60.0 / self.tempo[place][1]

    def onsets(self, parts: Sequence[int] = ()) -> tuple[ScoreOnset, ...]:
        """Onsets of some parts, of all without any. Raises UsageError: there are none, or too many."""
        chosen = [self.parts[place] for place in parts] if parts else self.parts
        found = _onsets((note for part in chosen for note in part.notes if not note.drum), self.fermatas)
        if not found:
            raise UsageError("there are no notes with a pitch in the part that is to be followed; choose another part")
        if len(found) > MAX_ONSETS:
            raise UsageError(f"the followed part has {len(found)} onsets, of which {MAX_ONSETS} are followed at most")
        return found


def read_followed(path: Path) -> FollowedScore:
    """Reads a score. Raises FileError or UsageError: it cannot be read, or it has no notes."""
    suffix = path.suffix.lower()
    if suffix in MUSICXML_SUFFIXES:
        score = _written(path)
    elif suffix in MIDI_SUFFIXES:
        score = _midi(path)
    else:
        raise UsageError(f"{printable_path(path)} is no score; a score is one of {', '.join(SUFFIXES)}")
    if not score.parts:
        raise UsageError(f"there are no notes in {printable_path(path)}")
    return score


def _written(path: Path) -> FollowedScore:
    score = read_musicxml(path)
    parts = []
    for part in score.parts:
        notes = tuple(
            OrchestraNote(
                note.start,
                note.length,
                note.number,
                note.grace,
                not _ORNAMENTS.isdisjoint(note.ornaments),
                note.drum,
                fermata=note.fermata,
            )
            for note in part.notes
        )
        if notes:
            parts.append(OrchestraPart(part.name, notes, part.program))
    order = [one.written for one in score.measures]
    after: dict[int, list[int]] = defaultdict(list)
    for place in range(1, len(order)):
        after[order[place - 1]].append(place)
    starts = [one.start for one in score.measures]
    jumps = tuple(
        (starts[place], starts[to])
        for to_places in after.values()
        for place in to_places
        for to in to_places
        if order[place] != order[to]
    )
    lengths = tuple(one.length for one in score.measures)
    names = tuple(one.name for one in score.measures)
    return FollowedScore(
        tuple(parts),
        tuple(score.tempo),
        tuple(starts),
        lengths,
        names,
        score.length,
        score.fermatas,
        jumps,
        tuple(order),
    )


def _midi(path: Path) -> FollowedScore:
    song = read_midi(path)
    parts = []
    for track in song.tracks:
        notes = tuple(
            OrchestraNote(one.start, one.length, one.number, drum=one.channel in song.drums, velocity=one.velocity)
            for one in sorted(track.notes, key=lambda one: (one.start, one.number))
        )
        if notes:
            parts.append(OrchestraPart(track.name, notes, track.program))
    bars, beats, at = list[float](), list[float](), 0.0
    meters = list(song.meters) or [(0.0, 4.0)]
    while at < song.length and len(bars) < MAX_ONSETS:
        meter = meters[max(0, bisect_right([one for one, _ in meters], at + 1e-6) - 1)][1]
        bars.append(at)
        beats.append(meter)
        at += meter
    names = tuple(str(n) for n in range(1, len(bars) + 1))
    return FollowedScore(tuple(parts), song.tempo, tuple(bars or [0.0]), tuple(beats or [4.0]), names, song.length)


def performance(path: Path) -> list[tuple[float, int, float]]:
    """Notes of a MIDI file as it is played: (seconds, number, velocity to 1), in order. Raises FileError."""
    song = read_midi(path)
    times = MidiTimes(song.tempo)
    rows = [
        (times.seconds(note.start), note.number, note.velocity)
        for track in song.tracks
        for note in track.notes
        if note.channel not in song.drums
    ]
    return sorted(rows)


def _onsets(notes: Iterable[OrchestraNote], fermatas: Sequence[float]) -> tuple[ScoreOnset, ...]:
    rows = sorted(notes, key=lambda note: (note.start, note.number))
    groups: list[list[OrchestraNote]] = []
    for note in rows:
        if groups and note.start - groups[-1][0].start < TOGETHER:
            groups[-1].append(note)
        else:
            groups.append([note])
    starts = [group[0].start for group in groups]
    spare: list[set[int]] = [{note.number for note in group if note.grace} for group in groups]
    # a grace note is played on the beat, or before it
    for before, leading in pairwise(spare):
        before |= leading
    for note in rows:
        if note.ornament:
            first = bisect_left(starts, note.start - TOGETHER)
            last = max(first + 1, bisect_left(starts, note.end - TOGETHER))
            for place in range(first, min(last, len(groups))):
                spare[place].update(range(max(0, note.number - 2), min(127, note.number + 2) + 1))
    found = []
    for group, extra, after in zip(groups, spare, [*starts[1:], inf], strict=True):
        numbers = sorted({note.number for note in group if not note.grace})
        start = group[0].start
        over = fermatas[bisect_right(fermatas, start - TOGETHER) : bisect_right(fermatas, after - TOGETHER)]
        end = max((note.end for note in group if note.fermata), default=start)
        within = [at for at in over if at < end - TOGETHER]
        hold = (max(within), end) if within else None
        found.append(ScoreOnset(start, tuple(numbers[:MAX_CHORD]), frozenset(extra), bool(over), hold))
    return tuple(found)


def starts_of(onsets: Sequence[ScoreOnset]) -> NDArray[np.float64]:
    """Starts of onsets in quarters."""
    return np.array([one.start for one in onsets], np.float64)
