"""Synthetic singing: espeak-ng's syllables, resynthesised at the notes' pitches by WORLD.

WORLD analyses the syllable, which is stretched to the note's length and resynthesised at a pitch drawn from the score,
with glides, scoops, vibrato, drift and mistuning. Needs pyworld and espeak-ng.
"""

import functools
import importlib.metadata
import importlib.util
import io
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, frequency
from antiphon_models.material.sounds import resample_mono
from antiphon_models.material.styles import SingingStyle

RATE = 44100
PERIOD = 5.0
"""Milliseconds of a WORLD frame."""
SYLLABLES = ("la", "na", "da", "doo", "ma", "yeah", "no", "bee", "ru", "go", "ta", "sea", "ko", "high", "you", "feel")


@dataclass(frozen=True, slots=True)
class SecondsNote:
    """A note: start and end in seconds, MIDI number, velocity above 0 to 1."""

    start: float
    end: float
    pitch: int
    velocity: float


def speak(text: str, voice: str, speed: int = 150, pitch: int = 50, rate: int = RATE) -> F32:
    """Synthesises speech with espeak-ng, mono at `rate`.

    `voice`: a language and a variant, such as "en-us+f3"; `speed`: words a minute, 80 to 450; `pitch`: 0 to 99.

    Raises `FileNotFoundError`: espeak-ng is missing. `subprocess.CalledProcessError`: the voice is unknown, or
    espeak-ng fails otherwise.
    """
    import soundfile

    words = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    said = io.BytesIO(subprocess.run(words, check=True, capture_output=True).stdout)
    sound, made = soundfile.read(said, dtype="float32", always_2d=True)
    return resample_mono(sound.mean(axis=1), made, rate)


def world() -> Any:
    """Imports pyworld with a stub of pkg_resources, which it asks for its version and setuptools no longer has."""
    missing = importlib.util.find_spec("pkg_resources") is None
    if missing:
        stand_in = types.ModuleType("pkg_resources")
        stand_in.get_distribution = importlib.metadata.distribution  # type: ignore[attr-defined]
        sys.modules["pkg_resources"] = stand_in
    try:
        import pyworld
    finally:
        if missing:
            del sys.modules["pkg_resources"]  # others look whether it is there

    return pyworld


@dataclass(frozen=True, slots=True)
class Syllable:
    """WORLD's spectral envelope and aperiodicity `[frames, bins]`; `vowel`: first and last frame that is voiced."""

    envelope: F64
    noise: F64
    vowel: tuple[int, int]


@functools.lru_cache(maxsize=512)
def syllable(text: str, voice: str, rate: int = RATE) -> Syllable:
    """Speaks a syllable and analyses it with WORLD."""
    return analyse_speech(speak(text, voice, rate=rate), rate)


def analyse_speech(sound: F32, rate: int) -> Syllable:
    """Analyses speech, mono at `rate`, with WORLD."""
    pyworld = world()
    x = sound.astype(np.float64)
    loud = np.flatnonzero(np.abs(x) > 0.02 * np.abs(x).max())
    x = x[max(0, loud[0] - 200) : loud[-1] + 200]
    f0, times = pyworld.harvest(x, rate, frame_period=PERIOD)
    envelope = pyworld.cheaptrick(x, f0, times, rate)
    noise = pyworld.d4c(x, f0, times, rate)
    voiced = np.flatnonzero(f0 > 0)
    if len(voiced) < 4:
        return Syllable(envelope, noise, (0, len(f0) - 1))
    return Syllable(envelope, noise, (int(voiced[0]), int(voiced[-1])))


@dataclass(frozen=True, slots=True)
class Singer:
    """A voice with its syllables. warp: factor of the formants.  take: gives syllables by text, voice and rate."""

    voice: str
    syllables: Sequence[str] = SYLLABLES
    warp: float = 1.0
    take: Callable[[str, str, int], Syllable] = syllable


