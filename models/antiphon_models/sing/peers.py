"""What is measured beside `sing`: espeak-ng's speech, and that speech sung by WORLD."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon_models.material.espeak import speech
from antiphon_models.material.singing import world as vocoder
from antiphon_models.sing.judges import Sung

VOICE = "en-us+f3"
PERIOD = 5.0
"""Milliseconds of WORLD's frames."""


def speak(text: str) -> tuple[NDArray[np.float32], int]:
    """Speech of espeak-ng, and its rate."""
    return speech(text, VOICE, 150, 50)


def world(text: str, notes: Sequence[Sung]) -> tuple[NDArray[np.float32], int]:
    """That speech, stretched to the score's length, at the score's pitches."""
    pyworld = vocoder()

    sound, rate = speak(text)
    x = sound.astype(np.float64)
    f0, times = pyworld.harvest(x, rate, frame_period=PERIOD)
    envelope, noise = pyworld.cheaptrick(x, f0, times, rate), pyworld.d4c(x, f0, times, rate)
    length = round(notes[-1].end * 1000.0 / PERIOD)
    at = np.minimum((np.arange(length) * len(f0) / length).astype(int), len(f0) - 1)
    seconds = np.arange(length) * PERIOD / 1000.0
    number = np.searchsorted([note.start for note in notes], seconds, side="right") - 1
    hz = np.array([440.0 * 2.0 ** ((note.number - 69) / 12.0) for note in notes])[number]
    sung = pyworld.synthesize(hz * (f0[at] > 0.0), envelope[at], noise[at], rate, PERIOD)
    return sung.astype(np.float32), rate
