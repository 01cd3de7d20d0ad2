"""Makes the training sounds of `hum`, once: Ogg at 16 kHz, with the ground truth beside each.

Songs, voices and texts are split into training, validation, and test for `antiphon evaluate hum`, which influenced no
choice. Winds come from one soundfont, those of the test from another. Making missing sounds needs pyworld, mido,
espeak-ng and fluidsynth.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray

from antiphon.api import F32, F64, frequency
from antiphon.api.backends.files import read_midi
from antiphon_models.hum.material import RANGES, TUNED_FONT, melody, transpose, wind
from antiphon_models.learning import needs
from antiphon_models.material import table_beside
from antiphon_models.material.singing import PERIOD, SecondsNote, Singer, pitch_line, singing, speak
from antiphon_models.material.sounds import chorales, mono, save_ogg
from antiphon_models.material.styles import UNTRAINED, SingingStyle, draw_singing_style

# ---- Singing of untrained singers on a phone, with its notes: intonation, drift, slides, breaths, microphones

SOLFEGE = ("doh", "ray", "me", "fah", "soh", "lah", "tea", "dee", "la", "na", "da", "nah", "lu", "ah", "mm", "noo")
STABLE_PART = (0.3, 0.85)
"""Range of a note, as fractions of its length, used to measure its pitch."""
AGC_SECONDS = 0.4
REACHED_SEMITONES = 0.5
"""Distance in semitones from a note's pitch within which it counts as reached."""
LATEST = 0.08
LATE, LATE_JOINED = 0.01, 0.025
"""Minimum delay in seconds of the perceived onset after the score, for a first note and for a legato note.

Medians on half of the songs of SSVD 2.0; the labels of that set were used for these two numbers alone.
"""


def vary_sight_singing_tempo(notes: Sequence[SecondsNote], rng: np.random.Generator) -> tuple[SecondsNote, ...]:
    """Varies note lengths, adds some rests and joins some repeated notes, as in sight-singing."""
    moved: list[SecondsNote] = []
    stretch = float(rng.uniform(1.0, 1.6))
    joined = float(rng.uniform(0.2, 1.0))
    for n, note in enumerate(notes):
        late = 0.02 * rng.standard_normal() if n else 0.0
        start = stretch * note.start + late
        if moved:
            start = max(start, moved[-1].start + 0.12)
        end = max(start + 0.11, stretch * note.end + late - (0.0 if rng.random() < joined else rng.uniform(0.02, 0.12)))
        if moved and (moved[-1].end > start or (start - moved[-1].end < 0.1 and rng.random() < joined)):
            moved[-1] = replace(moved[-1], end=start)
        moved.append(replace(note, start=start, end=end))
    return tuple(moved)


def intonation(notes: Sequence[SecondsNote], frames: int, rng: np.random.Generator) -> F64:
    """Semitones to add to the score at each WORLD frame: the singer's tuning, which drifts, and slopes within notes."""
    t = np.arange(frames) * PERIOD / 1000
    points = max(2, int(t[-1] / 3.0) + 2)
    walk = rng.uniform(-0.5, 0.5) + np.cumsum(rng.uniform(0.0, 0.2) * rng.standard_normal(points))
    curve = np.interp(t, np.linspace(0.0, t[-1], points), walk)
    slope = rng.uniform(0.0, 0.25)
    for note in notes:
        inside = (t >= note.start) & (t < note.end)
        part = (t[inside] - note.start) / max(note.end - note.start, 1e-3)
        curve[inside] += slope * rng.standard_normal() * (part - 0.6)
    kernel = np.hanning(15)
    return np.asarray(np.convolve(np.pad(curve, 7, "edge"), kernel / kernel.sum(), "valid"), np.float64)


def sung_notes(notes: Sequence[SecondsNote], hertz: F64) -> F32:
    """Truth `[n, 3]`: start and end in seconds, and the sung pitch as a fractional MIDI number.

    A note begins where its pitch is reached, since that is where listeners place it: after a scoop or a slide.
    """
    rows: list[list[float]] = []
    pitches = np.where(hertz > 0.0, 69.0 + 12.0 * np.log2(np.maximum(hertz, 1.0) / 440.0), np.nan)
    for note in notes:
        length = note.end - note.start
        first, last = (round((note.start + part * length) * 1000 / PERIOD) for part in STABLE_PART)
        part = pitches[first : max(first + 1, last)]
        pitch = float(np.nanmedian(part)) if np.isfinite(part).any() else float(note.pitch)
        joined = bool(rows) and note.start - rows[-1][1] < 0.03
        least = note.start + (LATE_JOINED if joined else LATE)
        at = round(least * 1000 / PERIOD)
        near = np.flatnonzero(np.abs(pitches[at : at + round(LATEST * 1000 / PERIOD)] - pitch) < REACHED_SEMITONES)
        start = min(
            least + (float(near[0]) * PERIOD / 1000 if len(near) else 0.0), note.start + min(LATEST, length / 2)
        )
        if joined:
            rows[-1][1] = start
        rows.append([start, note.end, pitch])
    return np.array(rows, np.float32)


