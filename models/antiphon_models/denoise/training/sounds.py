"""Renders clean sound: songs and chorales by FluidSynth, voices by espeak-ng. Defines the splits of all material.

Sounds are mono float32 at `RATE`. Training, validation and test splits are by song, fold, voice and file. soxr is
imported where it is used: existing material loads without it.
"""

import random
from pathlib import Path
from typing import Any, Literal

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.files import read_midi
from antiphon_models.denoise.training import RATE as RATE
from antiphon_models.learning.needs import folders
from antiphon_models.material import fluidsynth, sounds
from antiphon_models.material.fluidsynth import (
    FLUID,
    TICKS,
    TIM,
    FluidSettings,
    is_note_on,
    midi_bytes,
    note_off,
    note_on,
    program_change,
)
from antiphon_models.material.singing import speak
from antiphon_models.material.sounds import mono

Part = Literal["train", "valid", "test"]
TRAIN_FONT, TEST_FONTS = FLUID, {"timgm": TIM, "fluid": FLUID}
TEST_LOOPS = ("loop_amen", "loop_amen_full", "loop_garzul", "loop_tabla", "loop_weirdo")
VALID_LOOPS = ("loop_perc2",)
TEST_SHOTS = ("drum_cymbal_hard", "drum_cymbal_open", "drum_splash_hard", "ride_via")
TEST_TRACKS = ("trumpet_solo_90bpm", "hungarian_dance_strings")
"""Test recordings used whole; of the others the first 60 % train, the last 30 % test."""
TRACK_PARTS: dict[Part, tuple[float, float]] = {"train": (0.0, 0.6), "valid": (0.6, 0.7), "test": (0.7, 1.0)}
VALID_CLIPS = 2
LANGUAGES: dict[Part, tuple[str, ...]] = {
    "train": ("en-us", "en-gb-scotland", "de", "fr-fr", "es", "it", "nl", "sv", "pl", "ru", "tr", "hi", "fi", "el"),
    "valid": ("en-us", "hu"),
    "test": ("en-us", "en-gb", "pt-br", "cs"),
}
VARIANTS: dict[Part, tuple[str, ...]] = {
    "train": ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+f1", "+f2", "+f3", "+whisper", "+klatt", "+klatt2", "+Andrea"),
    "valid": ("+m6", "+klatt3", "+Linda"),
    "test": ("+m7", "+m8", "+f4", "+f5", "+klatt4", "+Annie", "+Max"),
}


def songs(data: Path, part: Part) -> list[Path]:
    """Songs of POP909, by the last digit of their number: 1-6 train, 7 valid, 8-9 test."""
    folders(data, ("pop909",))
    digits = {"train": "123456", "valid": "7", "test": "89"}[part]
    return [path for path in sorted((data / "pop909").glob("*/*.mid")) if path.parent.name[-1] in digits]


def chorales(data: Path, part: Part) -> list[Any]:
    """Bach's chorales in the set's own splits: lists of chords of four pitches, -1 for a rest."""
    return sounds.chorales(data)[part]


def clips(data: Path, part: Part) -> list[Path]:
    """ESC-10: fold 4 tests, the last clips of each class in fold 3 validate, the rest of folds 1 to 3 trains."""
    folders(data, ("esc10",))
    chosen: list[Path] = []
    for folder in sorted(path for path in (data / "esc10").iterdir() if path.is_dir()):
        folds = {n: sorted(folder.glob(f"{n}-*.ogg")) for n in "1234"}
        last = folds["3"][-VALID_CLIPS:]
        chosen += {"train": folds["1"] + folds["2"] + folds["3"][:-VALID_CLIPS], "valid": last, "test": folds["4"]}[
            part
        ]
    return chosen


def loops(data: Path, part: Part) -> list[Path]:
    """Sonic Pi's `loop_*`."""
    held = {"test": TEST_LOOPS, "valid": VALID_LOOPS}
    every = sorted((data / "sonicpi").glob("loop_*.flac"))
    if part == "train":
        return [path for path in every if path.stem not in TEST_LOOPS + VALID_LOOPS]
    return [path for path in every if path.stem in held[part]]


def shots(data: Path, part: Part) -> list[Path]:
    """Sonic Pi's one-shots; four cymbals are for testing, none is for validation."""
    every = [path for path in sorted((data / "sonicpi").glob("*.flac")) if not path.stem.startswith("loop_")]
    return [path for path in every if (path.stem in TEST_SHOTS) == (part == "test") and part != "valid"]


