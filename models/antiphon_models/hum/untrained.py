"""Singing of untrained singers on a phone, with its notes: intonation, drift, slides, breaths, microphones.

`material.singing` sings; what is added here is a curve of intonation over it, breaths in the rests, and the phone.
The pitch of a note in the truth is the one that was sung: the median of the curve over the note's stable part.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.signal

from antiphon.api import F32, F64
from antiphon_models.material.singing import PERIOD, LyricNote, Singer, singing
from antiphon_models.material.styles import UNTRAINED, manner

SOLFEGE = ("doh", "ray", "me", "fah", "soh", "lah", "tea", "dee", "la", "na", "da", "nah", "lu", "ah", "mm", "noo")
STABLE_PART = (0.3, 0.85)
"""Part of a note used to measure its pitch."""
AGC_SECONDS = 0.4
REACHED_SEMITONES = 0.5
"""Distance in semitones from its pitch at which a note counts as reached."""
LATEST = 0.08
LATE, LATE_JOINED = 0.01, 0.025
"""Minimum perceived onset delay in seconds after the score, of a first note and of a legato note.

Medians on half of the songs of SSVD 2.0; the labels of that set were used for these two numbers alone.
"""


def tempo_of_sight_singing(notes: Sequence[LyricNote], rng: np.random.Generator) -> tuple[LyricNote, ...]:
    """Notes with uneven lengths, some rests between them and some repeated notes joined to their neighbours."""
    moved: list[LyricNote] = []
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


def intonation(notes: Sequence[LyricNote], frames: int, rng: np.random.Generator) -> F64:
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


def sung_notes(notes: Sequence[LyricNote], hertz: F64) -> F32:
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
    notes: Sequence[LyricNote], voice: str, seed: int, rate: int, warp: float = 1.0
) -> tuple[F32, F32, F64]:
    """An untrained singer's recording `[frames]`, notes as sung `[n, 3]`, Hz of each WORLD frame (0 unvoiced).

    Formants are `warp` times as high; `voice` is one of espeak-ng.
    """
    rng = np.random.default_rng(seed)
    score = tempo_of_sight_singing(notes, rng)
    frames = round((score[-1].end + 0.5) * 1000 / PERIOD)
    curve = intonation(score, frames, rng)
    few = rng.choice(SOLFEGE, int(rng.integers(1, len(SOLFEGE))), replace=False)
    singer = Singer(voice, [str(s) for s in few], warp)
    sound, hertz = singing(score, singer, manner(rng, UNTRAINED), int(rng.integers(1 << 30)), rate, curve)
    sound = sound + _breaths(score, len(sound), rate, rng)
    return _phone(sound, rate, rng), sung_notes(score, hertz), hertz


def _breaths(notes: Sequence[LyricNote], frames: int, rate: int, rng: np.random.Generator) -> F32:
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


def _phone(sound: F32, rate: int, rng: np.random.Generator) -> F32:
    """Microphone, automatic gain, noise and overload of a phone."""
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
