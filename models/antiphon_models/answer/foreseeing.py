"""Bits a note and ranks of the true continuation: the prior, the memory, both, and two plain learners."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Protocol

import numpy as np

from antiphon_answer.bar_features import MELODY, BarEvent
from antiphon_answer.bar_model import installed_bars
from antiphon_answer.bar_writing import BarPlayer
from antiphon_answer.improviser import Improviser, Planned
from antiphon_answer.memory import INTERVALS, TIMES, symbols_of
from antiphon_answer.prior import installed_prior
from antiphon_models.answer.melodies import TuneSong

SPANS = {"notes 8-32": (8, 32), "notes 32-96": (32, 96), "notes 96-": (96, 1 << 30)}
AFTER, CANDIDATES = 8, 8
"""Notes of a continuation that is ranked, and how many are compared."""
_UNIFORM = 1.0 / (INTERVALS * TIMES)


class Foreseer(Protocol):
    """Says how unexpected a melody's notes are, and learns each."""

    def start(self) -> None:
        """Forgets all; a melody begins."""

    def surprise(self, before: Planned, note: Planned) -> float:
        """Bits of a note that follows another."""

    def learn(self, before: Planned | None, note: Planned) -> None:
        """Takes a note; None before the first."""


class OwnForeseer:
    """`answer`'s prior, its memory, or both."""

    def __init__(self, *, prior: bool = True, memory: bool = True) -> None:
        self.improviser = Improviser(installed_prior())
        self._prior, self._memory = prior, memory

    def start(self) -> None:
        self.improviser.clear()

    def surprise(self, before: Planned, note: Planned) -> float:
        return self.improviser.surprise(note.slot, note.pitch, prior=self._prior, memory=self._memory)

    def learn(self, before: Planned | None, note: Planned) -> None:
        self.improviser.learn(note.slot, note.pitch, note.velocity)
        self.improviser.sounded(note.pitch, note.length)


class BarForeseer:
    """The bar model, over the memory or alone."""

    def __init__(self, *, memory: bool = True) -> None:
        self._memory = memory
        self.start()

    def start(self) -> None:
        improviser = Improviser(installed_prior())
        self._player = BarPlayer(installed_bars(), improviser, alone=True, memory=self._memory)

    def surprise(self, before: Planned, note: Planned) -> float:
        return self._player.surprise(_melody(note))

    def learn(self, before: Planned | None, note: Planned) -> None:
        self._player.learn(_melody(note))


class MarkovForeseer:
    """Order 1 of the song's own notes, by Witten and Bell over all notes of it, over all symbols."""

    def start(self) -> None:
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


class OracleForeseer:
    """vmo's factor oracle: what followed along the suffix links, a longer repeated suffix counting more."""

    def start(self) -> None:
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


FORESEERS: dict[str, Callable[[], Foreseer]] = {
    "order-1 Markov": MarkovForeseer,
    "factor oracle": OracleForeseer,
    "prior alone": lambda: OwnForeseer(memory=False),
    "memory alone": lambda: OwnForeseer(prior=False),
    "answer": OwnForeseer,
    "bar model": BarForeseer,
    "bar model alone": lambda: BarForeseer(memory=False),
}


def _melody(note: Planned) -> BarEvent:
    return BarEvent(MELODY, note.slot, note.pitch, note.length, note.velocity)


def _symbol(before: Planned, note: Planned) -> int:
    interval, time = symbols_of(note.pitch - before.pitch, note.slot - before.slot)
    return interval * TIMES + time


def spans(bits: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Mean bits a note of each span of a melody, of what notes 1 and later take."""
    for name, (first, last) in SPANS.items():
        if len(bits) > first:
            yield name, float(np.mean(bits[first:last]))


def bits_of(make: Foreseer, notes: Sequence[Planned]) -> list[float]:
    """The bits of all notes but the first."""
    make.start()
    make.learn(None, notes[0])
    bits: list[float] = []
    for before, note in pairwise(notes):
        bits.append(make.surprise(before, note))
        make.learn(before, note)
    return bits


def rank(make: Foreseer, song: TuneSong, cut: int, foils: Iterable[Sequence[Planned]]) -> float:
    """1 where the song's own next notes take the fewest bits, else 0.

    Args:
        make: What foresees; it has learnt the song's first `cut` notes, and stays as it is.
        song: The song.
        cut: Notes that are known.
        foils: Excerpts of one note more than a continuation; each is moved so that its first is the last known one.
    """
    last = song.notes[cut - 1]
    totals = []
    for excerpt in (song.notes[cut - 1 : cut + AFTER], *foils):
        own = deepcopy(make)
        late, up = last.slot - excerpt[0].slot, last.pitch - excerpt[0].pitch
        moved = [note._replace(slot=note.slot + late, pitch=note.pitch + up) for note in excerpt]
        total = 0.0
        for before, note in pairwise(moved):
            total += own.surprise(before, note)
            own.learn(before, note)
        totals.append(total)
    return float(totals[0] <= min(totals[1:]))
