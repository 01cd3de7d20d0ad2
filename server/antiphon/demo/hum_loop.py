"""The input of `antiphon play` for the patch `answer` without a microphone: eight bars, hummed and sung in turn.

The hum: a sung source (harmonics that fall by 9 dB an octave) through the resonances of a closed mouth, with vibrato
that sets in late, glides between notes, breath and a little hiss. The phrases with words are in `voice.ogg`
(docs/sounds.md). The loop has no seam. The same samples every time.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.demo.melody_loop import BEAT, BPM, FRAMES, RATE, generate_once, write
from antiphon.kernel.signal.pitch import frequency

NAME = "demo-hum-3.wav"
"""File name with the loop's version, raised at every change: a cached file of that version is used unchecked."""
LEVEL = 0.22
# (beat, beats, note) in A minor: question, answer, question, ending
MELODY = (
    (0, 1, 57), (1, 1, 60), (2, 1.5, 64), (3.5, 0.5, 62), (4, 1, 60), (5, 1, 62), (6, 1.75, 57),
    (8, 1, 57), (9, 1, 60), (10, 1.5, 65), (11.5, 0.5, 64), (12, 1, 62), (13, 1, 60), (14, 1.75, 62),
    (16, 1, 64), (17, 1, 67), (18, 1.5, 69), (19.5, 0.5, 67), (20, 1, 64), (21, 1, 62), (22, 1.75, 60),
    (24, 1, 62), (25, 0.5, 64), (25.5, 0.5, 62), (26, 1, 60), (27, 1, 59), (28, 2.75, 57),
)  # fmt: skip
PHRASE = 8
"""Beats of a phrase: the second and the fourth are sung."""
SUNG = tuple(note for note in MELODY if note[0] // PHRASE % 2)
HUMMED = tuple(note for note in MELODY if note not in SUNG)
VOICE = Path(__file__).with_name("voice.ogg")
"""The sung phrases, concatenated: four bars."""
PICKUP_FRAMES = BEAT // 32
"""Frames of a sung phrase before its beat, for its first consonant."""
# (Hz, bandwidth, gain): a hum's resonances, the nose's first
_RESONANCES = ((270.0, 90.0, 1.0), (1000.0, 200.0, 0.16), (2300.0, 300.0, 0.05))
_HARMONICS = 24
_GLIDE, _ATTACK, _RELEASE = 0.045, 0.05, 0.09

Mono = NDArray[np.float64]


def hum_file() -> Path:
    """The path of the loop as a wave file in the cache folder, generated if it is missing."""
    return generate_once(NAME, "antiphon.demo.hum_loop")


def hum() -> NDArray[np.float32]:
    """The loop: float32 `[2, FRAMES]`, mono on both."""
    import soundfile

    random = np.random.default_rng(BPM)
    pitch, level = _score(random)
    phase = 2.0 * math.pi * np.cumsum(pitch) / RATE
    voice = np.zeros(FRAMES)
    for k in range(1, _HARMONICS + 1):
        hertz = k * pitch
        voice += _resonance(hertz) * np.sin(k * phase) / k**1.5 * (hertz < 8000.0)
    breath = np.convolve(random.standard_normal(FRAMES + 63), np.ones(64) / 64.0, "valid")
    voice = (voice + 0.02 * breath) * level
    voice *= LEVEL / np.sqrt(np.mean(voice[level > 0.5] ** 2)) * 0.7
    sung, _ = soundfile.read(VOICE, dtype="float64")
    sung *= 0.85 * LEVEL / np.sqrt(np.mean(sung[np.abs(sung) > 0.1 * np.abs(sung).max()] ** 2))
    for place, phrase in zip(sung_ranges(), np.split(sung, 2), strict=True):
        voice[place] += phrase
    voice += 10.0 ** (-62.0 / 20.0) * random.standard_normal(FRAMES)
    return np.ascontiguousarray(np.stack([voice, voice]), np.float32)


def sung_ranges() -> tuple[slice, ...]:
    """Ranges of the sung phrases in the loop, in frames."""
    first = (PHRASE * BEAT - PICKUP_FRAMES, 3 * PHRASE * BEAT - PICKUP_FRAMES)
    return tuple(slice(at, at + PHRASE * BEAT) for at in first)


def _score(random: np.random.Generator) -> tuple[Mono, Mono]:
    """Frequency in Hz and amplitude of the hum, per frame."""
    t = np.arange(FRAMES)
    note, level = np.full(FRAMES, float(HUMMED[0][2])), np.zeros(FRAMES)
    before = float(HUMMED[-1][2])
    for beat, beats, number in HUMMED:
        first, last = round(beat * BEAT), round((beat + beats) * BEAT)
        seconds = (t[first:] - first) / RATE
        slide = np.clip(seconds / _GLIDE, 0.0, 1.0)
        swing = 0.18 * np.clip((seconds - 0.25) / 0.2, 0.0, 1.0) * np.sin(2.0 * math.pi * 5.3 * seconds)
        off = random.normal(0.0, 0.04)
        note[first:] = before + (number + off - before) * slide * slide * (3.0 - 2.0 * slide) + swing
        before = number
        inside = (t[first:last] - first) / RATE
        rest = (last - first) / RATE - 0.02 - inside
        loud = random.uniform(0.8, 1.0) * np.clip(inside / _ATTACK, 0.0, 1.0) * np.clip(rest / _RELEASE, 0.0, 1.0)
        level[first:last] = loud
    return frequency(note), level


def _resonance(hertz: Mono) -> Mono:
    return sum((gain / (1.0 + ((hertz - at) / width) ** 2) for at, width, gain in _RESONANCES), np.zeros_like(hertz))


if __name__ == "__main__":
    write(hum(), Path(sys.argv[1]))
