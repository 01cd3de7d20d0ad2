"""Composes pieces in 4/4, 3/4 and 6/8 of many kinds for fitting and measuring meters; rendered by FluidSynth."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon_models.listen.songs import ListenedSong, render_score
from antiphon_models.material import table_beside
from antiphon_models.material.fluidsynth import TICKS, midi_bytes, note_off, note_on, program_change

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11)}
_QUALITIES = {"M": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "M7": (0, 4, 7, 11), "m7": (0, 3, 7, 10)}
_TABLE = table_beside(__file__)
PROGRESSIONS: dict[str, str] = _TABLE["progressions"]
"""Chords by name, a bar each: semitones above the tonic, and quality; in minor if the name begins so."""
_CHORDS, _BASS, _MELODY, _DRUMS = 0, 1, 2, 9
_SECONDS = 32.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind of piece is played; positions and lengths in quarter notes from the bar line.

    Attributes:
        meter: "4/4", "3/4" or "6/8"; a bar of 6/8 has three quarter notes.
        tempi: Lowest and highest, in quarter notes per minute.
        programs: General MIDI programs of chords, bass and melody.
        lengths: Lengths of the melody's notes.
        bass: Rows of position, length and step: 0 root, 1 fifth, 2 third, 3 octave.
        chords: Rows of position and length.
        arpeggio: Positions of single notes of the chord.
        drums: Rows of key, velocity and positions.
        held: Whether it is for measuring only.
    """

    meter: str
    tempi: tuple[float, float]
    programs: tuple[int, int, int]
    lengths: tuple[float, ...]
    bass: tuple[tuple[float, float, int], ...] = ()
    chords: tuple[tuple[float, float], ...] = ()
    arpeggio: tuple[float, ...] = ()
    drums: tuple[tuple[int, int, tuple[float, ...]], ...] = ()
    held: bool = False

    @property
    def quarters(self) -> int:
        """Quarter notes of a bar."""
        return 4 if self.meter == "4/4" else 3


MANNERS = {name: Manner(**row) for name, row in _TABLE["manners"].items()}


@dataclass(frozen=True, slots=True)
class MeteredSong:
    """A rendered piece with its truth; its beats are quarter notes, of 6/8 dotted ones."""

    song: ListenedSong
    meter: str
    held: bool


def metered_songs(work: Path, each: int = 3) -> Iterator[MeteredSong]:
    """Renders each manner `each` times; those that are fitted with one soundfont, the held ones with the other."""
    for number, (name, manner) in enumerate(MANNERS.items()):
        for turn in range(each):
            rng = np.random.default_rng([number, turn])
            low, high = manner.tempi
            tempo = float(int(low + (turn + rng.random()) * (high - low) / each))
            quarter, bars = 60.0 / tempo, int(_SECONDS * tempo / 60.0 / manner.quarters) // 4 * 4
            score = _score(manner, bars, tempo, rng)
            sound = render_score(f"meter-{name}-{turn}", lambda score=score: score, work, _soundfont(manner))  # type: ignore[misc]
            beat = 1.5 * quarter if manner.meter == "6/8" else quarter
            end = bars * manner.quarters * quarter
            beats = np.arange(0.0, end, beat, dtype=np.float64)
            downbeats = manner.quarters * quarter * np.arange(bars, dtype=np.float64)
            song = ListenedSong(f"{name} {tempo:g}", sound, beats, downbeats, (), "", 1)
            yield MeteredSong(song, manner.meter, manner.held)


def _soundfont(manner: Manner) -> str:
    return "TimGM6mb" if manner.held else "FluidR3"


def _score(manner: Manner, bars: int, tempo: float, rng: np.random.Generator) -> bytes:
    """A MIDI file of `bars` bars that ends on the tonic."""
    name = str(rng.choice(list(PROGRESSIONS)))
    mode = "minor" if name.startswith("minor") else "major"
    chords, key, bar = PROGRESSIONS[name].split(), int(rng.integers(12)), manner.quarters
    events = [(0, program_change(channel, program)) for channel, program in enumerate(manner.programs)]

    def strike(channel: int, number: int, velocity: float, at: float, length: float) -> None:
        level = int(np.clip(velocity + rng.integers(-6, 7) + 8 * (at % bar < 1e-6), 1, 127))
        events.append((round(at * 60.0 / tempo * TICKS), note_on(channel, number, level)))
        events.append((round((at + length) * 60.0 / tempo * TICKS) - 1, note_off(channel, number)))

    last = 72
    for number in range(bars):
        begin, ends = number * bar, number == bars - 1
        step, _, quality = (
            ("0", ":", "m" if mode == "minor" else "M") if ends else chords[number % len(chords)].partition(":")
        )
        root = (key + int(step)) % 12
        notes = sorted((root + tone - 7) % 12 + 55 for tone in _QUALITIES[quality])
        bass = root + 36
        steps = (0, 7 if bass < 41 else -5, 4, 12)
        for drum, velocity, places in manner.drums:
            for place in places[:1] if ends else places:
                strike(_DRUMS, drum, velocity, begin + place, 0.1)
        for place, length, tone in manner.bass[:1] if ends else manner.bass:
            strike(_BASS, bass + steps[tone], 88, begin + place, 0.95 * bar if ends else length)
        for place, length in manner.chords[:1] if ends else manner.chords:
            for note in notes:
                strike(_CHORDS, note, 70, begin + place, bar - place - 0.05 if ends else length)
        for turn, place in enumerate(manner.arpeggio[:3] if ends else manner.arpeggio):
            line = [*notes[:3], notes[0] + 12]
            strike(_CHORDS, line[(0, 1, 2, 3, 2, 1)[turn % 6]], 72, begin + place, bar - place if ends else 0.9)
        place = 0.0
        while place < bar - 1e-6:
            length = float(bar) if ends else min(float(rng.choice(manner.lengths)), bar - place)
            near = [n for n in range(max(62, last - 7), min(88, last + 8)) if (n - key) % 12 in _SCALES[mode]]
            own = [n for n in near if n % 12 in {note % 12 for note in notes}]
            last = int(rng.choice(own if own and place % 1.0 < 1e-6 else near))
            strike(_MELODY, last, 82, begin + place, 0.93 * length)
            place += length
    return midi_bytes(sorted(events, key=lambda event: event[0]))
