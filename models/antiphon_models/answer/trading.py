"""Evaluation of `answer` in trades: beat positions, copied runs, cadences, loudness and rhythms of its turns."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon_accompany.harmony.chords import read_chord
from antiphon_answer.improviser import Planned
from antiphon_answer.prior import SCALES
from antiphon_models.answer import synthetic
from antiphon_models.answer.telling import bars_again, shared_part
from antiphon_models.learning.evaluation import EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import command
from antiphon_models.material.part_songs import PartChord, songs

PLAYERS, TURNS = 10, 3
TURN_BEATS = 16.0
"""Beats of a four-bar turn; the player has the first of two."""
COLUMNS = (
    "run, part; run [notes]; worst run [notes]; groups; bars, turns; ends; off its place [beats] ↓; cadence; "
    "loudness, deviation; cells kept; first note [ms] ↓"
)
NOTE = (
    "run and what follows it: ten players trade four bars three times, as played, swung (.66) and in triplets. run: "
    "longest series of intervals that is the player's, in notes and as part of an answer; groups, bars: those of 4 "
    "notes, and bars, that are the player's; ends: the last note is of the tonic's triad or of the song's chord there; "
    "off its place: how far notes off the beat are from the places that the player uses; cadence: the last note is of "
    "the tonic's triad, nearly a beat long at least, and lasts to the bar line; cells kept: half bars whose onsets are "
    "those of one of the player's; first note: how far from the bar line, where the player's last note has ended by "
    "then."
)
_MIN_COUNT = 6
_SWING = 0.66
_ROUNDING = 0.01


@dataclass(frozen=True)
class Trader:
    """A player's part of a song: notes of `TURNS` pairs of turns, and the song's key."""

    name: str
    key: int
    tempo: float
    notes: tuple[MidiNote, ...]
    chords: tuple[PartChord, ...] = ()

    def turns(self, second: bool) -> list[list[MidiNote]]:
        """The player's turns, or the human's own bars after each."""
        starts = [2 * TURN_BEATS * n + TURN_BEATS * second for n in range(TURNS)]
        return [[n for n in self.notes if at <= n.start < at + TURN_BEATS] for at in starts]


def swung(beats: float) -> float:
    """Swung position of a beat position, its half beat at `_SWING`."""
    beat, place = divmod(beats, 1.0)
    return beat + (place * 2 * _SWING if place < 0.5 else _SWING + (place - 0.5) * 2 * (1 - _SWING))


def in_triplets(beats: float) -> float:
    """Nearest third of a beat to a swung position."""
    return round(3.0 * swung(beats)) / 3.0


FEELS: dict[str, Callable[[float], float]] = {"as played": lambda beats: beats, "swung": swung, "triplets": in_triplets}


def traders(ask: EvaluationRequest) -> list[Trader]:
    """Held-out songs, each from the first bar from which six turns in a row have notes."""
    if ask.synthetic:
        found = [
            Trader(
                s.name, s.key, s.tempo, tuple(MidiNote(n.slot / 4, n.length / 4, n.pitch, n.velocity) for n in s.notes)
            )
            for s in synthetic.songs(ask.seed, ask.limit or synthetic.COUNT)
        ]
    else:
        found = [
            Trader(
                song.name,
                song.key,
                song.tempo,
                tuple(
                    MidiNote(n.start + -song.first % 4, n.end - n.start, n.pitch, n.velocity)
                    for n in song.parts["melody"]
                ),
                tuple(c._replace(start=c.start + -song.first % 4, end=c.end + -song.first % 4) for c in song.chords),
            )
            for song in songs(ask.data, "test", ("pop909",))
            if song.meter == 4
        ]
    every = [trader for trader in map(_from_its_start, found) if trader is not None]
    count = min(len(every), PLAYERS, ask.limit or PLAYERS)
    return [every[n * len(every) // count] for n in range(count)]


def _from_its_start(song: Trader) -> Trader | None:
    for bar in range(64):
        notes = tuple(replace(n, start=n.start - 4.0 * bar) for n in song.notes)
        chords = tuple(c._replace(start=c.start - 4.0 * bar, end=c.end - 4.0 * bar) for c in song.chords)
        moved = replace(song, notes=tuple(n for n in notes if 0.0 <= n.start < 2 * TURN_BEATS * TURNS), chords=chords)
        # turns count from the bar in which the player begins; what begins on its last beat belongs to the next
        begins = bool(moved.notes) and min(n.start for n in moved.notes) < 3.0
        if begins and all(len(turn) >= _MIN_COUNT for second in (False, True) for turn in moved.turns(second)):
            return moved
    return None


def with_feel(song: Trader, place: Callable[[float], float]) -> Trader:
    """A song with its beats divided otherwise; of coinciding notes the later is dropped."""
    notes: dict[float, MidiNote] = {}
    for note in song.notes:
        start = place(note.start)
        notes.setdefault(start, replace(note, start=start, length=max(0.1, place(note.end) - start)))
    return replace(song, notes=tuple(notes.values()))


def answers_of(song: Trader, seed: int) -> list[list[MidiNote]]:
    """Output of `antiphon run answer -p mode=trade` in the player's pauses."""
    given = tuple(note for turn in song.turns(False) for note in turn)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.mid", Path(folder) / "out.mid"
        write_midi(source, [MidiTrack("MELODY", given)], song.tempo)
        command("run", "answer", source, target, "-p", "mode=trade", "-p", "bars=4", "-p", f"seed={seed}")
        made = [track.notes for track in read_midi(target).tracks if track.name == "ANSWER"]
    return replace(song, notes=tuple(sorted((n for notes in made for n in notes), key=lambda n: n.start))).turns(True)


