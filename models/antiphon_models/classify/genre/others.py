"""Sounds that are no song of any genre: speech, noise, one instrument alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from antiphon_classify.classifier import MEL
from antiphon_models.classify.genre.sources import rendered
from antiphon_models.material import espeak
from antiphon_models.material.composer.genres import GENRES, LEADS, NONE
from antiphon_models.material.composer.rules import PartRules
from antiphon_models.material.composer.song import compose
from antiphon_models.material.degradation import coloured_noise

F32 = NDArray[np.float32]
Rng = np.random.Generator
VOICES = {
    "fit": ("en-us+m1", "en+f1", "de+m2", "fr+f2", "es+m3", "en-gb+f3", "it+m4"),
    "choose": ("nl+f4", "pt+m5"),
    "measure": ("sv+m7", "pl+f5", "en-us+m6"),
}
"""Of espeak-ng by split, none in two of them."""
_WORDS = (
    "the weather will be fair today and colder in the north", "she counted the boxes twice before the train arrived",
    "a report on the state of roads was read to the council", "please call again after nine and ask for the manager",
    "every window of the old house looks towards the harbour", "numbers one to ten are written on the back of the card",
)  # fmt: skip


def other_sound(place: int, source: str, split: str, seconds: float, rng: Rng) -> F32:
    """A sound of `seconds` or more, at `MEL.rate`: in turn speech, noise, and two times one instrument alone.

    Args:
        place: Which in turn.
        source: That plays instruments.
        split: Whose voices speak.
        seconds: How long.
        rng: Draws it.
    """
    match place % 4:
        case 0:
            return _speech(split, seconds, rng)
        case 1:
            return _noise(round(seconds * MEL.rate), rng)
    return _alone(source, rng)


def _speech(split: str, seconds: float, rng: Rng) -> F32:
    import soxr

    parts: list[F32] = []
    voice = str(rng.choice(VOICES[split]))
    speed, pitch = int(rng.integers(120, 200)), int(rng.integers(20, 80))
    while sum(map(len, parts)) < seconds * MEL.rate:
        spoken, rate = espeak.speech(str(rng.choice(_WORDS)), voice, speed, pitch)
        pause = np.zeros(int(rng.integers(0, MEL.rate)), np.float32)
        parts += [np.asarray(soxr.resample(spoken, rate, MEL.rate), np.float32), pause]
    return np.concatenate(parts)


def _noise(count: int, rng: Rng) -> F32:
    """White to brown, steady or with a slow swell, now and then with a hum of the mains."""
    sound = coloured_noise(count, float(rng.uniform(0.0, 2.0)), rng)
    time = np.arange(count) / MEL.rate
    if rng.random() < 0.5:
        sound *= 1.0 + 0.8 * np.sin(2.0 * np.pi * rng.uniform(0.05, 4.0) * time + rng.uniform(0.0, 6.0))
    if rng.random() < 0.3:
        sound += sum(np.sin(2.0 * np.pi * 50.0 * n * time) / n for n in range(1, 6)) * sound.std()
    return np.asarray(sound, np.float32)


def _alone(source: str, rng: Rng) -> F32:
    """One part of a song: a melody, or now and then drums."""
    rules = GENRES[int(rng.integers(len(GENRES)))]
    rules = replace(rules, bass=NONE, pad=NONE)
    part = "drums" if rng.random() < 0.2 and rules.drums == 1.0 else "lead"
    lead = PartRules((int(rng.integers(104)),), (*LEADS, *rules.lead.rows), (0.4, 1.0), 1.0, (45, 84))
    # a section leaves out none of two parts
    rules = replace(rules, lead=NONE) if part == "drums" else replace(rules, lead=lead, drums=0.0)
    number = int(rng.integers(1 << 20))
    song = compose(rules, number, 21.0)
    notes = tuple(note for note in song.notes if note.part == part)
    return rendered(replace(song, notes=notes), source, MEL.rate, number)
