"""Bits per note of `answer` and of two plain predictors."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from antiphon_answer.improviser import Improviser, Planned
from antiphon_answer.memory import INTERVALS, TIMES, symbols_of
from antiphon_answer.prior import installed_prior
from antiphon_models.material.part_songs import songs

SOURCES = ("pop909", "jsb")


@dataclass(frozen=True)
class SlotMelody:
    """A melody, its notes in order, one a slot, a sixteenth from a bar line; key: C to B major 0 to 11, then minor."""

    name: str
    key: int
    meter: int
    tempo: float
    notes: list[Planned]


def melodies(data: Path, split: str, sources: tuple[str, ...] = SOURCES) -> Iterator[SlotMelody]:
    """The melodies of a split (see `part_songs.songs`), of at least two notes."""
    for song in songs(data, split, sources):
        top: dict[int, Planned] = {}
        late = 4 * (-song.first % song.meter)
        for note in song.parts["melody"]:
            slot = round(4 * note.start) + late
            if slot >= 0 and (slot not in top or top[slot].pitch < note.pitch):
                top[slot] = Planned(slot, max(1.0, 4 * (note.end - note.start)), note.pitch, note.velocity)
        if len(top) > 1:
            yield SlotMelody(song.name, song.key, song.meter, song.tempo, [top[slot] for slot in sorted(top)])


SPANS = {"notes 8-32": (8, 32), "notes 32-96": (32, 96), "notes 96-": (96, 1 << 30)}
_UNIFORM = 1.0 / (INTERVALS * TIMES)


class NotePredictor(Protocol):
    """A sequential predictor of a melody's notes."""

    def clear(self) -> None:
        """Resets the predictor for a new melody."""

    def surprise(self, before: Planned, note: Planned) -> float:
        """Surprise in bits of a note after its predecessor."""

    def learn(self, before: Planned | None, note: Planned) -> None:
        """Learns a note; `before` is None at the first."""


class AnswerPredictor:
    """The prior of `answer`, with or without its memory."""

    def __init__(self, *, memory: bool = True) -> None:
        self.improviser = Improviser(installed_prior())
        self._memory = memory

    def clear(self) -> None:
        self.improviser.clear()

    def surprise(self, before: Planned, note: Planned) -> float:
        return self.improviser.surprise(note.slot, note.pitch, prior=True, memory=self._memory)

    def learn(self, before: Planned | None, note: Planned) -> None:
        self.improviser.learn(note.slot, note.pitch, note.velocity)
        self.improviser.sounded(note.pitch, note.length)


class MarkovPredictor:
    """First-order Markov model of the song's own notes, Witten-Bell smoothed over all notes and all symbols."""

    def clear(self) -> None:
        self._after: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._last = -1

    def surprise(self, before: Planned, note: Planned) -> float:
        symbol, chance = _symbol(before, note), _UNIFORM
        for counts in (self._after[-2], self._after[self._last]):
            total, kinds = sum(counts.values()), max(1, len(counts))
            chance = (counts[symbol] + kinds * chance) / (total + kinds)
        return -math.log2(chance)

    def learn(self, before: Planned | None, note: Planned) -> None:
        if before is not None:
            symbol = _symbol(before, note)
            self._after[-2][symbol] += 1
            self._after[self._last][symbol] += 1
            self._last = symbol


class OraclePredictor:
    """The factor oracle of vmo: symbols that followed along the suffix links, weighted by repeated suffix length."""

    def clear(self) -> None:
        from vmo.VMO.oracle import create_oracle

        self._oracle = create_oracle("f")
        self._counts: Counter[int] = Counter()

    def surprise(self, before: Planned, note: Planned) -> float:
        symbol, chance, left = _symbol(before, note), 0.0, 1.0
        state, oracle = len(oracle_data := self._oracle.data) - 1, self._oracle
        while state > 0 and oracle.sfx[state]:
            share = oracle.lrs[state] / (oracle.lrs[state] + 1.0)
            state = oracle.sfx[state]
            chance += left * share * (oracle_data[state + 1] == symbol)
            left *= 1.0 - share
        total, kinds = sum(self._counts.values()), max(1, len(self._counts))
        return -math.log2(chance + left * (self._counts[symbol] + kinds * _UNIFORM) / (total + kinds))

    def learn(self, before: Planned | None, note: Planned) -> None:
        if before is not None:
            self._counts[_symbol(before, note)] += 1
            self._oracle.add_state(_symbol(before, note))


FORESEERS: dict[str, Callable[[], NotePredictor]] = {
    "order-1 Markov": MarkovPredictor,
    "factor oracle": OraclePredictor,
}


def _symbol(before: Planned, note: Planned) -> int:
    interval, time = symbols_of(note.pitch - before.pitch, note.slot - before.slot)
    return interval * TIMES + time


def spans(bits: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Mean bits per note of each span of a melody, given the bits of notes 1 and later."""
    for name, (first, last) in SPANS.items():
        if len(bits) > first:
            yield name, float(np.mean(bits[first:last]))


def bits_of(make: NotePredictor, notes: Sequence[Planned]) -> list[float]:
    """The bits of all notes but the first."""
    make.clear()
    make.learn(None, notes[0])
    bits: list[float] = []
    for before, note in pairwise(notes):
        bits.append(make.surprise(before, note))
        make.learn(before, note)
    return bits
