"""Sounds that are no song of any genre: speech, noise, one instrument alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from antiphon.api import F32
from antiphon_classify.classifier import MEL
from antiphon_classify.rhythm import FRAMES
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.genre.notes import NoteBank
from antiphon_models.classify.genre.sketches import EXCERPTS, degraded_sketch, sketch
from antiphon_models.classify.genre.sources import render_songs
from antiphon_models.material import espeak
from antiphon_models.material.composer.genres import GENRES, LEADS, NONE
from antiphon_models.material.composer.rules import PartRules
from antiphon_models.material.composer.song import ComposedSong, compose
from antiphon_models.material.degradation import coloured_noise

Rng = np.random.Generator
VOICES = {
    "fit": ("en-us+m1", "en+f1", "de+m2", "fr+f2", "es+m3", "en-gb+f3", "it+m4"),
    "choose": ("nl+f4", "pt+m5"),
    "measure": ("sv+m7", "pl+f5", "en-us+m6"),
}
"""Of espeak-ng by split, none in two of them."""
_WORDS = (
    "the weather will be fair today and colder in the north",
    "she counted the boxes twice before the train arrived",
    "a report on the state of roads was read to the council",
    "please call again after nine and ask for the manager",
    "every window of the old house looks towards the harbour",
    "numbers one to ten are written on the back of the card",
)


def other_sounds(places: Sequence[int], source: str, split: str, seconds: float, rngs: Sequence[Rng]) -> Iterator[F32]:
    """Sounds of `seconds` or more, at `MEL.rate`: in turn speech, noise, and two times one instrument alone.

    `places` says which in turn each is.
    """
    alone = {place: _alone(rng, seconds) for place, rng in zip(places, rngs, strict=True) if place % 4 > 1}
    played = render_songs(list(alone.values()), source, MEL.rate, places[0]) if alone else iter(())
    for place, rng in zip(places, rngs, strict=True):
        if place in alone:
            yield next(played)
        else:
            yield _speech(split, seconds, rng) if place % 4 == 0 else _noise(round(seconds * MEL.rate), rng)


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


def _alone(rng: Rng, seconds: float) -> ComposedSong:
    song, part, _ = _one_part(rng, seconds)
    return replace(song, notes=tuple(note for note in song.notes if note.part == part))


def _one_part(rng: Rng, seconds: float = 21.0) -> tuple[ComposedSong, str, int]:
    """A song, the part of it that sounds (a melody, or now and then drums), and its seed."""
    rules = GENRES[int(rng.integers(len(GENRES)))]
    rules = replace(rules, bass=NONE, pad=NONE)
    part = "drums" if rng.random() < 0.2 and rules.drums == 1.0 else "lead"
    lead = PartRules((int(rng.integers(104)),), (*LEADS, *rules.lead.rows), (0.4, 1.0), 1.0, (45, 84))
    # a section leaves out none of two parts
    rules = replace(rules, lead=NONE) if part == "drums" else replace(rules, lead=lead, drums=0.0)
    number = int(rng.integers(1 << 20))
    return compose(rules, number, seconds), part, number


def babble(count: int, rng: Rng) -> F32:
    """Sound like speech of no language: syllables of a gliding tone with three formants, hisses, pauses."""
    time = np.arange(count) / MEL.rate
    base, pace = rng.uniform(85.0, 260.0), rng.uniform(2.5, 5.5)
    glide = rng.uniform(0.05, 0.2) * np.sin(2.0 * np.pi * rng.uniform(0.2, 0.8) * time + rng.uniform(0.0, 6.0))
    phase = 2.0 * np.pi * np.cumsum(base * (1.0 + glide)) / MEL.rate
    syllable = (time * pace + 0.6 * np.sin(2.0 * np.pi * rng.uniform(0.2, 0.7) * time)).astype(int)
    formants = np.stack([rng.uniform(250, 900, 99), rng.uniform(900, 2400, 99), rng.uniform(2400, 3600, 99)])
    places = formants[:, syllable % 99]
    sound = np.zeros(count)
    for number in range(1, int(4000.0 / base)):
        weights = sum(1.0 / (1.0 + ((number * base - place) / 160.0) ** 2) for place in places)
        sound += np.sin(number * phase) * weights / number**0.5
    hiss = coloured_noise(count, 0.0, rng) * (rng.random(99) < 0.3)[syllable % 99]
    within = (time * pace) % 1.0
    envelope = np.sin(np.pi * within) ** rng.uniform(0.5, 2.0) * (rng.random(99) < 0.82)[syllable % 99]
    sound = (sound + rng.uniform(0.1, 0.5) * hiss) * envelope
    return np.asarray(0.3 * sound / (np.abs(sound).max() + 1e-9) + 0.002 * rng.standard_normal(count), np.float32)


def sketched_others(numbers: Sequence[int], banks: Sequence[NoteBank]) -> F32:
    """Excerpts, float32 `[EXCERPTS * numbers, FRAMES, bands]` in dB, of what is no song, made without any program.

    In turn babble, noise, and two times a part alone.
    """
    found: list[F32] = []
    length = round(6.1 * MEL.rate)
    for number in np.repeat(numbers, EXCERPTS):
        rng = np.random.default_rng([2, int(number), len(found) % EXCERPTS])
        match number % 4:
            case 0:
                mel = spectrogram(babble(length, rng))
            case 1:
                mel = spectrogram(_noise(length, rng))
            case _:
                mel = sketch(_alone(rng, 9.0), rng, banks)
        found.append(degraded_sketch(mel[:FRAMES], rng))
    return np.stack(found)
