"""Synthetic hums and whistles of sines and breath, with known pitch."""

from collections.abc import Sequence

import numpy as np

from antiphon.api import F32, F64, frequency
from antiphon_models.material.singing import PERIOD, LyricNote, pitch_line
from antiphon_models.material.styles import SingingStyle


def hum_notes(notes: Sequence[LyricNote], how: SingingStyle, rng: np.random.Generator, rate: int) -> tuple[F32, F64]:
    """A hum: few harmonics, a nasal resonance, breath. Sound, and Hz every `PERIOD` ms, 0 unvoiced."""
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
    notes: Sequence[LyricNote], how: SingingStyle, rng: np.random.Generator, rate: int
) -> tuple[F32, F64]:
    """A whistle: a sine, a weak octave, and air. As `hum_notes`."""
    hertz, loud, voiced = _line(notes, how, rng, rate)
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    sound = np.sin(phase) + rng.uniform(0.0, 0.1) * np.sin(2 * phase) * (hertz < 0.22 * rate)
    return _finish(sound, loud, 10 ** rng.uniform(-2.5, -1.0), how, rng), voiced


def _line(notes: Sequence[LyricNote], how: SingingStyle, rng: np.random.Generator, rate: int) -> tuple[F64, F64, F64]:
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
