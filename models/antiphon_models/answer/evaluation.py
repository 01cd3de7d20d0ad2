"""`antiphon evaluate answer`: how far melodies are foreseen, and whether continuations pass for the human's own."""

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from antiphon.api.backends.files import MidiNote, MidiTrack, read_midi, write_midi
from antiphon_answer.improviser import Planned
from antiphon_answer.memory import symbols_of
from antiphon_models.answer import synthetic, trading
from antiphon_models.answer.foreseeing import FORESEERS, bits_of, spans
from antiphon_models.answer.melodies import SlotMelody, melodies
from antiphon_models.answer.telling import (
    ALONE,
    bars_again,
    features_of,
    in_key_share,
    longest_copy,
    separation,
    shared_part,
)
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.user_commands import command

BARS, SLOTS = 8, 128
MIN_COUNT, MAX_SONGS = 120, 60
"""Measured notes of a song, and default number of songs."""
CUTS = {"early": (8, 16), "": (0.4, 0.55, 0.7)}
"""Where a song is continued: after so many bars of its melody; or at these fractions of its notes."""


class AnswerEvaluation(Evaluation):
    """Melodies of POP909's songs whose numbers end in 8 and 9, in 4/4."""

    trivial = "last two bars repeated"
    classical = "order-1 Markov"
    peer = "factor oracle"
    ours = "answer"
    oracle = "human, next bars; human, other bars"
    columns = (
        "notes 8-32 [bits] ↓; notes 32-96 [bits] ↓; notes 96- [bits] ↓; AUC early ↓; AUC with the song early ↓; AUC ↓; "
        "AUC with the song ↓; of the song early; bars again early; copied run early [notes]; of the song; bars again; "
        f"copied run [notes]; in key early; in key; {trading.COLUMNS}"
    )
    note = (
        "bits of a note's interval (±24 semitones) and time (to 32 sixteenths), 10.7 where all are alike. AUC: "
        "a forest that is shown eight bars tells them from the human's own next ones, of as many pairs as `in key` has "
        "n, no song in training and test; with the song: it is shown how they follow from it, too. early: after 8 and "
        "16 bars, else at .4, .55 and .7 of the notes. of the song: groups of 4 notes that are the song's; bars again: "
        "bars that are its. " + trading.NOTE
    )
    folders = ("pop909",)
    synthetic_doc = "melodies that repeat and vary phrases drawn by seed"
    road = (
        "`antiphon run continue IN.mid OUT.mid --report FILE`, IN the melody; run and what follows it by "
        "`antiphon run answer IN.mid OUT.mid -p mode=trade -p bars=4`"
    )

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Bits per note, then figures of continuations, then those of turns."""
        found = _songs(ask)
        yield from _bits(found, ask)
        yield from _continuations(found, ask)
        yield from trading.trade_scores(ask)


def _songs(ask: EvaluationRequest) -> list[SlotMelody]:
    if ask.synthetic:
        return list(synthetic.songs(ask.seed, ask.limit or synthetic.COUNT))
    every = [
        song for song in melodies(ask.data, "test", ("pop909",)) if song.meter == 4 and len(song.notes) > MIN_COUNT
    ]
    count = min(len(every), ask.limit or MAX_SONGS)
    return [every[n * len(every) // count] for n in range(count)]


def _bits(found: Sequence[SlotMelody], ask: EvaluationRequest) -> Iterator[MetricValue]:
    for song in found:
        _, report = continuation_of(song, song.notes, ask.seed)
        if ask.wants("answer"):
            yield from scored("answer", song.name, spans([row[1] for row in report["bits"]]))
    for name, make in FORESEERS.items():
        if ask.wants(name) and _is_installed(name, ask):
            foreseer = make()
            for song in found:
                yield from scored(name, song.name, spans(bits_of(foreseer, song.notes)))


def _continuations(found: Sequence[SlotMelody], ask: EvaluationRequest) -> Iterator[MetricValue]:
    chosen = random.Random(ask.seed)
    makers: dict[str, Callable[[SlotMelody, list[Planned], int], list[Planned]]] = {
        "last two bars repeated": lambda song, before, start: [
            note for n in range(0, SLOTS, 32) for note in _moved(before, start - 32, 32 + n, 32)
        ],
        "order-1 Markov": lambda song, before, start: markov(before, start, chosen),
        "answer": lambda song, before, start: continuation_of(song, before, ask.seed)[0],
        "human, other bars": lambda song, before, start: _other_bars(song, start, chosen),
    }
    systems = [name for name in ask.wanted(makers) if _is_installed(name, ask)]
    for when, cuts in CUTS.items():
        human, names = [], []
        made: dict[str, list[np.ndarray]] = {name: [] for name in systems}
        for song in found:
            for part in cuts:
                start = _start_of(song, part)
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
                yield from scored("human, next bars", item, _figures(true, before, song.key, when))
                for name, notes in written.items():
                    made[name].append(features_of(before, notes, start, song.key))
                    yield from scored(name, item, _figures(notes, before, song.key, when))
        if len(set(names)) < 5:
            continue
        try:
            for name, rows in made.items():
                for measure, shown in (("AUC", slice(ALONE)), ("AUC with the song", slice(None))):
                    area = separation([row[shown] for row in human], [row[shown] for row in rows], names, ask.seed)
                    yield MetricValue(name, f"{measure} {when}".strip(), "all songs", area)
        except ImportError:
            ask.say("scikit-learn is not installed: pip install 'antiphon-lab[sklearn]' for the AUC")
            return


def _start_of(song: SlotMelody, part: float) -> int:
    """Slot of the bar line after `part` bars of the melody; of the note at that fraction, if below 1."""
    if part < 1.0:
        return 16 * (song.notes[int(len(song.notes) * part)].slot // 16)
    return 16 * (song.notes[0].slot // 16 + int(part))


def _figures(notes: list[Planned], before: list[Planned], key: int, when: str) -> dict[str, float]:
    figures = {
        "of the song": shared_part(notes, before),
        "bars again": bars_again(notes, before),
        "copied run": longest_copy(notes, before),
        "in key": in_key_share(notes, key),
    }
    return {f"{measure} {when}".strip(): figure for measure, figure in figures.items()}


def _moved(notes: Sequence[Planned], start: int, by: int, slots: int = SLOTS) -> list[Planned]:
    return [note._replace(slot=note.slot + by) for note in notes if start <= note.slot < start + slots]


def _other_bars(song: SlotMelody, start: int, chosen: random.Random) -> list[Planned]:
    """Eight non-empty bars from later in the song."""
    starts = [16 * bar for bar in range(start // 16 + BARS, song.notes[-1].slot // 16 - 6)]
    chosen.shuffle(starts)
    for at in starts:
        notes = _moved(song.notes, at, start - at)
        if len(notes) >= 8:
            return notes
    return []


def markov(before: Sequence[Planned], start: int, chosen: random.Random) -> list[Planned]:
    """Eight bars of a first-order Markov chain, with the song's own transition frequencies."""
    symbols = [symbols_of(b.pitch - a.pitch, b.slot - a.slot) for a, b in pairwise(before)]
    slot, pitch, last = start - 1, before[-1].pitch, symbols[-1]
    notes: list[Planned] = []
    while True:
        following = [b for a, b in pairwise(symbols) if a == last] or symbols
        last = chosen.choice(following)
        slot, pitch = slot + max(1, last[1]), min(108, max(21, pitch + last[0] - 24))
        if slot >= start + SLOTS:
            return notes
        notes.append(Planned(slot, 2.0, pitch, 0.7))


