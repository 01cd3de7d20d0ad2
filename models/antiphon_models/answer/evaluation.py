"""`antiphon evaluate answer`: how well it predicts melodies, and whether continuations pass for human ones."""

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon_accompany.harmony.chords import read_chord
from antiphon_answer.improviser import PlannedNote
from antiphon_answer.memory import interval_and_time_symbols
from antiphon_answer.prior import SCALES
from antiphon_models.answer.foreseeing import (
    ALONE,
    FORESEERS,
    SlotMelody,
    bits_of,
    features_of,
    in_key_share,
    longest_copy,
    melodies,
    repeated_bar_share,
    separation_roc_area,
    shared_part,
    spans,
)
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.learning.user_commands import command
from antiphon_models.material.composer.song import swing_position
from antiphon_models.material.part_songs import PartChord, songs
from antiphon_models.material.sounds import evenly_spaced_items

# ---- Melodies that repeat and vary seeded phrases: test material of `answer` where POP909 is not at hand

DRAWN_SONGS = 12
_RHYTHMS = ((4, 4, 4, 4), (4, 2, 2, 4, 4), (6, 2, 4, 4), (8, 4, 4), (2, 2, 2, 2, 4, 4), (12, 4))
_FORM = "AABACABACBAA"


def drawn_songs(seed: int, count: int = DRAWN_SONGS) -> Iterator[SlotMelody]:
    """Yields `count` melodies of 48 bars: phrases of four bars, each varied in one bar when it returns."""
    for number in range(count):
        yield _draw_song_melody(random.Random(1000 * seed + number), f"synthetic {number}")


