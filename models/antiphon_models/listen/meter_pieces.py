"""Composes random pieces in 4/4, 3/4, 6/8 and 5/4 for fitting and measuring meters; rendered by FluidSynth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from antiphon_models.listen.songs import SOUNDFONTS, ListenedSong, render_score
from antiphon_models.material.fluidsynth import TICKS, midi_bytes, note_off, note_on, program_change

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11)}
_QUALITIES = {"M": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "M7": (0, 4, 7, 11), "m7": (0, 3, 7, 10)}
_PROGRESSIONS = (
    "0:M 9:m 5:M 7:M", "0:M 5:M 0:M 7:7", "0:M 7:M 9:m 5:M", "0:M 0:M 5:M 7:M 0:M 9:m 2:m 7:7", "2:m7 7:7 0:M7 9:m7",
    "0:m 5:m 7:M 0:m", "0:m 8:M 5:m 7:7", "0:m 10:M 8:M 7:M",
)  # fmt: skip
"""Chords: semitones above the tonic, and quality; in minor if the first is."""
_BANDS = (
    (0, 0, 0), (24, 32, 73), (0, 33, 73), (48, 43, 40), (48, 43, 68), (0, 32, 66), (25, 33, 40), (19, 19, 19),
    (29, 33, 81), (61, 58, 56), (46, 43, 71), (21, 32, 72), (4, 33, 80), (16, 36, 61), (6, 6, 6), (50, 43, 60),
)  # fmt: skip
"""General MIDI programs of chords, bass and melody."""
_CHORDS, _BASS, _MELODY, _DRUMS = 0, 1, 2, 9
_KICKS, _SNARES, _HATS, _SHAKERS = (36, 35, 64), (38, 37, 40), (42, 51, 44, 46), (54, 70, 82)
_ORDER = ("3/4", "6/8", "4/4", "3/4", "6/8", "5/4", "4/4")
_TRIPLETS = 0.12
"""Share of pieces in 4/4 whose beats are slow and divided into three, as in 12/8."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Rhythm of a meter; positions and lengths in quarter notes from the bar line.

    `cells`: lengths of the melody's notes that together fill whole beats.
    """

    quarters: int
    beat: float
    strong: tuple[float, ...]
    halves: tuple[float, ...]  # positions within a beat that parts may strike
    tempi: tuple[float, float]  # quarter notes per minute
    cells: tuple[tuple[float, ...], ...]

    @property
    def beats(self) -> list[float]:
        """Positions of all beats."""
        return np.arange(0.0, self.quarters, self.beat).tolist()

    @property
    def weak(self) -> list[float]:
        """Positions of the beats that are not strong."""
        return [beat for beat in self.beats if beat not in self.strong]


@dataclass(frozen=True, slots=True)
class Strokes:
    """Strokes of a piece's parts in a bar: positions with lengths; with steps of the chord; keys with positions."""

    bass: list[tuple[float, float, int]]
    chords: list[tuple[float, float]]
    arpeggio: list[float]
    drums: list[tuple[int, int, list[float]]]

    def clear(self, rhythm: Rhythm) -> bool:
        """Whether bass, chords and drums tell three quarters from two dotted ones; other meters are always clear."""
        if rhythm.quarters != 3:
            return True
        struck = [*(at for at, *_ in (*self.bass, *self.chords)), *(at for *_, places in self.drums for at in places)]
        halves, quarters = struck.count(1.5), min(struck.count(1.0), struck.count(2.0))
        low = [at for at, *_ in self.bass]
        if rhythm.beat == 1.5:
            return 1.5 in low and 1.0 not in low and halves >= quarters
        return 1.5 not in low and quarters > halves


@dataclass(frozen=True, slots=True)
class MeteredSong:
    """A rendered piece with its truth; its beats are quarter notes, of 6/8 dotted ones."""

    song: ListenedSong
    meter: str


