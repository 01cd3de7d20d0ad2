"""Rhythms of several styles and meters, with drums alone or with bass and chords, their beats and bars known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_models.listen.songs import RATE, SOUNDFONTS, ListenedSong
from antiphon_models.material.fluidsynth import FluidSettings, play
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.sounds import cached_sound, mono

SECONDS = 36.0
KICK, STICK, SNARE, CLAP, HAT, PEDAL, OPEN, RIDE, COWBELL, HIGH_CONGA, CONGA, MARACAS, CLAVES = (
    36, 37, 38, 39, 42, 44, 46, 51, 56, 63, 64, 70, 75,
)  # fmt: skip
"""Numbers of General MIDI's drums."""
_DRUMS, _BASS, _CHORDS = 9, 1, 2


@dataclass(frozen=True, slots=True)
class Groove:
    """A bar of drums, a character a step, `x` for a stroke, with the degrees at which bass and chords are struck.

    Attributes:
        steps: Steps of a beat.
        bass: Steps of a bar; chords too.
        program: General MIDI's number of the chords' instrument.
    """

    meter: int
    steps: int
    tempi: tuple[float, ...]
    drums: tuple[tuple[int, str], ...]
    bass: tuple[int, ...]
    chords: tuple[int, ...]
    program: int = 0


GROOVES = {
    "rock": Groove(
        4, 2, (90, 120, 150), ((KICK, "x---xx--"), (SNARE, "--x---x-"), (HAT, "xxxxxxxx")), (0, 3, 4), (0, 4)
    ),
    "plain": Groove(
        4, 2, (52, 58, 66), ((KICK, "x---x---"), (SNARE, "--x---x-"), (HAT, "xxxxxxxx")), (0, 4), (0, 2, 4, 6)
    ),
    "salsa": Groove(
        4,
        4,
        (90, 100, 110),
        (
            (CLAVES, "x--x--x---x-x---"),
            (COWBELL, "x-x-x-x-x-x-x-x-"),
            (CONGA, "------xx------xx"),
            (HIGH_CONGA, "x---x---x---x---"),
        ),
        (0, 6, 12),
        (2, 6, 8, 11, 14),
    ),
    "bossa": Groove(
        4,
        4,
        (60, 70, 80),
        ((KICK, "x--xx--xx--xx--x"), (STICK, "x--x--x---x--x--"), (HAT, "x-x-x-x-x-x-x-x-")),
        (0, 6, 8, 14),
        (0, 6, 10),
        24,
    ),
    "hip hop": Groove(
        4,
        4,
        (78, 88, 96),
        ((KICK, "x-----x-xx------"), (SNARE, "----x-------x---"), (HAT, "x-x-x-x-x-x-x-x-")),
        (0, 7, 8),
        (0,),
        4,
    ),
    "drum and bass": Groove(
        4,
        4,
        (166, 174, 180),
        ((KICK, "x---------x-----"), (SNARE, "----x-------x---"), (HAT, "x-x-x-x-x-x-x-x-")),
        (0, 10),
        (0,),
        4,
    ),
    "house": Groove(
        4,
        4,
        (118, 124, 130),
        ((KICK, "x---x---x---x---"), (CLAP, "----x-------x---"), (OPEN, "--x---x---x---x-")),
        (2, 6, 10, 14),
        (0, 3, 6, 11),
        4,
    ),
    "reggae": Groove(
        4, 2, (68, 74, 82), ((KICK, "----x---"), (STICK, "----x---"), (HAT, "xxxxxxxx")), (0, 3, 4, 6), (2, 6), 16
    ),
    "waltz": Groove(3, 2, (90, 120, 150, 180), ((KICK, "x-----"), (SNARE, "--x-x-"), (HAT, "x-x-x-")), (0,), (2, 4)),
    "jazz waltz": Groove(
        3, 3, (110, 140, 170, 200), ((RIDE, "x--x-xx--"), (PEDAL, "---x-----"), (KICK, "x--------")), (0, 6), (0, 5)
    ),
    "slow waltz": Groove(3, 2, (84, 96), ((STICK, "----x-"), (HAT, "x-x-x-")), (0,), (0, 2, 4), 48),
}
_TURNS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
"""C, A minor, F, G, a bar each."""


def rhythms(work: Path, meter: int, limit: int = 0) -> Iterator[ListenedSong]:
    """Grooves of a meter, at most `limit` (0: all) evenly chosen, by the soundfonts in turn.

    Each is played at each of its tempi, by drums alone and with a band.
    """
    every = [
        (f"{name} {tempo:g}{' band' if band else ''}", groove, tempo, band)
        for name, groove in GROOVES.items()
        if groove.meter == meter
        for tempo in groove.tempi
        for band in (False, True)
    ]
    count, soundfonts = min(limit or len(every), len(every)), list(SOUNDFONTS)
    for place in range(count):
        chosen = every[place * len(every) // count]
        yield _song(*chosen, soundfonts[place % 2], work)


def _song(name: str, groove: Groove, tempo: float, band: bool, soundfont: str, work: Path) -> ListenedSong:
    bars = int(SECONDS * tempo / 60.0 / groove.meter)
    beats = 60.0 / tempo * np.arange(bars * groove.meter, dtype=np.float64)

    def make() -> NDArray[np.float32]:
        sound = play(_notes(groove, tempo, bars, band), SOUNDFONTS[soundfont], RATE, FluidSettings(0.5, True))
        return np.asarray(sound.mean(axis=1) / max(1.0, np.abs(sound).max()))

    sound = mono(cached_sound(work / f"{name.replace(' ', '-')}-{soundfont}.flac", RATE, make), RATE)
    sound = np.asarray(0.5 * sound / np.abs(sound).max(), np.float32)
    return ListenedSong(name, sound, beats, beats[:: groove.meter], (), "", 1)


def _notes(groove: Groove, tempo: float, bars: int, band: bool) -> bytes:
    step = 60.0 / tempo / groove.steps
    events: list[tuple[int, bytes]] = [(0, program_change(_BASS, 33)), (0, program_change(_CHORDS, groove.program))]

    def strike(channel: int, number: int, velocity: int, at: float, length: float) -> None:
        events.append((round(at * TICKS), note_on(channel, number, velocity)))
        events.append((round((at + length) * TICKS) - 1, note_off(channel, number)))

    for bar in range(bars):
        begin, chord = bar * groove.meter * groove.steps * step, _TURNS[bar % 4]
        for number, line in groove.drums:
            for place in (n for n, mark in enumerate(line) if mark == "x"):
                strike(_DRUMS, number, 100 if place % groove.steps == 0 else 80, begin + place * step, step)
        for place in groove.bass if band else ():
            strike(_BASS, 36 + (chord[0] - 3) % 12, 95, begin + place * step, 2.0 * step)
        for place in groove.chords if band else ():
            for note in chord:
                strike(_CHORDS, 60 + note % 12, 75, begin + place * step, 1.5 * step)
    return midi_bytes(sorted(events, key=lambda event: event[0]))