def tracks(data: Path, part: Part) -> list[tuple[Path, float, float]]:
    """Recordings with start and end of the excerpt as shares of the length."""
    every = sorted((data / "tracks").glob("*.ogg"))
    whole = [(path, 0.0, 1.0) for path in every if path.stem in TEST_TRACKS and part == "test"]
    return whole + [(path, *TRACK_PARTS[part]) for path in every if path.stem not in TEST_TRACKS]


FAMILIES = ((0, 8), (8, 16), (16, 24), (24, 32), (32, 40), (40, 56), (56, 64), (64, 80), (80, 104))
FAVOURED_PROGRAMS = (56, 56, 57, 59, 60, 29, 30, 30, 119)
"""Programs weighted higher among solos: trumpets, distorted guitars, a reversed cymbal."""
_TEXT = (
    "quick brown foxes cross the lazy river while seven silver trains leave the quiet harbour at dawn and "
    "nobody remembers how many strange letters were sent before winter music answers every question with another song"
)
WORDS = _TEXT.split()
TimedMessages = list[tuple[float, bytes]]
"""Timed MIDI messages: seconds, and the bytes of a note on or note off."""


def read(path: Path, rate: int = RATE) -> F32:
    """Reads a sound file as mono at `rate`."""
    return mono(path, rate)


def render(notes: TimedMessages, programs: dict[int, int], font: Path, seconds: float, rnd: random.Random) -> F32:
    """Renders the first `seconds` of MIDI messages with a soundfont, with or without its reverb."""
    events = [(0, program_change(c, p)) for c, p in programs.items()]
    last = 0
    for second, message in sorted(notes, key=lambda pair: pair[0]):
        last = max(last, round(second * TICKS))
        events.append((last, message))
    # a note left on would keep the synthesiser going for ever
    events += [(last, note_off(c, n)) for c in range(16) for n in range(128)]
    reverb = rnd.random() < 0.7
    room = (("synth.reverb.room-size", f"{rnd.uniform(0.2, 1.0):.2f}"), ("synth.reverb.level", "0.8"))
    settings = FluidSettings(gain=0.5, reverb=reverb, chorus=None, options=room, samples="s16")
    sound = fluidsynth.play(midi_bytes(events), font, RATE, settings).mean(axis=1)
    return np.asarray(sound[: int(seconds * RATE)], np.float32)


def drums(seconds: float, rnd: random.Random, cymbals: float = 0.15) -> TimedMessages:
    """Repeats a bar's drum pattern; `cymbals`: probability of a cymbal per sixteenth."""
    step = 15.0 / rnd.uniform(85, 150)
    pattern: list[tuple[int, int]] = []
    for place in range(16):
        if place % 8 == 0 or rnd.random() < 0.12:
            pattern.append((place, 36))
        if place % 8 == 4:
            pattern.append((place, rnd.choice([38, 39, 40])))
        if rnd.random() < 0.6:
            pattern.append((place, rnd.choice([42, 42, 42, 44, 46, 51, 54, 70])))
        if rnd.random() < cymbals:
            pattern.append((place, rnd.choice([49, 51, 52, 53, 55, 57, 59])))
    hits: TimedMessages = []
    for bar in range(int(seconds / step / 16) + 1):
        for place, key in pattern:
            at = (bar * 16 + place) * step
            hits.append((at, note_on(9, key, rnd.randint(50, 120))))
            hits.append((at + 0.1, note_off(9, key)))
    return hits


def song(data: Path, part: Part, font: Path, seconds: float, rnd: random.Random) -> F32:
    """Renders an excerpt of a song in random instrumentation, with or without drums."""
    notes = _read_midi_excerpt(rnd.choice(songs(data, part)), rnd.uniform(8, 60), seconds, None, rnd)
    programs = {c: rnd.choice(range(*rnd.choice(FAMILIES))) for c in range(9)}
    if rnd.random() < 0.5:
        notes += drums(seconds, rnd)
    return render(notes, programs, font, seconds, rnd)