def metered_songs(work: Path, count: int, seed: int = 0) -> Iterator[MeteredSong]:
    """Renders random pieces in all meters, alternating the soundfonts."""
    for number in range(count):
        rng, meter = np.random.default_rng([seed, number]), _ORDER[number % len(_ORDER)]
        rhythm = _rhythm(meter, rng)
        while not (strokes := _strokes(rhythm, rng)).clear(rhythm):
            pass
        tempo = float(np.exp(rng.uniform(*np.log(rhythm.tempi))))
        quarter = 60.0 / tempo
        bars = max(8, int(rng.uniform(28.0, 46.0) / quarter / rhythm.quarters) // 4 * 4)
        pickup = float(rng.choice((0.0, 0.0, rhythm.beat)))
        score = _score(rhythm, strokes, bars, quarter, pickup, rng)
        soundfont = list(SOUNDFONTS)[number % 2]
        sound = render_score(f"meter-{seed}-{number}", lambda score=score: score, work, soundfont)  # type: ignore[misc]
        end = quarter * (pickup + bars * rhythm.quarters)
        beats = np.arange(quarter * pickup, end - 1e-6, quarter * rhythm.beat, dtype=np.float64)
        downbeats = beats[:: round(rhythm.quarters / rhythm.beat)]
        yield MeteredSong(ListenedSong(f"{meter} {tempo:.0f}", sound, beats, downbeats, (), "", 1), meter)


def _choose(rng: np.random.Generator, *items: Any) -> Any:
    return items[rng.integers(len(items))]


def _rhythm(meter: str, rng: np.random.Generator) -> Rhythm:
    if meter == "6/8":
        cells = ((0.5, 0.5, 0.5), (1.0, 0.5), *_choose(rng, ((1.0, 0.5),), ((1.5,), (3.0,)), ((0.5, 1.0), (1.5,))))
        return Rhythm(3, 1.5, (0.0, 1.5), (0.0, 0.5, 1.0), (60.0, 205.0), cells)
    even = _choose(
        rng, ((0.5, 0.5), (1.0,)), ((1.0,), (2.0,)), ((1.0,), (0.5, 0.5), (1.5, 0.5)), ((0.75, 0.25), (1.0,))
    )
    cells, tempi = (*even, (0.5, 0.5)), {"4/4": (60.0, 190.0), "3/4": (70.0, 205.0)}.get(meter, (90.0, 190.0))
    halves: tuple[float, ...] = (0.0, 0.5)
    if meter == "4/4" and rng.random() < _TRIPLETS:
        third = 1.0 / 3.0
        cells, halves, tempi = (
            ((third, third, third), (1.0,), (2.0 * third, third)),
            (0.0, third, 2 * third),
            (50.0, 85.0),
        )
    elif rng.random() < 0.2:
        cells, halves = ((2.0 / 3.0, 1.0 / 3.0), (1.0,), (2.0,)), (0.0, 2.0 / 3.0)
    strong = {"4/4": (0.0, 2.0), "3/4": (0.0,)}.get(meter) or _choose(rng, (0.0, 3.0), (0.0, 3.0), (0.0, 2.0))
    quarters = {"4/4": 4, "3/4": 3, "5/4": 5}[meter]
    return Rhythm(quarters, 1.0, strong, halves, tempi, cells)


def _strokes(rhythm: Rhythm, rng: np.random.Generator) -> Strokes:
    bar, strong, beats = rhythm.quarters, list(rhythm.strong), rhythm.beats
    every = [beat + half for beat in beats for half in rhythm.halves]
    weak = rhythm.weak or _choose(rng, [1.0, 2.5], [1.0, 2.5], [0.5, 1.0, 2.0, 2.5], [0.5, 2.0])
    chance = sorted(rng.choice(every, max(2, len(every) // 2), replace=False).tolist())

    def hold(places: Sequence[float], legato: float) -> list[tuple[float, float]]:
        return [(at, max(0.2, legato * (end - at))) for at, end in zip(places, [*places[1:], bar], strict=True)]

    low = _choose(rng, [0.0], strong, strong, beats, sorted({0.0, *strong, bar - 0.5}), sorted({0.0, *chance[::2]}))
    legato = _choose(rng, 0.9, 0.9, 0.5)
    bass = [(at, n, _choose(rng, 0, 1, 1, 2, 3) if at else 0) for at, n in hold(low, legato)]
    short = [(at, 0.35 * rhythm.beat) for at in weak]
    chords = _choose(rng, [(0.0, 0.95 * bar)], short, short, hold(beats, legato), hold(chance, legato), [], [])
    arpeggio = [] if chords else _choose(rng, every, every, every[1:], [])
    hats = (_choose(rng, *_HATS), 60, _choose(rng, every, every, beats))
    backbeat = _choose(rng, weak, weak[-1:]) if rhythm.weak else [1.5]
    kick = (_choose(rng, *_KICKS), 100, strong if rhythm.weak else [0.0])
    rock = [kick, (_choose(rng, *_SNARES), 90, backbeat), hats]
    jazz = [(51, 80, sorted({*beats, *chance})), (44, 70, backbeat), (36, 60, [0.0])]
    shaker = [(_choose(rng, *_SHAKERS), 75, every), (_choose(rng, *_KICKS), 85, strong)]
    even = [(36, 95, beats), (_choose(rng, *_HATS), 70, [at for at in every if at not in beats])]
    return Strokes(bass, chords, arpeggio, _choose(rng, [], [], [], rock, rock, rock[:2], jazz, shaker, even))


def _score(
    rhythm: Rhythm, strokes: Strokes, bars: int, quarter: float, pickup: float, rng: np.random.Generator
) -> bytes:
    """A MIDI file of `bars` bars after a pickup, in quarter notes, that ends on the tonic."""
    chords, key, bar = _choose(rng, *_PROGRESSIONS).split(), int(rng.integers(12)), rhythm.quarters
    mode = "minor" if chords[0] == "0:m" else "major"
    each = 2 if bar * quarter < 1.3 and rng.random() < 0.6 else 1
    accent, late = _choose(rng, 0, 5, 10), _choose(rng, 0.0, 0.0, 0.006, 0.012)
    levels = [float(rng.uniform(low, high)) for low, high in ((58, 80), (72, 98), (70, 98))]
    events = [(0, program_change(channel, program)) for channel, program in enumerate(_choose(rng, *_BANDS))]

    def strike(channel: int, number: int, velocity: float, at: float, length: float) -> None:
        level = int(np.clip(velocity + rng.integers(-6, 7) + accent * ((at - pickup) % bar < 1e-6), 1, 127))
        tick = round(max(0.0, at * quarter + late * rng.standard_normal()) * TICKS)
        events.append((tick, note_on(channel, number, level)))
        events.append((tick + max(1, round(length * quarter * TICKS) - 1), note_off(channel, number)))

    def line() -> list[tuple[float, float]]:
        found, at = [], 0.0
        while at < bar - 1e-6:
            for length in _choose(rng, *rhythm.cells):
                if at < bar - 1e-6:
                    found.append((at, min(length, bar - at)))
                    at += length
        return found

    motifs, sings, last = [line(), line()], rng.random() < 0.92, 72
    if pickup and sings:
        strike(_MELODY, 62 + key, 84, 0.0, 0.9 * pickup)
    for number in range(bars):
        begin, ends = pickup + number * bar, number == bars - 1
        step, _, quality = chords[number // each % len(chords)].partition(":")
        if ends:
            step, quality = "0", "m" if mode == "minor" else "M"
        root = (key + int(step)) % 12
        notes = sorted((root + tone - 7) % 12 + 55 for tone in _QUALITIES[quality])
        low, steps = root + 36, (0, 7 if root < 5 else -5, 3 if quality[0] == "m" else 4, 12)
        for drum, velocity, places in strokes.drums:
            for at in places[:1] if ends else places:
                strike(_DRUMS, drum, velocity, begin + at, 0.1)
        for at, length, tone in strokes.bass[:1] if ends else strokes.bass:
            strike(_BASS, low + steps[tone], levels[1], begin + at, 0.95 * bar if ends else length)
        for at, length in strokes.chords[:1] if ends else strokes.chords:
            for note in notes:
                strike(_CHORDS, note, levels[0], begin + at, bar - at if ends else length)
        for turn, at in enumerate(strokes.arpeggio[:3] if ends else strokes.arpeggio):
            tones = [*notes[:3], notes[0] + 12]
            strike(_CHORDS, tones[(0, 1, 2, 3, 2, 1)[turn % 6]], levels[0] + 4, begin + at, 0.9)
        row = [(0.0, float(bar))] if ends else motifs[(0, 0, 1, 0)[number % 4]] if rng.random() < 0.6 else line()
        for at, length in row if sings else ():
            near = [n for n in range(max(62, last - 7), min(88, last + 8)) if (n - key) % 12 in _SCALES[mode]]
            own = [n for n in near if n % 12 in {note % 12 for note in notes}]
            last = int(rng.choice(own if own and at in rhythm.beats else near))
            strike(_MELODY, last, levels[2], begin + at, 0.93 * length)
    return midi_bytes(sorted(events, key=lambda event: event[0]))
