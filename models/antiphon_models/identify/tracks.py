"""A thousand tracks to be known and others to be refused: songs and chorales, rendered with two soundfonts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api.files import MidiTimes, read_midi
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, play
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.sounds import chorales, kept, mono, songs

RATE = 16000
SECONDS = 75.0
"""The longest track."""
STEP = 0.14
"""Seconds of a sixteenth of a chorale, about 107 quarters a minute."""
FONTS = {"FluidR3": FLUID, "TimGM6mb": TIM}
BANDS = ((0, 0, 0), (73, 48, 0), (65, 4, 4), (24, 24, 25), (0, 89, 1), (40, 48, 0))
"""General MIDI programs of melody, second melody and accompaniment, as songs have them in turn."""
CHOIRS = (19, 48, 61, 52)
"""Of chorales in turn: organ, strings, brass, choir."""


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """A track that can be rendered.

    Attributes:
        song: A folder's name in `pop909`, or "valid-3", a chorale.
        font: One of `FONTS`.
        programs: General MIDI programs of its tracks.
    """

    song: str
    font: str
    programs: tuple[int, ...]

    @property
    def name(self) -> str:
        """A file's name."""
        return f"{self.song}-{self.font}-{'.'.join(map(str, self.programs))}"


def catalogue(data: Path) -> list[TrackPlan]:
    """The tracks to be known, at most 1,000: songs ending in 1 to 6 once, those in 8 with both soundfonts, chorales."""
    fonts = list(FONTS)
    songs = [TrackPlan(name, fonts[n % 2], BANDS[n // 2 % 6]) for n, name in enumerate(_songs(data, "123456"))]
    asked = [TrackPlan(name, font, BANDS[0]) for name in _songs(data, "8") for font in fonts]
    counts = {part: len(rows) for part, rows in chorales(data).items()}
    sung = [f"{part}-{n}" for part in ("valid", "train") for n in range(counts[part])]
    choirs = [TrackPlan(name, fonts[n % 2], (CHOIRS[n // 2 % 4],)) for n, name in enumerate(sung)]
    plans = (asked + choirs[:272] + songs)[:1000]
    random.Random(1).shuffle(plans)
    return plans


def strangers(data: Path) -> list[TrackPlan]:
    """Tracks that are in no catalogue: songs ending in 9, in turn with either soundfont, and chorales of `test`."""
    fonts = list(FONTS)
    songs = [TrackPlan(name, fonts[n % 2], BANDS[n // 2 % 6]) for n, name in enumerate(_songs(data, "9"))]
    return songs + [
        TrackPlan(f"test-{n}", fonts[n % 2], (CHOIRS[n // 2 % 4],)) for n in range(len(chorales(data)["test"]))
    ]


def asked_for(plan: TrackPlan) -> bool:
    """Whether excerpts of a track of the catalogue are measured: nothing was chosen by them."""
    return plan.song.endswith("8") or plan.song.startswith("valid")


def render_track(plan: TrackPlan, data: Path, work: Path) -> Path:
    """The file of a track, 16-bit FLAC, mono, made where there is none."""

    def make() -> NDArray[np.float32]:
        sound = play(_score(plan, data), FONTS[plan.font], RATE, FluidSettings(0.5, True)).mean(axis=1)
        sound = sound[: round(SECONDS * RATE)]
        return np.asarray(0.5 * sound / np.abs(sound).max())

    return kept(work / f"{plan.name}.flac", RATE, make)


def sound_of(path: Path) -> NDArray[np.float32]:
    """A track's sound, `[frames]`, at `RATE`."""
    return mono(path, RATE)


def _songs(data: Path, digits: str) -> list[str]:
    return [path.name for path in songs(data, digits)]


def _score(plan: TrackPlan, data: Path) -> bytes:
    events = []
    channels = range(len(plan.programs))
    for start, end, number, velocity, part in _notes(plan, data):
        first, last = round(start * TICKS), round(min(end, SECONDS) * TICKS)
        if last > first:  # the end of a note before its beginning would let it sound for ever
            channel = part % len(plan.programs)
            events.append((first, 1, note_on(channel, number, velocity)))
            events.append((last, 0, note_off(channel, number)))
    head = [(0, program_change(channel, plan.programs[channel])) for channel in channels]
    return midi_bytes([*head, *((tick, data) for tick, _, data in sorted(events))])


def _notes(plan: TrackPlan, data: Path) -> Iterator[tuple[float, float, int, int, int]]:
    """Start and end in seconds, number, velocity and part."""
    if plan.song.isdigit():
        song = read_midi(data / "pop909" / plan.song / f"{plan.song}.mid")
        times = MidiTimes(song.tempo)
        for part, track in enumerate([track for track in song.tracks if track.notes]):
            for note in track.notes:
                start, end = times.seconds(note.start), times.seconds(note.start + note.length)
                yield start, end, note.number, max(1, round(note.velocity * 127)), part
        return
    part_name, _, number = plan.song.partition("-")
    steps = [step if len(step) == 4 else (-1, -1, -1, -1) for step in chorales(data)[part_name][int(number)]]
    for voice in range(4):
        first = 0
        for at in range(1, len(steps) + 1):
            if at == len(steps) or steps[at][voice] != steps[first][voice]:
                if steps[first][voice] >= 0:
                    yield first * STEP, at * STEP, int(steps[first][voice]), 90, voice
                first = at