def sing_untrained(
    notes: Sequence[SecondsNote], voice: str, seed: int, rate: int, warp: float = 1.0
) -> tuple[F32, F32, F64]:
    """Sound of an untrained singer `[frames]`, notes as sung `[n, 3]`, Hz of each WORLD frame (0 unvoiced).

    Formants are `warp` times as high; `voice` is an espeak-ng voice.
    """
    rng = np.random.default_rng(seed)
    score = vary_sight_singing_tempo(notes, rng)
    frames = round((score[-1].end + 0.5) * 1000 / PERIOD)
    curve = intonation(score, frames, rng)
    few = rng.choice(SOLFEGE, int(rng.integers(1, len(SOLFEGE))), replace=False)
    singer = Singer(voice, [str(s) for s in few], warp)
    sound, hertz = singing(score, singer, draw_singing_style(rng, UNTRAINED), int(rng.integers(1 << 30)), rate, curve)
    sound = sound + _breaths(score, len(sound), rate, rng)
    return _apply_phone_microphone(sound, rate, rng), sung_notes(score, hertz), hertz


def _breaths(notes: Sequence[SecondsNote], frames: int, rate: int, rng: np.random.Generator) -> F32:
    """Breath before some of the notes that follow a rest."""
    breath = np.zeros(frames, np.float32)
    low, high = sorted(rng.uniform(600.0, min(6000.0, 0.45 * rate), 2))
    shape = scipy.signal.butter(2, [low, high + 400.0], "bandpass", fs=rate, output="sos")
    for before, note in zip([None, *notes], notes, strict=False):
        rest = note.start - (before.end if before is not None else 0.0)
        if rest < 0.2 or rng.random() < 0.4:
            continue
        length = round(min(rest - 0.05, rng.uniform(0.12, 0.5)) * rate)
        at = round((note.start - 0.03) * rate) - length
        if at < 0 or length < 64:
            continue
        air = scipy.signal.sosfilt(shape, rng.standard_normal(length)) * np.hanning(length)
        breath[at : at + length] += (10 ** rng.uniform(-2.6, -1.3) * air / max(float(air.std()), 1e-9)).astype(
            np.float32
        )
    return breath


def _apply_phone_microphone(sound: F32, rate: int, rng: np.random.Generator) -> F32:
    """Applies a phone's microphone, automatic gain, noise and overload."""
    low = float(rng.uniform(70.0, 250.0))
    high = float(rng.choice([3400.0, 0.45 * rate, rng.uniform(3400.0, 0.45 * rate)]))
    shape = scipy.signal.butter(2, [low, high], "bandpass", fs=rate, output="sos")
    x = scipy.signal.sosfilt(shape, sound)
    noise = np.cumsum(rng.standard_normal(len(x))) if rng.random() < 0.3 else rng.standard_normal(len(x))
    noise = scipy.signal.sosfilt(shape, noise)
    x = x + 10 ** rng.uniform(-3.5, -1.7) * noise / max(float(noise.std()), 1e-9)
    if rng.random() < 0.5:
        part = 1.0 - np.exp(-1.0 / (AGC_SECONDS * rate))
        level = np.sqrt(np.maximum(scipy.signal.lfilter([part], [1.0, part - 1.0], x**2), 1e-5))
        x = x / level ** rng.uniform(0.3, 0.9)
    x = x / max(float(np.abs(x).max()), 1e-9)
    if rng.random() < 0.3:
        x = np.clip(x * rng.uniform(1.0, 2.5), -1.0, 1.0)
    return np.asarray(0.4 * x, np.float32)


# ---- Synthetic hums and whistles of sines and breath, with known pitch


