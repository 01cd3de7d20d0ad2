"""The training sounds of `hum`, made once: Ogg at 16 kHz, with truth beside each.

Songs, voices and texts are split three ways: what is trained on, what is validated on while training, and what
`antiphon evaluate hum` tests on, which none of them was looked at for. Winds are of one soundfont; the test's are of
the other. Needs pyworld, mido, espeak-ng and fluidsynth where a sound is not there yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.files import read_midi
from antiphon_hum.learned.tables import LOWEST, SEMITONES
from antiphon_models.hum.material import RANGES, TUNED_FONT, melody, transpose, wind
from antiphon_models.hum.training.humming import hum_notes, whistle_notes
from antiphon_models.hum.untrained import sing_untrained
from antiphon_models.learning import needs
from antiphon_models.material.singing import LyricNote, Singer, singing, speak
from antiphon_models.material.sounds import chorales, mono, save_ogg
from antiphon_models.material.styles import manner
from antiphon_models.material.tables import table_beside

RATE = 16000
STEP = 0.005
"""Frame period of the pitch truth in seconds."""
KINDS = ("sung", "hummed", "whistled", "wind", "speech", "noise", "many", "untrained")
NOTE_KINDS = (*KINDS[:4], "untrained")
"""Kinds with notes."""
QUALITY = 0.12
"""Vorbis quality; libsndfile's compression level is 1 - quality."""
_TABLE = table_beside(__file__)
TRAIN_VOICES: tuple[str, ...] = _TABLE["train_voices"]
VALID_VOICES = ("en-gb+Belinda", "en+Iven", "da+anika", "en-us+Benjamin")
TEST_VOICES = ("en+Andrea", "en-us+Caleb", "fr+Gustave", "es+aunty", "en-gb+Boris", "de+female5")
OCTAVE_VARIANTS: tuple[str, ...] = _TABLE["high"]
"""Variants sung an octave higher."""
SYLLABLES: tuple[str, ...] = _TABLE["syllables"]
PROGRAMS: dict[str, int] = _TABLE["programs"]
_RANGES: dict[str, tuple[int, int]] = {**RANGES, **_TABLE["ranges"]}
COUNTS = {"sung": 95, "hummed": 34, "whistled": 14, "wind": 52, "speech": 60, "noise": 66, "many": 26, "untrained": 70}
VALID_COUNTS = {"sung": 10, "hummed": 4, "whistled": 2, "wind": 6, "speech": 6, "noise": 6, "many": 4, "untrained": 10}
SECONDS = 16.0
PIANO, PIANO_SECONDS = "piano.ogg", 1.5
_TEXTS = (
    "I have never been to that part of the country, but my brother says it is lovely in the spring.",
    "Could you pass me the salt, please? And the bread as well, if you do not mind.",
    "This is the news at six o'clock. The prime minister said today that there would be no election this year.",
    "Take two eggs, a cup of flour and a little milk, and stir until there are no lumps left.",
    "We went down to the river, and there we saw three boats, a heron, and an old man with a dog.",
    "Mind the gap between the train and the platform. The next station is Victoria.",
    "What do you mean, you forgot? I reminded you twice yesterday, and once this morning!",
    "The experiment was repeated four times with different settings, and the results agreed within one percent.",
    "Once upon a time there was a miller who had three sons, a mill, a donkey and a cat.",
    "Your call is important to us. Please hold the line and someone will be with you shortly.",
)


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """A sound `[frames]` at `RATE`.  notes: float32 `[n, 3]`, seconds from and to, MIDI number.  pitch: of each
    `STEP`, cents above MIDI 0, 0 unvoiced; empty where it is unknown.
    """

    kind: str
    sound: F32
    notes: F32
    pitch: NDArray[np.int16]

    def first(self, seconds: float) -> TrainingClip:
        """Start of a clip, with the notes that begin in it, slightly before its end."""
        return replace(
            self, sound=self.sound[: round(seconds * RATE)], notes=self.notes[self.notes[:, 0] < seconds - 0.1]
        )


def songs(data: Path, part: str) -> list[Path]:
    """Folders of POP909 of a part, "train", "valid" or "test", without those of `material.TUNING_SONGS`."""
    needs.folders(data, ("pop909",))
    folders = sorted(path for path in (data / "pop909").iterdir() if path.is_dir())
    places = {"test": (3,), "valid": (9,), "train": (1, 2, 4, 5, 6, 8, 10, 11, 12)}[part]
    return [folder for n, folder in enumerate(folders) if n % 13 in places]