def singing(
    notes: Sequence[SecondsNote], singer: Singer, how: SingingStyle, seed: int, rate: int = RATE,
    intonation: F64 | None = None,
) -> tuple[F32, F64]:  # fmt: skip
    """Sings notes: sound at `rate`, and Hz of each WORLD frame, 0 unvoiced. Slurred notes continue the previous
    syllable. intonation: semitones to add to each frame's pitch."""
    pyworld = world()
    rng = np.random.default_rng(seed)
    frames = round((notes[-1].end + 0.5) * 1000 / PERIOD)
    bins = singer.take(singer.syllables[0], singer.voice, rate).envelope.shape[1]
    envelope, noise = np.full((frames, bins), 1e-16), np.ones((frames, bins))
    pitch = pitch_line(notes, how, frames, rng)
    if intonation is not None:
        pitch = pitch + intonation[:frames]
    voiced = np.zeros(frames, bool)
    before: Syllable | None = None
    for n, note in enumerate(notes):
        begin, end = round(note.start * 1000 / PERIOD), round(note.end * 1000 / PERIOD)
        close = n > 0 and note.start - notes[n - 1].end < 0.03
        slurred = close and before is not None and note.pitch != notes[n - 1].pitch and rng.random() < how.slurs
        made = (
            before
            if slurred and before is not None
            else singer.take(str(rng.choice(singer.syllables)), singer.voice, rate)
        )
        before = made
        first, last = made.vowel
        lead = min(first, 20) if not slurred else 0
        if not how.on_vowel:
            begin += min(lead, max(0, end - begin - 12))
        begin_at = max(0, begin - lead)
        places = _stretched(made, begin - begin_at, max(4, end - begin), slurred=slurred)
        where = slice(begin_at, min(frames, begin_at + len(places)))
        places = places[: where.stop - where.start]
        gain = 0.3 + 0.7 * note.velocity
        envelope[where] = made.envelope[places] * gain**2
        noise[where] = made.noise[places]
        voiced[where] = (places >= first) & (places <= last)
        fade = min(8, len(places) // 3)
        if n + 1 == len(notes) or notes[n + 1].start - note.end > 0.02:
            envelope[where.stop - fade : where.stop] *= np.linspace(1.0, 0.01, fade)[:, None] ** 2
    f0 = np.where(voiced, frequency(pitch), 0.0)
    if singer.warp != 1.0:
        places = np.minimum(np.round(np.arange(bins) / singer.warp).astype(int), bins - 1)
        envelope = np.ascontiguousarray(envelope[:, places])
    x = pyworld.synthesize(f0, envelope, noise, rate, PERIOD)
    x = 0.3 * x / max(np.abs(x).max(), 1e-9)
    return (x + how.breath * rng.standard_normal(len(x))).astype(np.float32), f0


def _stretched(made: Syllable, lead: int, body: int, *, slurred: bool) -> NDArray[np.int64]:
    """Frame indices of a stretched syllable: `lead` before its vowel, then `body`; of a slur the vowel alone."""
    first, last = made.vowel
    if slurred:
        middle = (first + last) // 2
        places = np.linspace(middle, last - 1, body)
    else:
        # a consonant keeps its length, the vowel is stretched
        keep = min(8, body // 2)
        places = np.concatenate(
            [np.arange(first, first + keep), np.linspace(first + keep, max(first + keep, last - 2), body - keep)]
        )
    places = np.concatenate([np.arange(first - lead, first), places])
    return np.clip(np.round(places), 0, len(made.envelope) - 1).astype(int)


def pitch_line(notes: Sequence[SecondsNote], how: SingingStyle, frames: int, rng: np.random.Generator) -> F64:
    """MIDI number of each WORLD frame."""
    t = np.arange(frames) * PERIOD / 1000
    line = np.full(frames, float(notes[0].pitch))
    for n, note in enumerate(notes):
        target = note.pitch + how.mistuned * rng.standard_normal()
        after = t >= note.start
        inside = after & (t < note.end + 0.02)
        near = n > 0 and note.start - notes[n - 1].end < 0.08
        previous = line[np.flatnonzero(after)[0] - 1] if near and after.any() else target
        since = np.clip((t - note.start + how.glide / 2) / how.glide, 0.0, 1.0)
        # a glide has gone half its way on the beat
        touched = t >= note.start - how.glide / 2 if near else after
        shape = previous + (target - previous) * (0.5 - 0.5 * np.cos(np.pi * since))
        line[touched] = shape[touched]
        if rng.random() < how.scoops and not near:
            line[inside] -= how.scoop * np.exp(-(t[inside] - note.start) / (how.scoop_time / 2))
        age = np.clip((t - note.start - how.vibrato_delay) / 0.15, 0.0, 1.0)
        wave = how.vibrato * age * np.sin(2 * np.pi * how.vibrato_rate * (t - note.start) + rng.uniform(0, 6.28))
        line[inside] += wave[inside]
    slow = np.cumsum(rng.standard_normal(frames)) * 0.02
    smooth = np.convolve(slow - np.convolve(slow, np.ones(101) / 101, "same"), np.ones(9) / 9, "same")
    return np.asarray(line + how.drift * smooth / max(smooth.std(), 1e-9), np.float64)