def trade_scores(ask: EvaluationRequest) -> Iterator[MetricValue]:
    """The figures of each answer of each player in each feel."""
    makers: dict[str, Callable[[Trader], list[list[MidiNote]]]] = {
        "last two bars repeated": lambda song: [_repeated(turn) for turn in song.turns(False)],
        "answer": lambda song: answers_of(song, ask.seed),
        "human, next bars": lambda song: song.turns(True),
    }
    worst: dict[str, float] = {}
    for plain in traders(ask):
        for feel, place in FEELS.items():
            song = with_feel(plain, place)
            for name, make in ask.wanted(makers).items():
                for number, notes in enumerate(make(song)):
                    heard = [note for turn in song.turns(False)[: number + 1] for note in turn]
                    if len(notes) > 1:
                        row = figures_of(notes, heard, 2 * TURN_BEATS * number + TURN_BEATS, song)
                        worst[name] = max(worst.get(name, 0.0), row["run"])
                        yield from scored(name, f"{song.name} {feel} {number + 1}", row)
    for name, run in worst.items():
        yield MetricValue(name, "worst run", "all turns", run)


def figures_of(notes: Sequence[MidiNote], heard: Sequence[MidiNote], start: float, song: Trader) -> dict[str, float]:
    """Figures of an answer from beat `start` on, relative to all that the player had played; see `NOTE`."""
    key = song.key
    own_slots, heard_slots = (
        [Planned(round(4.0 * n.start), 4.0 * n.length, n.number, n.velocity) for n in given] for given in (notes, heard)
    )
    run = 1 + longest_run(_steps(notes), _steps(heard))
    places = np.array([note.start % 1.0 for note in heard])
    own = np.array([note.start % 1.0 for note in notes])
    apart = np.abs(own[:, None] - places[None])
    apart = np.minimum(apart, 1.0 - apart).min(axis=1)
    off = (own > 0.1) & (own < 0.9)
    last = notes[-1]
    triad = {(key + SCALES[key // 12][degree]) % 12 for degree in (0, 2, 4)}
    cadence = last.number % 12 in triad and last.length > 0.7 and last.end > start + TURN_BEATS - 0.3
    cells, known = _cells(notes), set(_cells(heard))
    figures = {
        "run, part": run / len(notes),
        "run": run,
        "groups": shared_part(own_slots, heard_slots),
        "bars, turns": bars_again(own_slots, heard_slots),
        "ends": last.number % 12 in triad | _chord_at(song, start + TURN_BEATS - 1.0),
        "off its place": float(apart[off].mean()) if off.any() else 0.0,
        "cadence": cadence,
        "loudness, deviation": 127.0 * float(np.std([note.velocity for note in notes])),
        "cells kept": float(np.mean([cell in known for cell in cells])),
    }
    if max(note.end for note in heard) <= start + _ROUNDING:
        figures["first note"] = 500.0 * abs(notes[0].start - start)
    return figures


def _chord_at(song: Trader, beat: float) -> set[int]:
    """Pitch classes of the song's chord at a beat."""
    for chord in song.chords:
        if chord.start <= beat < chord.end:
            with suppress(ValueError):
                found = read_chord(chord.label)
                return set(found.tones) if found else set()
    return set()


def _steps(notes: Sequence[MidiNote]) -> list[int]:
    return [b.number - a.number for a, b in pairwise(notes)]


def longest_run(own: Sequence[int], known: Sequence[int]) -> int:
    """Length of the longest common sequence."""
    ends = np.zeros(len(known) + 1, np.int64)
    longest = 0
    for pitch in own:
        ends[1:] = np.where(np.equal(known, pitch), ends[:-1] + 1, 0)
        longest = max(longest, int(ends.max()))
    return longest


def _cells(notes: Sequence[MidiNote]) -> list[tuple[int, ...]]:
    """Onsets of each non-empty half bar, in twelfths of a beat."""
    cells: dict[int, list[int]] = {}
    for at in sorted({round(12.0 * note.start) for note in notes}):
        cells.setdefault(at // 24, []).append(at % 24)
    return [tuple(cell) for cell in cells.values()]


def _repeated(turn: Sequence[MidiNote]) -> list[MidiNote]:
    """The turn's last two bars twice, from its end on."""
    end = TURN_BEATS * (turn[0].start // TURN_BEATS + 1.0)
    last = [note for note in turn if note.start >= end - 8.0]
    return [replace(note, start=note.start + by) for by in (8.0, 16.0) for note in last]