def hum_notes(notes: Sequence[SecondsNote], how: SingingStyle, rng: np.random.Generator, rate: int) -> tuple[F32, F64]:
    """Synthesises a hum (few harmonics, a nasal resonance, breath): sound, and Hz every `PERIOD` ms, 0 unvoiced."""
    hertz, loud, voiced = _line(notes, how, rng, rate)
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    fall, resonance, width = rng.uniform(1.0, 3.2), rng.uniform(220.0, 420.0), rng.uniform(80.0, 200.0)
    second = rng.uniform(900.0, 1500.0)
    sound = np.zeros(len(phase))
    for k in range(1, 13):
        at = k * hertz
        gain = k**-fall * (
            0.3 + 1.0 / (1.0 + ((at - resonance) / width) ** 2) + 0.3 / (1 + ((at - second) / 200.0) ** 2)
        )
        sound += np.where(at < 0.45 * rate, gain, 0.0) * np.sin(k * phase + rng.uniform(0, 6.28))
    breath = 10 ** rng.uniform(-3.0, -1.3)
    return _finish(sound, loud, breath, how, rng), voiced


def whistle_notes(
    notes: Sequence[SecondsNote], how: SingingStyle, rng: np.random.Generator, rate: int
) -> tuple[F32, F64]:
    """Synthesises a whistle (a sine, a weak octave, air); returns the same as `hum_notes`."""
    hertz, loud, voiced = _line(notes, how, rng, rate)
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    sound = np.sin(phase) + rng.uniform(0.0, 0.1) * np.sin(2 * phase) * (hertz < 0.22 * rate)
    return _finish(sound, loud, 10 ** rng.uniform(-2.5, -1.0), how, rng), voiced


def _line(notes: Sequence[SecondsNote], how: SingingStyle, rng: np.random.Generator, rate: int) -> tuple[F64, F64, F64]:
    """Hz and loudness of every sample, and Hz every `PERIOD` ms, 0 in rests."""
    frames = round((notes[-1].end + 0.5) * 1000 / PERIOD)
    pitch = pitch_line(notes, how, frames, rng)
    length = int(frames * PERIOD / 1000 * rate)
    t = np.arange(length) / rate
    hertz = frequency(np.interp(t, np.arange(frames) * PERIOD / 1000, pitch))
    loud = np.zeros(length)
    attack, release, dip = rng.uniform(0.012, 0.07), rng.uniform(0.02, 0.1), rng.uniform(0.0, 0.7)
    for n, note in enumerate(notes):
        close = n > 0 and note.start - notes[n - 1].end < 0.03
        same = close and note.pitch == notes[n - 1].pitch
        # a legato note dips a little where it begins, the same one again nearly falls silent
        floor = (1.0 - dip if not same else rng.uniform(0.0, 0.3)) if close else 0.0
        gain = 0.4 + 0.6 * note.velocity
        rise = np.clip((t - note.start + 0.3 * attack) / attack, 0.0, 1.0)
        fall = np.clip((note.end - t) / release + 0.7, 0.0, 1.0)
        shape = gain * (0.5 - 0.5 * np.cos(np.pi * rise)) * fall
        here = (t >= note.start - attack) & (t < note.end + 0.1)
        if close:
            shape = np.maximum(shape, gain * floor * fall * (rise <= 0.999))
        loud[here] = np.maximum(loud[here] * (t[here] < note.start), shape[here])
    kernel = np.hanning(max(3, int(0.01 * rate)))
    loud = np.convolve(loud, kernel / kernel.sum(), "same")
    step = int(PERIOD / 1000 * rate)
    voiced = np.where(loud[::step][:frames] > 0.02, frequency(pitch[: len(loud[::step])]), 0.0)
    return hertz, loud, voiced


def _finish(sound: F64, loud: F64, breath: float, how: SingingStyle, rng: np.random.Generator) -> F32:
    air = np.cumsum(rng.standard_normal(len(sound))) * 0.05
    air = np.diff(air - np.convolve(air, np.ones(64) / 64, "same"), prepend=0.0)
    x = sound / max(float(np.abs(sound).max()), 1e-9) * loud
    x = 0.3 * x / max(float(np.abs(x).max()), 1e-9)
    x = x + breath * air / max(float(air.std()), 1e-9) * (0.3 + loud)
    return (x + how.breath * rng.standard_normal(len(x))).astype(np.float32)


