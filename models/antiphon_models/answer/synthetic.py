"""Melodies that repeat and vary seeded phrases: test material of `answer` where POP909 is not at hand."""

import random
from collections.abc import Iterator

from antiphon_answer.improviser import Planned
from antiphon_answer.prior import SCALES
from antiphon_models.answer.melodies import SlotMelody

COUNT = 12
_RHYTHMS = ((4, 4, 4, 4), (4, 2, 2, 4, 4), (6, 2, 4, 4), (8, 4, 4), (2, 2, 2, 2, 4, 4), (12, 4))
_FORM = "AABACABACBAA"


def songs(seed: int, count: int = COUNT) -> Iterator[SlotMelody]:
    """Yields `count` melodies of 48 bars: phrases of four bars, each varied in one bar when it returns."""
    for number in range(count):
        yield _song(random.Random(1000 * seed + number), f"synthetic {number}")


def _song(chosen: random.Random, name: str) -> SlotMelody:
    key = chosen.randrange(24)
    phrases = {letter: [_bar(chosen) for _ in range(4)] for letter in "ABC"}
    notes: list[Planned] = []
    for place, letter in enumerate(_FORM):
        bars = list(phrases[letter])
        bars[chosen.randrange(4)] = _bar(chosen)
        for n, bar in enumerate(bars):
            for slot, length, step in bar:
                degree, octave = SCALES[key // 12][step % 7], 12 * (step // 7)
                notes.append(Planned(64 * place + 16 * n + slot, length, 60 + key % 12 + degree + octave, 0.7))
    return SlotMelody(name, key, 4, 100.0, notes)


def _bar(chosen: random.Random) -> list[tuple[int, float, int]]:
    slot, step, bar = 0, chosen.randrange(7), []
    for length in chosen.choice(_RHYTHMS):
        bar.append((slot, float(length), step))
        slot, step = slot + length, min(9, max(-3, step + chosen.choice((-2, -1, -1, 0, 1, 1, 2))))
    return bar
