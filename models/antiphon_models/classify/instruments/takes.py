"""Takes: five seconds of one program, written by rules: single notes, melodies, chords, arpeggios, drum patterns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antiphon_models.classify.instruments.families import FAMILIES, KITS, TUNED_DRUMS
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.sounds import of_length

SECONDS = 5.0
SPACE = 6.6
"""Seconds from one take to the next of a file: what rings on dies away, or is cut off."""
DRUM_CHANNEL = 9
CHANNELS = tuple(n for n in range(16) if n != DRUM_CHANNEL)
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 4, 7, 10), (0, 5, 7), (0, 7, 12))
Rng = np.random.Generator
Notes = list[tuple[float, float, int, int]]
"""Second of the beginning, second of the end, number, velocity."""


@dataclass(frozen=True, slots=True)
class Take:
    """Five seconds of one program.

    `program`: of General MIDI; on the drums' channel a kit. `notes`: within `SECONDS`. `drums`: it is played on the
    channel of drums.
    """

    family: str
    program: int
    notes: Notes
    drums: bool = False


def draw_take(family: str, program: int | None, rng: Rng) -> Take:
    """A take of a family's program by rules; for drums the program is None, and their kit is drawn."""
    if family == "drums":
        if rng.random() < 0.15:
            tuned = int(rng.choice(TUNED_DRUMS))
            return Take(family, tuned, _melody(38, 62, rng, fast=True))
        return Take(family, int(rng.choice(KITS)), drum_pattern(rng), drums=True)
    assert program is not None
    kind = FAMILIES[family]
    low, high = kind.range_of(program)
    if rng.random() < kind.chords:
        notes = _chords(low, high, rng, kind.plucked)
        if rng.random() < 0.35:
            notes += _melody((low + high) // 2, high, rng)
        return Take(family, program, notes)
    match int(rng.integers(4)):
        case 0:
            return Take(family, program, _single(low, high, rng))
        case 1:
            return Take(family, program, _melody(low, high, rng, fast=True))
        case _:
            return Take(family, program, _melody(low, high, rng))


def _velocity(rng: Rng) -> int:
    return int(np.clip(rng.normal(92.0, 20.0), 35, 127))


def _single(low: int, high: int, rng: Rng) -> Notes:
    """Notes apart from each other, long or short, or one repeated."""
    step = float(rng.choice([0.35, 0.6, 1.0, 1.7, 2.5]))
    hold = step * rng.uniform(0.4, 1.0)
    once = int(rng.integers(low, high + 1)) if rng.random() < 0.3 else None
    starts = np.arange(0.0, SECONDS - 0.1, step)
    return [
        (
            float(start),
            float(min(start + hold, SECONDS)),
            int(rng.integers(low, high + 1)) if once is None else once,
            _velocity(rng),
        )
        for start in starts
    ]


def _melody(low: int, high: int, rng: Rng, *, fast: bool = False) -> Notes:
    """A walk on a scale in a rhythm, legato or not."""
    scale, key = SCALES[rng.integers(len(SCALES))], int(rng.integers(12))
    tones = [tone for tone in range(low, high + 1) if (tone - key) % 12 in scale]
    if len(tones) < 3:
        tones = list(range(low, high + 1))
    beat = 60.0 / rng.uniform(65.0, 165.0)
    lengths = [0.25, 0.5, 0.5] if fast else [0.5, 1.0, 1.0, 1.5, 2.0]
    legato, place = rng.uniform(0.5, 1.05), int(rng.integers(len(tones)))
    jumps = 4 if fast else 3
    notes: Notes = []
    time = 0.0
    while time < SECONDS - 0.08:
        length = beat * float(rng.choice(lengths))
        if rng.random() > 0.08 or not notes:
            end = min(SECONDS, time + max(0.06, legato * length))
            notes.append((time, end, tones[place], _velocity(rng)))
        place = int(np.clip(place + rng.integers(-jumps, jumps + 1), 0, len(tones) - 1))
        time += length
    return notes


def _chords(low: int, high: int, rng: Rng, plucked: bool) -> Notes:
    """Chords of three to five notes: held, repeated, broken; strummed where the family is plucked."""
    beat = 60.0 / rng.uniform(60.0, 150.0)
    step = beat * float(rng.choice([0.5, 1.0, 2.0, 4.0]))
    broken = rng.random() < 0.25
    strum = rng.uniform(0.0, 0.03) if plucked else rng.uniform(0.0, 0.006)
    hold = step * rng.uniform(0.5, 1.05)
    notes: Notes = []
    time = 0.0
    while time < SECONDS - 0.1:
        kind = CHORDS[rng.integers(len(CHORDS))]
        root = int(rng.integers(low, max(low + 1, min(high - 11, low + 30))))
        tones = [root + tone for tone in kind] + ([root + 12] if rng.random() < 0.5 else [])
        velocity = _velocity(rng)
        for order, tone in enumerate(tones):
            begin = time + order * (step / len(tones) if broken else strum)
            if tone <= high + 6 and begin < SECONDS - 0.06:
                notes.append((begin, max(begin + 0.05, min(SECONDS, time + hold)), tone, velocity))
        time += step
    return notes


def drum_pattern(rng: Rng) -> Notes:
    """A groove on sixteenths, hand percussion, or single hits."""
    kind = rng.random()
    notes: Notes = []
    sixteenth = 15.0 / rng.uniform(70.0, 175.0)
    steps = int(SECONDS / sixteenth)
    if kind < 0.12:
        for start in np.arange(0.0, SECONDS - 0.1, float(rng.choice([0.4, 0.8, 1.2]))):
            notes.append((float(start), float(start) + 0.1, int(rng.integers(35, 60)), _velocity(rng)))
        return notes
    if kind < 0.3:
        hands = rng.choice(np.arange(60, 82), 3, replace=False)
        chances = rng.uniform(0.1, 0.6, 3)
        for step in range(steps):
            for number, chance in zip(hands, chances, strict=True):
                if rng.random() < chance:
                    notes.append((step * sixteenth, (step + 1) * sixteenth, int(number), _velocity(rng)))
        return notes or [(0.0, 0.2, int(hands[0]), 100)]
    kick, snare = int(rng.choice([35, 36])), int(rng.choice([37, 38, 38, 39, 40]))
    hat = int(rng.choice([42, 42, 44, 46, 51, 59, 70, 82, 54]))
    bar = [
        [step for step in range(16) if rng.random() < (0.55 if step % 8 == 0 else 0.15)],
        [4, 12] if rng.random() < 0.75 else [step for step in range(16) if rng.random() < 0.15],
        list(range(0, 16, int(rng.choice([1, 2, 2, 4])))),
    ]
    bar[0] = bar[0] or [0]
    if rng.random() < 0.15:
        bar[2] = []
    for step in range(steps):
        for number, places in zip((kick, snare, hat), bar, strict=True):
            if step % 16 in places:
                notes.append((step * sixteenth, (step + 1) * sixteenth, number, _velocity(rng)))
        if step % 32 == 0 and rng.random() < 0.4:
            notes.append((step * sixteenth, step * sixteenth + 0.3, int(rng.choice([49, 52, 55, 57])), _velocity(rng)))
        if step % 16 > 11 and rng.random() < 0.15:
            notes.append((step * sixteenth, (step + 1) * sixteenth, int(rng.choice([41, 43, 45, 47, 48, 50])), 100))
    return notes


def score(takes: Sequence[Take]) -> bytes:
    """Takes one after the other as a MIDI file, `SPACE` seconds apart."""
    events: list[tuple[int, int, bytes]] = []
    for number, take in enumerate(takes):
        channel = DRUM_CHANNEL if take.drums else CHANNELS[number % len(CHANNELS)]
        begin = number * SPACE
        events.append((round(TICKS * begin), 0, program_change(channel, take.program)))
        for start, end, tone, velocity in take.notes:
            tone = int(np.clip(tone, 0, 127))
            events.append((round(TICKS * (begin + start)), 2, note_on(channel, tone, velocity)))
            events.append((round(TICKS * (begin + end)), 1, note_off(channel, tone)))
        # all sound off, so that nothing rings into the next take
        events.append((round(TICKS * (begin + SPACE - 0.3)), 3, bytes((0xB0 | channel, 120, 0))))
    return midi_bytes((tick, message) for tick, _, message in sorted(events))


def cut(sound: np.ndarray, count: int, rate: int) -> list[np.ndarray]:
    """The takes of a sound that `score` made: mono float32 `[SECONDS · rate]` each."""
    starts = (round(number * SPACE * rate) for number in range(count))
    return [of_length(sound[start:], round(SECONDS * rate)) for start in starts]
