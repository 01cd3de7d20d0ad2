"""Measures of answers: bits per note of `answer` and plain predictors; a classifier of generated and human bars."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon_answer.improviser import Improviser, PlannedNote
from antiphon_answer.memory import INTERVALS, TIMES, interval_and_time_symbols
from antiphon_answer.prior import SCALES, installed_prior, interval_class, time_class
from antiphon_models.material.part_songs import songs

SOURCES = ("pop909", "jsb")


@dataclass(frozen=True)
class SlotMelody:
    """A melody in slots of a sixteenth from a bar line, one note each; key: C to B major 0 to 11, then minor."""

    name: str
    key: int
    meter: int
    tempo: float
    notes: list[PlannedNote]


def melodies(data: Path, split: str, sources: tuple[str, ...] = SOURCES) -> Iterator[SlotMelody]:
    """The melodies of a split (see `part_songs.songs`), of at least two notes."""
    for song in songs(data, split, sources):
        top: dict[int, PlannedNote] = {}
        late = 4 * (-song.first % song.meter)
        for note in song.parts["melody"]:
            slot = round(4 * note.start) + late
            if slot >= 0 and (slot not in top or top[slot].pitch < note.pitch):
                top[slot] = PlannedNote(slot, max(1.0, 4 * (note.end - note.start)), note.pitch, note.velocity)
        if len(top) > 1:
            yield SlotMelody(song.name, song.key, song.meter, song.tempo, [top[slot] for slot in sorted(top)])


SPANS = {"notes 8-32": (8, 32), "notes 32-96": (32, 96), "notes 96-": (96, 1 << 30)}
_UNIFORM = 1.0 / (INTERVALS * TIMES)


class NotePredictor(Protocol):
    """A sequential predictor of a melody's notes."""

    def clear(self) -> None:
        """Resets the predictor for a new melody."""

    def surprise(self, before: PlannedNote, note: PlannedNote) -> float:
        """Surprise in bits of a note after its predecessor."""

    def learn(self, before: PlannedNote | None, note: PlannedNote) -> None:
        """Learns a note; `before` is None at the first."""


class AnswerPredictor:
    """The prior of `answer`, with or without its memory."""

    def __init__(self, *, memory: bool = True) -> None:
        self.improviser = Improviser(installed_prior())
        self._memory = memory

    def clear(self) -> None:
        self.improviser.clear()

    def surprise(self, before: PlannedNote, note: PlannedNote) -> float:
        return self.improviser.surprise(note.slot, note.pitch, prior=True, memory=self._memory)

    def learn(self, before: PlannedNote | None, note: PlannedNote) -> None:
        self.improviser.learn(note.slot, note.pitch, note.velocity)
        self.improviser.set_length(note.pitch, note.length)


class MarkovPredictor:
    """First-order Markov model of the song's own notes, Witten-Bell smoothed over all notes and all symbols."""

    def clear(self) -> None:
        self._after: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._last = -1

    def surprise(self, before: PlannedNote, note: PlannedNote) -> float:
        symbol, chance = _symbol(before, note), _UNIFORM
        for counts in (self._after[-2], self._after[self._last]):
            total, kinds = sum(counts.values()), max(1, len(counts))
            chance = (counts[symbol] + kinds * chance) / (total + kinds)
        return -math.log2(chance)

    def learn(self, before: PlannedNote | None, note: PlannedNote) -> None:
        if before is not None:
            symbol = _symbol(before, note)
            self._after[-2][symbol] += 1
            self._after[self._last][symbol] += 1
            self._last = symbol


class OraclePredictor:
    """The factor oracle of vmo: symbols reached by suffix links, weighted by the length of the repeated suffix."""

    def clear(self) -> None:
        from vmo.VMO.oracle import create_oracle

        self._oracle = create_oracle("f")
        self._counts: Counter[int] = Counter()

    def surprise(self, before: PlannedNote, note: PlannedNote) -> float:
        symbol, chance, left = _symbol(before, note), 0.0, 1.0
        state, oracle = len(oracle_data := self._oracle.data) - 1, self._oracle
        while state > 0 and oracle.sfx[state]:
            share = oracle.lrs[state] / (oracle.lrs[state] + 1.0)
            state = oracle.sfx[state]
            chance += left * share * (oracle_data[state + 1] == symbol)
            left *= 1.0 - share
        total, kinds = sum(self._counts.values()), max(1, len(self._counts))
        return -math.log2(chance + left * (self._counts[symbol] + kinds * _UNIFORM) / (total + kinds))

    def learn(self, before: PlannedNote | None, note: PlannedNote) -> None:
        if before is not None:
            self._counts[_symbol(before, note)] += 1
            self._oracle.add_state(_symbol(before, note))


FORESEERS: dict[str, Callable[[], NotePredictor]] = {
    "order-1 Markov": MarkovPredictor,
    "factor oracle": OraclePredictor,
}


def _symbol(before: PlannedNote, note: PlannedNote) -> int:
    interval, time = interval_and_time_symbols(note.pitch - before.pitch, note.slot - before.slot)
    return interval * TIMES + time