RATE = 16000
STEP = 0.005
"""Frame period of the pitch truth in seconds."""
KINDS = ("sung", "hummed", "whistled", "wind", "speech", "noise", "many", "untrained")
NOTE_KINDS = (*KINDS[:4], "untrained")
"""Kinds of sound with note annotations."""
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
_TEXTS: tuple[str, ...] = _TABLE["texts"]


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """A sound `[frames]` at `RATE`.  notes: float32 `[n, 3]`, start and end in seconds, MIDI number.  pitch: cents
    above MIDI 0 every `STEP`, 0 unvoiced; empty where unknown.
    """

    kind: str
    sound: F32
    notes: F32 = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    pitch: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))

    def first(self, seconds: float) -> TrainingClip:
        """Excerpt from the start of a clip, with the notes that begin before slightly earlier than its end."""
        return replace(
            self, sound=self.sound[: round(seconds * RATE)], notes=self.notes[self.notes[:, 0] < seconds - 0.1]
        )


def songs(data: Path, part: str) -> list[Path]:
    """Folders of POP909 of a part, "train", "valid" or "test"; one in thirteen tuned the constants of yin."""
    needs.folders(data, ("pop909",))
    folders = sorted(path for path in (data / "pop909").iterdir() if path.is_dir())
    places = {"test": (3,), "valid": (9,), "train": (1, 2, 4, 5, 6, 8, 10, 11, 12)}[part]
    return [folder for n, folder in enumerate(folders) if n % 13 in places]


def complete(data: Path, folder: Path, seed: int, say: Callable[[str], None]) -> None:
    """Makes the missing sounds of every part."""
    for part in ("train", "valid"):
        if not (folder / f"{part}.made").exists():
            make(data, folder, part, seed, say)
            (folder / f"{part}.made").touch()


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
    """Writes a clip's ground truth as npz and then its sound as Ogg, atomically."""
    truth, part = path.with_suffix(".npz"), path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, notes=clip.notes, pitch=clip.pitch)
    os.replace(part, truth)
    save_ogg(path, np.clip(clip.sound, -0.99, 0.99), RATE, 1.0 - QUALITY)


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
        return TrainingClip(kind, _speech(part, rng))
    if kind == "noise":
        return TrainingClip(kind, _noise(data, part, k))
    folders = songs(data, part)
    # each kind has its own walk through the songs, so that one song is not in all of them
    folder = folders[(k * 7 + KINDS.index(kind) * 131) % len(folders)]
    if kind == "many":
        return TrainingClip(kind, polyphonic_sound(data, part, folder, k, rng))
    notes = melody(folder / f"{folder.name}.mid", SECONDS)
    if len(notes) < 6:
        return _clip(data, part, kind, k + 1, rng)
    if kind == "wind":
        return _wind(notes, k)
    how = draw_singing_style(rng)
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


def _wind(notes: Sequence[SecondsNote], k: int) -> TrainingClip:
    name = tuple(PROGRAMS)[k % len(PROGRAMS)]
    notes = transpose(notes, *_RANGES[name])
    sound = wind(name, notes, PROGRAMS[name], TUNED_FONT, RATE).sound
    sound = sound[: round((notes[-1].end + 0.6) * RATE)]
    pitch = np.zeros(int(len(sound) / RATE / STEP), np.int16)
    for n in notes:
        pitch[round(n.start / STEP) : round(n.end / STEP)] = 100 * n.pitch
    return TrainingClip("wind", 0.3 * sound / max(float(np.abs(sound).max()), 1e-9), _rows(notes), pitch)


def _rows(notes: Sequence[SecondsNote]) -> F32:
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


def _piano(path: Path) -> Iterator[SecondsNote]:
    song = read_midi(path, overlap="replace")
    track = next(t for t in song.tracks if t.name.strip().upper() == "PIANO")
    # the tempo matters little here: 120 beats a minute
    notes = sorted(track.notes, key=lambda n: n.end)
    first = notes[0].start if notes else 0.0
    for note in notes:
        start, end = 0.5 * (note.start - first), 0.5 * (note.end - first)
        if 0.0 <= start < 12.0:
            yield SecondsNote(start, max(end, start + 0.05), note.number, note.velocity)


def _chorale(data: Path, part: str, rng: np.random.Generator) -> Iterator[SecondsNote]:
    every = chorales(data)[part]
    steps = every[int(rng.integers(len(every)))]
    length = float(rng.uniform(0.11, 0.2))
    for voice in range(4):
        line = [int(step[voice]) if len(step) > voice else -1 for step in steps][: int(12 / length)]
        at = 0
        for n in range(1, len(line) + 1):
            if n == len(line) or line[n] != line[at]:
                if line[at] > 0:
                    yield SecondsNote(at * length, n * length, line[at], 0.7)
                at = n