def _draw_song_melody(chosen: random.Random, name: str) -> SlotMelody:
    key = chosen.randrange(24)
    phrases = {letter: [_draw_melody_bar(chosen) for _ in range(4)] for letter in "ABC"}
    notes: list[PlannedNote] = []
    for place, letter in enumerate(_FORM):
        bars = list(phrases[letter])
        bars[chosen.randrange(4)] = _draw_melody_bar(chosen)
        for n, bar in enumerate(bars):
            for slot, length, step in bar:
                degree, octave = SCALES[key // 12][step % 7], 12 * (step // 7)
                notes.append(PlannedNote(64 * place + 16 * n + slot, length, 60 + key % 12 + degree + octave, 0.7))
    return SlotMelody(name, key, 4, 100.0, notes)


def _draw_melody_bar(chosen: random.Random) -> list[tuple[int, float, int]]:
    slot, step, bar = 0, chosen.randrange(7), []
    for length in chosen.choice(_RHYTHMS):
        bar.append((slot, float(length), step))
        slot, step = slot + length, min(9, max(-3, step + chosen.choice((-2, -1, -1, 0, 1, 1, 2))))
    return bar


# ---- Evaluation of `answer` in trades: beat positions, copied runs, cadences, loudness and rhythms of its turns

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
        """Notes of the player's turns, or with `second` of the human's own bars after each."""
        starts = [2 * TURN_BEATS * n + TURN_BEATS * second for n in range(TURNS)]
        return [[n for n in self.notes if at <= n.start < at + TURN_BEATS] for at in starts]


def in_triplets(beats: float) -> float:
    """Rounds a beat position, after swing, to the nearest third of a beat."""
    return round(3.0 * swing_position(beats, _SWING, 1.0)) / 3.0


FEELS: dict[str, Callable[[float], float]] = {
    "as played": lambda beats: beats,
    "swung": partial(swing_position, swing=_SWING, unit=1.0),
    "triplets": in_triplets,
}


def traders(ask: EvaluationRequest) -> list[Trader]:
    """Held-out songs, each starting at the first bar from which six consecutive turns have notes."""
    if ask.synthetic:
        found = [
            Trader(
                s.name, s.key, s.tempo, tuple(MidiNote(n.slot / 4, n.length / 4, n.pitch, n.velocity) for n in s.notes)
            )
            for s in drawn_songs(ask.seed, ask.limit or DRAWN_SONGS)
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
    every = [trader for trader in map(_shift_to_first_turns, found) if trader is not None]
    return evenly_spaced_items(every, min(PLAYERS, ask.limit or PLAYERS))


def _shift_to_first_turns(song: Trader) -> Trader | None:
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
    """Moves a song's onsets and ends within their beats by `place`; of coinciding notes the later is dropped."""
    notes: dict[float, MidiNote] = {}
    for note in song.notes:
        start = place(note.start)
        notes.setdefault(start, replace(note, start=start, length=max(0.1, place(note.end) - start)))
    return replace(song, notes=tuple(notes.values()))


def answers_of(song: Trader, seed: int) -> list[list[MidiNote]]:
    """Runs `antiphon run answer -p mode=trade`; returns the notes it plays in the player's pauses."""
    given = tuple(note for turn in song.turns(False) for note in turn)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.mid", Path(folder) / "out.mid"
        write_midi(source, [MidiTrack("MELODY", given)], song.tempo)
        command("run", "answer", source, target, "-p", "mode=trade", "-p", "bars=4", "-p", f"seed={seed}")
        made = [track.notes for track in read_midi(target).tracks if track.name == "ANSWER"]
    return replace(song, notes=tuple(sorted((n for notes in made for n in notes), key=lambda n: n.start))).turns(True)


def trade_scores(ask: EvaluationRequest) -> Iterator[MetricValue]:
    """Yields the figures of each answer of each player in each feel."""
    makers: dict[str, Callable[[Trader], list[list[MidiNote]]]] = {
        "last two bars repeated": lambda song: [_repeated(turn) for turn in song.turns(False)],
        "answer": lambda song: answers_of(song, ask.seed),
        "human, next bars": lambda song: song.turns(True),
    }
    worst: dict[str, float] = {}
    for plain in traders(ask):
        for feel, place in FEELS.items():
            song = with_feel(plain, place)
            for name, make in ask.select(makers).items():
                for number, notes in enumerate(make(song)):
                    heard = [note for turn in song.turns(False)[: number + 1] for note in turn]
                    if len(notes) > 1:
                        row = figures_of(notes, heard, 2 * TURN_BEATS * number + TURN_BEATS, song)
                        worst[name] = max(worst.get(name, 0.0), row["run"])
                        yield from metric_values(name, f"{song.name} {feel} {number + 1}", row)
    for name, run in worst.items():
        yield MetricValue(name, "worst run", "all turns", run)


def figures_of(notes: Sequence[MidiNote], heard: Sequence[MidiNote], start: float, song: Trader) -> dict[str, float]:
    """Measures an answer that begins at beat `start` against the notes the player has played so far; see `NOTE`."""
    key = song.key
    own_slots, heard_slots = (
        [PlannedNote(round(4.0 * n.start), 4.0 * n.length, n.number, n.velocity) for n in given]
        for given in (notes, heard)
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
        "bars, turns": repeated_bar_share(own_slots, heard_slots),
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
    """Returns the turn's last two bars twice, starting at the end of the turn."""
    end = TURN_BEATS * (turn[0].start // TURN_BEATS + 1.0)
    last = [note for note in turn if note.start >= end - 8.0]
    return [replace(note, start=note.start + by) for by in (8.0, 16.0) for note in last]


BARS, SLOTS = 8, 128
MIN_COUNT, MAX_SONGS = 120, 60
"""Measured notes of a song, and default number of songs."""
CUTS = {"early": (8, 16), "": (0.4, 0.55, 0.7)}
"""Where a song is continued: after so many bars of its melody; or at these fractions of its notes."""


class AnswerEvaluation(Evaluation):
    """Measures POP909's songs whose numbers end in 8 and 9 and that are in 4/4, by their melodies."""

    trivial = "last two bars repeated"
    classical = "order-1 Markov"
    peer = "factor oracle"
    ours = "answer"
    oracle = "human, next bars; human, other bars"
    columns = (
        "notes 8-32 [bits] ↓; notes 32-96 [bits] ↓; notes 96- [bits] ↓; AUC early ↓; AUC with the song early ↓; AUC ↓; "
        "AUC with the song ↓; of the song early; bars again early; copied run early [notes]; of the song; bars again; "
        f"copied run [notes]; in key early; in key; {COLUMNS}"
    )
    note = (
        "bits of a note's interval (±24 semitones) and time (to 32 sixteenths), 10.7 where all are alike. AUC: "
        "a forest that is shown eight bars tells them from the human's own next ones, of as many pairs as `in key` has "
        "n, no song in training and test; with the song: it is shown how they follow from it, too. early: after 8 and "
        "16 bars, else at .4, .55 and .7 of the notes. of the song: groups of 4 notes that are the song's; bars again: "
        "bars that are its. " + NOTE
    )
    folders = ("pop909",)
    synthetic_doc = "melodies that repeat and vary phrases drawn by seed"
    road = (
        "`antiphon run continue IN.mid OUT.mid --report FILE`, IN the melody; run and what follows it by "
        "`antiphon run answer IN.mid OUT.mid -p mode=trade -p bars=4`"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Yields bits per note, then figures of continuations, then those of turns."""
        found = _songs(ask)
        yield from _bits(found, ask)
        yield from _continuation_figures(found, ask)
        yield from trade_scores(ask)


def _songs(ask: EvaluationRequest) -> list[SlotMelody]:
    if ask.synthetic:
        return list(drawn_songs(ask.seed, ask.limit or DRAWN_SONGS))
    every = [
        song for song in melodies(ask.data, "test", ("pop909",)) if song.meter == 4 and len(song.notes) > MIN_COUNT
    ]
    return evenly_spaced_items(every, ask.limit or MAX_SONGS)


def _bits(found: Sequence[SlotMelody], ask: EvaluationRequest) -> Iterator[MetricValue]:
    for song in found:
        _, report = continuation_of(song, song.notes, ask.seed)
        if ask.wants("answer"):
            yield from metric_values("answer", song.name, spans([row[1] for row in report["bits"]]))
    for name, make in FORESEERS.items():
        if ask.wants(name) and _is_installed(name, ask):
            foreseer = make()
            for song in found:
                yield from metric_values(name, song.name, spans(bits_of(foreseer, song.notes)))


def _continuation_figures(found: Sequence[SlotMelody], ask: EvaluationRequest) -> Iterator[MetricValue]:
    chosen = random.Random(ask.seed)
    makers: dict[str, Callable[[SlotMelody, list[PlannedNote], int], list[PlannedNote]]] = {
        "last two bars repeated": lambda song, before, start: [
            note for n in range(0, SLOTS, 32) for note in _moved(before, start - 32, 32 + n, 32)
        ],
        "order-1 Markov": lambda song, before, start: markov(before, start, chosen),
        "answer": lambda song, before, start: continuation_of(song, before, ask.seed)[0],
        "human, other bars": lambda song, before, start: _other_bars(song, start, chosen),
    }
    systems = [name for name in ask.select(makers) if _is_installed(name, ask)]
    for when, cuts in CUTS.items():
        human, names = [], []
        made: dict[str, list[np.ndarray]] = {name: [] for name in systems}
        for song in found:
            for part in cuts:
                start = _start_slot(song, part)
                before = [note for note in song.notes if note.slot < start]
                true = [note for note in song.notes if start <= note.slot < start + SLOTS]
                if len(true) < 8 or len(before) < 16:
                    continue
                written = {name: makers[name](song, before, start) for name in made}
                if any(len(notes) < 4 for notes in written.values()):
                    continue
                human.append(features_of(before, true, start, song.key))
                names.append(song.name)
                item = f"{song.name} {part:g}"
                yield from metric_values("human, next bars", item, _figures(true, before, song.key, when))
                for name, notes in written.items():
                    made[name].append(features_of(before, notes, start, song.key))
                    yield from metric_values(name, item, _figures(notes, before, song.key, when))
        if len(set(names)) < 5:
            continue
        try:
            for name, rows in made.items():
                for measure, shown in (("AUC", slice(ALONE)), ("AUC with the song", slice(None))):
                    area = separation_roc_area(
                        [row[shown] for row in human], [row[shown] for row in rows], names, ask.seed
                    )
                    yield MetricValue(name, f"{measure} {when}".strip(), "all songs", area)
        except ImportError:
            ask.say("scikit-learn is not installed: pip install 'antiphon-lab[sklearn]' for the AUC")
            return


def _start_slot(song: SlotMelody, part: float) -> int:
    """Slot of the bar line after `part` bars of the melody; if below 1, slot of the note at that fraction."""
    if part < 1.0:
        return 16 * (song.notes[int(len(song.notes) * part)].slot // 16)
    return 16 * (song.notes[0].slot // 16 + int(part))


def _figures(notes: list[PlannedNote], before: list[PlannedNote], key: int, when: str) -> dict[str, float]:
    figures = {
        "of the song": shared_part(notes, before),
        "bars again": repeated_bar_share(notes, before),
        "copied run": longest_copy(notes, before),
        "in key": in_key_share(notes, key),
    }
    return {f"{measure} {when}".strip(): figure for measure, figure in figures.items()}


def _moved(notes: Sequence[PlannedNote], start: int, by: int, slots: int = SLOTS) -> list[PlannedNote]:
    return [note._replace(slot=note.slot + by) for note in notes if start <= note.slot < start + slots]


def _other_bars(song: SlotMelody, start: int, chosen: random.Random) -> list[PlannedNote]:
    """Eight non-empty bars from later in the song."""
    starts = [16 * bar for bar in range(start // 16 + BARS, song.notes[-1].slot // 16 - 6)]
    chosen.shuffle(starts)
    for at in starts:
        notes = _moved(song.notes, at, start - at)
        if len(notes) >= 8:
            return notes
    return []


def markov(before: Sequence[PlannedNote], start: int, chosen: random.Random) -> list[PlannedNote]:
    """Generates eight bars by a first-order Markov chain with the song's own transition frequencies."""
    symbols = [interval_and_time_symbols(b.pitch - a.pitch, b.slot - a.slot) for a, b in pairwise(before)]
    slot, pitch, last = start - 1, before[-1].pitch, symbols[-1]
    notes: list[PlannedNote] = []
    while True:
        following = [b for a, b in pairwise(symbols) if a == last] or symbols
        last = chosen.choice(following)
        slot, pitch = slot + max(1, last[1]), min(108, max(21, pitch + last[0] - 24))
        if slot >= start + SLOTS:
            return notes
        notes.append(PlannedNote(slot, 2.0, pitch, 0.7))


def continuation_of(
    song: SlotMelody, before: Sequence[PlannedNote], seed: int
) -> tuple[list[PlannedNote], dict[str, list[list[float]]]]:
    """Runs `antiphon run continue` on a file of a melody; returns its notes and report."""
    with tempfile.TemporaryDirectory() as folder:
        source, target, report = (Path(folder) / name for name in ("in.mid", "out.mid", "report.json"))
        notes = tuple(MidiNote(n.slot / 4, n.length / 4, n.pitch, n.velocity) for n in before)
        write_midi(source, [MidiTrack("MELODY", notes)], song.tempo)
        wishes = ("-p", f"bars={BARS}", "-p", f"seed={seed}")
        command("run", "continue", source, target, "--report", report, *wishes)
        made = [note for track in read_midi(target).tracks for note in track.notes][len(notes) :]
        told = json.loads(report.read_text())
    added = sorted(PlannedNote(round(4 * n.start), 4 * n.length, n.number, n.velocity) for n in made)
    return [note for note in added if note.slot >= 4 * told["from"]], told


def _is_installed(name: str, ask: EvaluationRequest) -> bool:
    """Whether a system's requirements are installed; reports missing ones."""
    from importlib.util import find_spec

    if name != "factor oracle" or find_spec("vmo") is not None:
        return True
    ask.say("vmo is not installed: pip install vmo for the factor oracle")
    return False