def solo(data: Path, part: Part, font: Path, seconds: float, rnd: random.Random, program: int = -1) -> F32:
    """Renders one track of a song on one instrument; `program` -1: random, with some weighted higher."""
    own = program if program >= 0 else rnd.choice([*range(104), *FAVOURED_PROGRAMS, *FAVOURED_PROGRAMS])
    notes = _read_midi_excerpt(
        rnd.choice(songs(data, part)), rnd.uniform(10, 60), seconds, rnd.choice([1, 1, 2, 3]), rnd
    )
    return render(notes, {0: own}, font, seconds, rnd)


def _read_midi_excerpt(path: Path, start: float, seconds: float, only: int | None, rnd: random.Random) -> TimedMessages:
    file = read_midi(path)
    chosen = range(len(file.tracks)) if only is None else {0, min(only, len(file.tracks) - 1)}
    shift = rnd.randint(-5, 6)
    notes: TimedMessages = []
    for t in chosen:
        channel = 0 if only is not None else min(t, 8)
        for note in file.tracks[t].notes:
            number = min(127, max(0, note.number + shift))
            begin, end = file.seconds(note.start) - start, file.seconds(note.end) - start
            if 0.0 <= begin < seconds:
                notes.append((begin, note_on(channel, number, round(127 * note.velocity))))
            if 0.0 <= end < seconds:
                notes.append((end, note_off(channel, number)))
    return sorted(notes, key=lambda pair: (pair[0], is_note_on(pair[1])))


def chorale(data: Path, part: Part, font: Path, seconds: float, rnd: random.Random) -> F32:
    """Renders a chorale on four instruments of one family."""
    score, step = rnd.choice(chorales(data, part)), rnd.uniform(0.1, 0.22)
    notes: TimedMessages = []
    for voice in range(4):
        sounding = -1
        for place, chord in enumerate([*score, [-1] * 4]):
            pitch, at = int(chord[voice]) if voice < len(chord) else -1, place * step
            if pitch != sounding and at < seconds:
                if sounding > 0:
                    notes.append((at - 0.01, note_off(voice, sounding)))
                if pitch > 0:
                    notes.append((at, note_on(voice, pitch, rnd.randint(60, 110))))
                sounding = pitch
    family = range(*rnd.choice(FAMILIES[2:]))
    return render(notes, {c: rnd.choice(family) for c in range(4)}, font, seconds, rnd)


def kit(font: Path, seconds: float, rnd: random.Random) -> F32:
    """Renders drums alone, with many cymbals."""
    return render(drums(seconds, rnd, rnd.uniform(0.05, 0.6)), {}, font, seconds, rnd)


def voice(part: Part, seconds: float, rnd: random.Random) -> F32:
    """Speaks nonsense in one of the part's voices."""
    text = "".join(
        " ".join(rnd.choices(WORDS, k=rnd.randint(3, 10))) + rnd.choice([". ", ", ", "? "])
        for _ in range(2 + int(seconds / 2))
    )
    name = rnd.choice(LANGUAGES[part]) + rnd.choice(VARIANTS[part])
    pitch, speed = rnd.randint(15, 85), rnd.randint(110, 220)
    return speak(text, name, speed, pitch, RATE)[: int(seconds * RATE)]


def patch(data: Path, part: Part, seconds: float, rnd: random.Random) -> F32:
    """Renders a melody, an accompaniment or a long chord on a random synthetic instrument."""
    from antiphon_models.denoise.training.voices import VoiceNote, render_notes

    if rnd.random() < 0.25:
        root = rnd.uniform(30, 60)
        chord = [root + rnd.choice([0, 3, 4, 7, 12, 15, 16, 19, 24]) for _ in range(rnd.randint(1, 5))]
        notes = [
            VoiceNote(rnd.uniform(0, seconds / 2), rnd.uniform(1, seconds), pitch, rnd.random()) for pitch in chord
        ]
        return render_notes(notes, seconds, rnd)
    sounding: dict[int, tuple[float, int]] = {}
    notes, shift = [], rnd.choice([-12, 0, 0, 0, 12])
    heard = _read_midi_excerpt(
        rnd.choice(songs(data, part)), rnd.uniform(8, 60), seconds, rnd.choice([1, 1, 2, 3]), rnd
    )
    for second, message in heard:
        _, number, velocity = message
        begun = sounding.pop(number, None)
        if begun is not None:
            notes.append(VoiceNote(begun[0], max(0.03, second - begun[0]), number + shift, begun[1] / 127))
        if is_note_on(message):
            sounding[number] = (second, velocity)
    return render_notes(notes, seconds, rnd)