def continuation_of(
    song: SlotMelody, before: Sequence[Planned], seed: int, *, bars: int = BARS
) -> tuple[list[Planned], dict[str, list[list[float]]]]:
    """Output of `antiphon run continue` on a file of a melody, and its report."""
    with tempfile.TemporaryDirectory() as folder:
        source, target, report = (Path(folder) / name for name in ("in.mid", "out.mid", "report.json"))
        notes = tuple(MidiNote(n.slot / 4, n.length / 4, n.pitch, n.velocity) for n in before)
        write_midi(source, [MidiTrack("MELODY", notes)], song.tempo)
        wishes = ("-p", f"bars={bars}", "-p", f"seed={seed}")
        command("run", "continue", source, target, "--report", report, *wishes)
        made = [note for track in read_midi(target).tracks for note in track.notes][len(notes) :]
        told = json.loads(report.read_text())
    added = sorted(Planned(round(4 * n.start), 4 * n.length, n.number, n.velocity) for n in made)
    return [note for note in added if note.slot >= 4 * told["from"]], told


def _is_installed(name: str, ask: EvaluationRequest) -> bool:
    """Whether a system's requirements are installed; reports where they are not."""
    from importlib.util import find_spec

    if name != "factor oracle" or find_spec("vmo") is not None:
        return True
    ask.say("vmo is not installed: pip install vmo for the factor oracle")
    return False
