"""Test material with an exact answer: the same notes by two instruments, and other notes by the second.

Songs of POP909 and Bach chorales, played by FluidSynth from a General MIDI soundfont.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.files import read_midi
from antiphon_models.material import fluidsynth, sounds
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change

RATE = 44100
SECONDS = 10.0
SOUNDFONTS = {"fluid": FLUID, "timgm": TIM}
_AS_INSTALLED = FluidSettings(gain=0.6, reverb=None, chorus=None, samples="s16")
# by General MIDI number: struck, plucked, bowed, blown, sung, organs and two synthesised
PROGRAMS = (0, 4, 6, 11, 12, 16, 19, 21, 24, 25, 27, 40, 42, 46, 48, 52, 56, 60, 61, 65, 66, 68, 71, 73, 80, 89)

Note = tuple[float, float, int, int]
"""Start and end in seconds, MIDI number, velocity."""


@dataclass(frozen=True, slots=True)
class TransferTask:
    """Task: mono sounds at `RATE`, with their sources."""

    name: str
    source: F32
    target: F32
    reference: F32


def pop(data: Path) -> list[Path]:
    """Available songs without those whose number is divisible by ten."""
    paths = sorted((data / "pop909").glob("[0-9][0-9][0-9]/[0-9][0-9][0-9].mid"))
    return [path for path in paths if int(path.stem) % 10]


def song(path: Path, rng: np.random.Generator) -> list[Note]:
    """Random excerpt of a song: `SECONDS` of melody and accompaniment."""
    file = read_midi(path)
    played = [n for track in file.tracks for n in track.notes]
    notes = [(file.seconds(n.start), file.seconds(n.end), n.number, round(127 * n.velocity)) for n in played]
    now = file.seconds(file.length)
    first = float(rng.uniform(8.0, max(9.0, now - SECONDS - 8.0)))
    return cut(notes, first)


def chorale(steps: list[list[int]], rng: np.random.Generator) -> list[Note]:
    """Excerpt of a chorale: `SECONDS` at 70 to 110 quarters a minute, with a velocity per voice."""
    step = 15.0 / float(rng.uniform(70, 110))
    notes: list[Note] = []
    for voice in range(4):
        velocity = int(rng.integers(70, 110))
        line = [row[voice] if voice < len(row) else -1 for row in steps]
        at = 0
        for n in range(1, len(line) + 1):
            # a held note is repeated on the grid; on the beat a repetition may be struck anew
            if n == len(line) or line[n] != line[at] or (n % 8 == 0):
                if line[at] >= 0:
                    notes.append((at * step, n * step * 0.999, int(line[at]), velocity))
                at = n
    last = max(0.0, len(steps) * step - SECONDS)
    return cut(notes, float(rng.uniform(0.0, last)))


def cut(notes: list[Note], first: float) -> list[Note]:
    """Notes that begin within `SECONDS` from `first`, relative to it."""
    inside = [n for n in notes if first <= n[0] < first + SECONDS - 0.2]
    return sorted((a - first, min(b - first, SECONDS), number, v) for a, b, number, v in inside)


def play(notes: list[Note], program: int, soundfont: Path) -> F32:
    """Notes by one instrument, `SECONDS` long, mono."""
    events = [(a, 1, note_on(0, n, v)) for a, _, n, v in notes] + [(b, 0, note_off(0, n)) for _, b, n, _ in notes]
    ordered = [(round(when * TICKS), data) for when, _, data in sorted(events, key=lambda e: (e[0], e[1]))]
    score = midi_bytes([(0, program_change(0, program)), *ordered])
    samples = fluidsynth.play(score, soundfont, RATE, _AS_INSTALLED).mean(axis=1)
    return sounds.of_length(samples, round(SECONDS * RATE))


def training_items(data: Path, font: Path, count: int, seed: int) -> Iterator[TransferTask]:
    """Training tasks: songs and chorales with even numbers, and half of the pairs of instruments, by any soundfont."""
    rng = np.random.default_rng([seed, *font.stem.encode()])
    yield from _tasks(_written(data), font, count, rng)


def _written(data: Path) -> Callable[[str, np.random.Generator], list[Note]]:
    """Function that draws notes of a kind, from songs with even numbers and chorales."""
    songs = [path for path in pop(data) if int(path.stem) % 2 == 0]
    chorales = sounds.chorales(data)["train"]

    def notes(kind: str, rng: np.random.Generator) -> list[Note]:
        if kind == "pop":
            return song(songs[int(rng.integers(len(songs)))], rng)
        return chorale(chorales[int(rng.integers(len(chorales)))], rng)

    return notes


def _tasks(
    notes: Callable[[str, np.random.Generator], list[Note]], font: Path, count: int, rng: np.random.Generator
) -> Iterator[TransferTask]:
    """Tasks of chorales and songs in turn, by half of the pairs of instruments."""
    pairs = [(p, q) for p in PROGRAMS for q in PROGRAMS if p != q and (p + q) % 2 == 0]
    order = rng.permutation(len(pairs))
    name = next((key for key, path in SOUNDFONTS.items() if path == font), font.stem)
    for turn in range(count):
        first, second = pairs[order[turn % len(order)]]
        kind = ("jsb", "pop")[turn % 2]
        scores: list[list[Note]] = []
        while len(scores) < 2:
            score = notes(kind, rng)
            if len(score) >= 12:
                scores.append(score)
        yield TransferTask(
            f"{name} {kind} {first}>{second}",
            play(scores[0], first, font),
            play(scores[0], second, font),
            play(scores[1], second, font),
        )