def spans(bits: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Mean bits per note of each span of a melody, given the bits of notes 1 and later."""
    for name, (first, last) in SPANS.items():
        if len(bits) > first:
            yield name, float(np.mean(bits[first:last]))


def bits_of(make: NotePredictor, notes: Sequence[PlannedNote]) -> list[float]:
    """The bits of all notes but the first."""
    make.clear()
    make.learn(None, notes[0])
    bits: list[float] = []
    for before, note in pairwise(notes):
        bits.append(make.surprise(before, note))
        make.learn(before, note)
    return bits


GROUP = 4
ALONE = 47


def note_groups(notes: Sequence[PlannedNote], size: int = GROUP) -> list[tuple[tuple[int, int], ...]]:
    """All runs of `size` notes as intervals and inter-onset times."""
    steps = [(b.pitch - a.pitch, b.slot - a.slot) for a, b in pairwise(notes)]
    return [tuple(steps[n : n + size - 1]) for n in range(len(steps) - size + 2)]


def shared_part(notes: Sequence[PlannedNote], song: Sequence[PlannedNote]) -> float:
    """Share of four-note groups that also occur in the song."""
    known = set(note_groups(song))
    own = note_groups(notes)
    return float(np.mean([group in known for group in own])) if own else 0.0


def longest_copy(notes: Sequence[PlannedNote], song: Sequence[PlannedNote]) -> int:
    """Length in notes of the longest run copied from the song."""
    size = 1
    while size < len(notes) and set(note_groups(notes, size + 1)) & set(note_groups(song, size + 1)):
        size += 1
    return size


def repeated_bar_share(notes: Sequence[PlannedNote], song: Sequence[PlannedNote]) -> float:
    """Share of the non-empty bars that repeat a bar of the song, compared by onset and pitch."""
    own: dict[int, list[tuple[int, int]]] = {}
    known: dict[int, list[tuple[int, int]]] = {}
    for bars, given in ((own, notes), (known, song)):
        for note in given:
            bars.setdefault(note.slot // 16, []).append((note.slot % 16, note.pitch))
    return float(np.mean([bar in known.values() for bar in own.values()])) if own else 0.0


def in_key_share(notes: Sequence[PlannedNote], key: int) -> float:
    """Share of notes in the scale of a key; minor with the leading note and the raised sixth."""
    scale = SCALES[key // 12] + ((9, 11) if key > 11 else ())
    return float(np.mean([(note.pitch - key) % 12 in scale for note in notes]))


def _bits(before: Sequence[PlannedNote], notes: Sequence[PlannedNote]) -> NDArray[np.float64]:
    """Bits of each note given the preceding ones, `[2, n]`: with the memory and without."""
    both, prior = AnswerPredictor(), AnswerPredictor(memory=False)
    for foreseer in (both, prior):
        foreseer.clear()
    bits: list[tuple[float, float]] = []
    last: PlannedNote | None = None
    for n, note in enumerate((*before, *notes)):
        if n >= len(before) and last is not None:
            bits.append((both.surprise(last, note), prior.surprise(last, note)))
        for foreseer in (both, prior):
            foreseer.learn(last, note)
        last = note
    return np.array(bits or [(0.0, 0.0)]).T


def features_of(
    before: Sequence[PlannedNote], notes: Sequence[PlannedNote], start: int, key: int
) -> NDArray[np.float64]:
    """Features of eight bars: `ALONE` features of the bars themselves, then features relative to the preceding song."""
    both_bits, prior_bits = _bits(before, notes)
    quarter = max(1, len(prior_bits) // 4)
    pitches, old = np.array([n.pitch for n in notes]), np.array([n.pitch for n in before])
    steps = np.diff(pitches) if len(notes) > 1 else np.zeros(1, int)
    times = np.diff([n.slot for n in notes]) if len(notes) > 1 else np.full(1, 4)
    rhythms = [tuple((n.slot - start) % 16 for n in notes if (n.slot - start) // 16 == bar) for bar in range(8)]
    known = {tuple(n.slot % 16 for n in before if n.slot // 16 == bar) for bar in range(start // 16)}
    own = note_groups(notes)
    rate = len(before) / max(1.0, (before[-1].slot - before[0].slot) / 128)
    alone = [
        prior_bits[1:].mean() if len(prior_bits) > 1 else 0.0,
        prior_bits.std(),
        prior_bits.max(),
        len(notes),
        prior_bits[:quarter].mean(),
        prior_bits[-quarter:].mean(),
        pitches.std(),
        np.ptp(pitches),
        *np.bincount([interval_class(int(s)) for s in steps], minlength=7) / len(steps),
        *np.bincount([time_class(int(t)) for t in times], minlength=8) / len(times),
        *np.bincount([(n.slot - start) % 16 for n in notes], minlength=16) / len(notes),
        notes[0].slot - start,
        start + 128 - notes[-1].slot,
        (pitches[-1] - key) % 12,
        in_key_share(notes, key),
        len(set(rhythms)),
        sum(not r for r in rhythms),
        len(set(own)) / max(1, len(own)),
        float(np.mean(np.sign(steps[1:]) * np.sign(steps[:-1]))) if len(steps) > 1 else 0.0,
    ]
    assert len(alone) == ALONE
    beside = [
        both_bits.mean(),
        both_bits.std(),
        both_bits.max(),
        both_bits[:quarter].mean(),
        both_bits[-quarter:].mean(),
        len(notes) / rate,
        pitches.mean() - old.mean(),
        pitches.std() / max(1.0, old.std()),
        pitches.max() - old.max(),
        pitches.min() - old.min(),
        float(np.mean([r in known for r in rhythms])),
        shared_part(notes, before),
        repeated_bar_share(notes, before),
        longest_copy(notes, before),
        longest_copy(notes, before) / len(notes),
    ]
    return np.array([*alone, *beside], np.float64)


def separation_roc_area(
    human: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]], songs: Iterable[str], seed: int
) -> float:
    """ROC area of a forest that separates two kinds of eight bars; no song is in both training and test."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    rows, names = np.stack([*human, *other]), list(songs) * 2
    labels = np.repeat([0, 1], len(human))
    chances = np.zeros(len(rows))
    for train, test in GroupKFold(5).split(rows, labels, names):
        forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=seed, n_jobs=1)
        chances[test] = forest.fit(rows[train], labels[train]).predict_proba(rows[test])[:, 1]
    return float(roc_auc_score(labels, chances))
