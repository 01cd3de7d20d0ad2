"""Makes sounds without a beat: coloured noise, claps, a drone, speech."""

from __future__ import annotations

import numpy as np

from antiphon.api import F32, F64
from antiphon_follow.evidence import RATE
from antiphon_models.follow.fitting import SECONDS
from antiphon_models.material import table_beside
from antiphon_models.material.singing import speak

_TABLE = table_beside(__file__)
VOICES, SENTENCES = _TABLE["voices"], _TABLE["sentences"]


def coloured_noise(size: int, random: np.random.Generator) -> F64:
    """Noise with a falling spectrum, of root mean square 1."""
    spectrum = np.fft.rfft(random.standard_normal(size))
    noise = np.fft.irfft(spectrum * (np.arange(len(spectrum)) + 20.0) ** -random.uniform(0.0, 1.2), size)
    return np.asarray(noise / np.sqrt((noise**2).mean()))


def claps(size: int, random: np.random.Generator) -> F32:
    """Claps at random, 2 to 60 a second."""
    made, clap = np.zeros(size), np.exp(-np.arange(900) / random.uniform(40.0, 150.0))
    for at in random.integers(0, size - 900, int(random.choice([2, 6, 20, 60]) * SECONDS)):
        made[at : at + 900] += random.uniform(0.3, 1.0) * clap * random.standard_normal(900)
    return np.asarray(made, np.float32)


def drone(size: int, random: np.random.Generator) -> F32:
    """A drone of five sustained tones."""
    time, made = np.arange(size) / RATE, np.zeros(size)
    for _ in range(5):
        made += random.random() * np.sin(2.0 * np.pi * random.uniform(60.0, 900.0) * time + 6.3 * random.random())
    return np.asarray(made, np.float32)


def talk(size: int, random: np.random.Generator) -> F32:
    """Speech of one voice or of several in turn: sentences in any order, with pauses."""
    pieces, length = list[F32](), 0
    voices = [
        (str(random.choice(VOICES)), int(random.integers(90, 260)), int(random.integers(15, 85)))
        for _ in range(int(random.choice([1, 1, 2, 3])))
    ]
    pause, level = random.choice([0.1, 0.3, 0.7]), random.uniform(0.0, 0.5)
    while length < size:
        voice, speed, pitch = voices[random.integers(len(voices))]
        words = " ".join(SENTENCES[n] for n in random.permutation(len(SENTENCES))[: int(random.integers(1, 5))])
        said = np.asarray(speak(words, voice, speed, pitch, RATE) * np.exp(random.normal(0.0, level)), np.float32)
        pieces += [said, np.zeros(round(random.exponential(pause) * RATE), np.float32)]
        length += len(pieces[-1]) + len(pieces[-2])
    return np.concatenate(pieces)[:size]