def complete(data: Path, folder: Path, seed: int, say: Callable[[str], None]) -> None:
    """Makes the missing sounds of every part, and the piano's notes."""
    for part in ("train", "valid"):
        if not (folder / f"{part}.made").exists():
            make(data, folder, part, seed, say)
            (folder / f"{part}.made").touch()
    if not (folder / PIANO).exists():
        notes = [LyricNote(n * PIANO_SECONDS, (n + 0.95) * PIANO_SECONDS, LOWEST + n, 0.7) for n in range(SEMITONES)]
        _ogg(folder / PIANO, wind("piano", notes, 0, TUNED_FONT, RATE).sound)


def piano(folder: Path) -> F32:
    """Piano notes `[SEMITONES, frames]` at `RATE`, each from its onset."""
    sound, _ = soundfile.read(folder / PIANO, dtype="float32")
    frames = round(PIANO_SECONDS * RATE)
    return np.ascontiguousarray(sound[: SEMITONES * frames].reshape(SEMITONES, frames))


def make(data: Path, folder: Path, part: str, seed: int, say: Callable[[str], None]) -> None:
    """Makes the missing sounds of `folder`. `say` reports progress."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = COUNTS if part == "train" else VALID_COUNTS
    told = sum(counts.values())
    for n, (kind, k) in enumerate((kind, k) for kind, count in counts.items() for k in range(count)):
        path = folder / f"{part}-{kind}-{k:03}.ogg"
        if path.exists():
            continue
        rng = np.random.default_rng((seed, KINDS.index(kind), k, part == "train"))
        write(path, _clip(data, part, kind, k, rng))
        if n % 10 == 0:
            say(f"hum's material ({part}): {n} of {told}")


def write(path: Path, clip: TrainingClip) -> None:
    """Writes a clip as Ogg and, before it, its truth as npz; atomically."""
    truth, part = path.with_suffix(".npz"), path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, notes=clip.notes, pitch=clip.pitch)
    os.replace(part, truth)
    _ogg(path, clip.sound)


def _ogg(path: Path, x: F32) -> None:
    save_ogg(path, np.clip(x, -0.99, 0.99), RATE, 1.0 - QUALITY)


def load(folder: Path, part: str) -> list[TrainingClip]:
    """Every clip of a part that is there, in order of its name."""
    clips = []
    for path in sorted(folder.glob(f"{part}-*.ogg")):
        sound, _ = soundfile.read(path, dtype="float32")
        with np.load(path.with_suffix(".npz")) as truth:
            clips.append(TrainingClip(path.name.split("-")[1], sound, truth["notes"], truth["pitch"]))
    return clips


def _clip(data: Path, part: str, kind: str, k: int, rng: np.random.Generator) -> TrainingClip:
    if kind == "speech":
        return TrainingClip(kind, _speech(part, rng), np.zeros((0, 3), np.float32), np.zeros(0, np.int16))
    if kind == "noise":
        return TrainingClip(kind, _noise(data, part, k), np.zeros((0, 3), np.float32), np.zeros(0, np.int16))
    folders = songs(data, part)
    # each kind has its own walk through the songs, so that one song is not in all of them
    folder = folders[(k * 7 + KINDS.index(kind) * 131) % len(folders)]
    if kind == "many":
        return TrainingClip(
            kind, polyphonic_sound(data, part, folder, k, rng), np.zeros((0, 3), np.float32), np.zeros(0, np.int16)
        )
    notes = melody(folder / f"{folder.name}.mid", SECONDS)
    if len(notes) < 6:
        return _clip(data, part, kind, k + 1, rng)
    if kind == "wind":
        return _wind(notes, k)
    how = manner(rng)
    if kind in ("sung", "untrained"):
        voices = TRAIN_VOICES if part == "train" else VALID_VOICES
        voice = voices[k % len(voices)]
        low, high = (55, 78) if voice.endswith(OCTAVE_VARIANTS) else (43, 66)
        notes = transpose(notes, low, high)
        warp = float(rng.uniform(0.88, 1.15))
        if kind == "untrained":
            sound, rows, f0 = sing_untrained(notes, voice, int(rng.integers(1 << 30)), RATE, warp)
            return TrainingClip(kind, sound, rows, _cents(f0))
        sound, f0 = singing(notes, Singer(voice, SYLLABLES, warp), how, int(rng.integers(1 << 30)), RATE)
    elif kind == "hummed":
        notes = transpose(notes, *((43, 66) if k % 2 else (53, 76)))
        sound, f0 = hum_notes(notes, how, rng, RATE)
    else:
        notes = transpose(notes, 74, 95)
        sound, f0 = whistle_notes(notes, how, rng, RATE)
    return TrainingClip(kind, sound, _rows(notes), _cents(f0))


def _wind(notes: Sequence[LyricNote], k: int) -> TrainingClip:
    name = tuple(PROGRAMS)[k % len(PROGRAMS)]
    notes = transpose(notes, *_RANGES[name])
    sound = wind(name, notes, PROGRAMS[name], TUNED_FONT, RATE).sound
    sound = sound[: round((notes[-1].end + 0.6) * RATE)]
    pitch = np.zeros(int(len(sound) / RATE / STEP), np.int16)
    for n in notes:
        pitch[round(n.start / STEP) : round(n.end / STEP)] = 100 * n.pitch
    return TrainingClip("wind", 0.3 * sound / max(float(np.abs(sound).max()), 1e-9), _rows(notes), pitch)


def _rows(notes: Sequence[LyricNote]) -> F32:
    return np.array([[n.start, n.end, n.pitch] for n in notes], np.float32)


def _cents(f0: F64) -> NDArray[np.int16]:
    there = f0 > 0.0
    return np.where(there, np.round(6900 + 1200 * np.log2(np.where(there, f0, 440.0) / 440.0)), 0).astype(np.int16)


def _speech(part: str, rng: np.random.Generator) -> F32:
    voices = TRAIN_VOICES if part == "train" else VALID_VOICES
    texts = _TEXTS[:7] if part == "train" else _TEXTS[7:]
    x = speak(
        str(rng.choice(texts)), str(rng.choice(voices)), int(rng.integers(110, 190)), int(rng.integers(20, 80)), RATE
    )
    return 0.3 * x / max(float(np.abs(x).max()), 1e-9)


def _noise(data: Path, part: str, k: int) -> F32:
    """A noise clip of ESC-10's folds 1 and 2, or 3 for validation; fold 4 is the test's."""
    paths = sorted(p for p in (data / "esc10").glob("*/*.ogg") if p.name[0] in ("12" if part == "train" else "3"))
    x = mono(paths[k * 37 % len(paths)], RATE)
    return 0.3 * x / max(float(np.abs(x).max()), 1e-9)


def polyphonic_sound(
    data: Path, part: str, folder: Path, k: int, rng: np.random.Generator, font: Path = TUNED_FONT
) -> F32:
    """Polyphonic sound: POP909's PIANO track, or a chorale, by one program."""
    scores = list(_chorale(data, part, rng)) if k % 2 else list(_piano(folder / f"{folder.name}.mid"))
    program = int(rng.choice([0, 0, 4, 16, 19, 24, 25, 48, 52]))
    x = wind("many", scores, program, font, RATE).sound[: round(12 * RATE)]
    return 0.3 * x / max(float(np.abs(x).max()), 1e-9)


def _piano(path: Path) -> Iterator[LyricNote]:
    song = read_midi(path, overlap="replace")
    track = next(t for t in song.tracks if t.name.strip().upper() == "PIANO")
    # the tempo matters little here: 120 beats a minute
    notes = sorted(track.notes, key=lambda n: n.end)
    first = notes[0].start if notes else 0.0
    for note in notes:
        start, end = 0.5 * (note.start - first), 0.5 * (note.end - first)
        if 0.0 <= start < 12.0:
            yield LyricNote(start, max(end, start + 0.05), note.number, note.velocity)


def _chorale(data: Path, part: str, rng: np.random.Generator) -> Iterator[LyricNote]:
    every = chorales(data)[part]
    steps = every[int(rng.integers(len(every)))]
    length = float(rng.uniform(0.11, 0.2))
    for voice in range(4):
        line = [int(step[voice]) if len(step) > voice else -1 for step in steps][: int(12 / length)]
        at = 0
        for n in range(1, len(line) + 1):
            if n == len(line) or line[n] != line[at]:
                if line[at] > 0:
                    yield LyricNote(at * length, n * length, line[at], 0.7)
                at = n
