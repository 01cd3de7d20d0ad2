"""Spectrograms of composed songs without their sound: the power of notes added up in mel bands, hundreds a minute.

What interference of waves does is left out; rhythm and spectrum are what they are in the computed sound.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon_classify.classifier import MEL
from antiphon_classify.rhythm import FRAMES, features
from antiphon_models.classify.clips import spectrogram
from antiphon_models.material.composer.computed import DrumKit, timbre
from antiphon_models.material.composer.rules import GenreRules
from antiphon_models.material.composer.song import ComposedSong, compose

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Rng = np.random.Generator
FRAMES_A_SECOND = MEL.rate / MEL.hop
FIRST_SEED = 50_000_000
"""Of sketched songs, beyond those of songs that are rendered."""
_STEPS = 500
_LOWEST, _HIGHEST = 25.0, 10_900.0
_FLOOR = 1e-9


@cache
def sine_powers() -> F64:
    """The power of a sine of amplitude 1 in each band, `[frequencies, bands]`, by frequencies of equal ratio."""
    time = np.arange(8 * MEL.hop) / MEL.rate
    rows = []
    for hertz in np.geomspace(_LOWEST, _HIGHEST, _STEPS):
        mel = spectrogram(np.asarray(np.sin(2.0 * np.pi * hertz * time), np.float32))
        rows.append(10.0 ** (mel[len(mel) // 2].astype(np.float64) / 10.0))
    return np.asarray(rows)


def sketch(song: ComposedSong, rng: Rng) -> F32:
    """A spectrogram of a song, as `clips.spectrogram` would have it of its computed sound.

    Args:
        song: It.
        rng: Draws timbres.

    Returns:
        float32 `[frames, bands]` in dB.
    """
    frames = round(max(note.end for note in song.notes) * FRAMES_A_SECOND) + 20
    table = sine_powers()
    whole = np.zeros((frames, table.shape[1]))
    programs = dict(song.attributes.instruments)
    for part, volume, _ in song.levels:
        level = (volume / 127.0) ** 4
        notes = [note for note in song.notes if note.part == part]
        if part == "drums":
            kit, hits = DrumKit(rng, MEL.rate), dict[int, F64]()
            for note in notes:
                if note.pitch not in hits:
                    hit = np.pad(kit.hit(note.pitch), (MEL.hop, 2 * MEL.hop)).astype(np.float32)
                    hits[note.pitch] = 10.0 ** (spectrogram(hit).astype(np.float64) / 10.0)
                patch = hits[note.pitch]
                first = max(0, round(note.start * FRAMES_A_SECOND) - 1)
                into = whole[first : first + len(patch)]
                into += level * (note.velocity / 127.0) ** 4 * patch[: len(into)]
            continue
        own = timbre(programs[part], rng)
        numbers = np.arange(1, len(own.weights) + 1)
        weights = (numbers**-0.6 / (numbers**-0.6).sum()) if own.drive else own.weights
        level *= own.level**2 * (2.5 if part == "bass" or own.drive else 1.0)
        for note in notes:
            hertz = 440.0 * 2.0 ** ((note.pitch - 69) / 12.0) * numbers
            inside = hertz < _HIGHEST
            steps = np.log(hertz[inside] / _LOWEST) / np.log(_HIGHEST / _LOWEST) * (_STEPS - 1)
            powers = weights[inside, None] ** 2 * table[np.clip(steps.round().astype(int), 0, _STEPS - 1)]
            first, last = round(note.start * FRAMES_A_SECOND), round(note.end * FRAMES_A_SECOND) + 2
            seconds = np.arange(max(1, last - first)) / FRAMES_A_SECOND
            swell = np.minimum(1.0, (seconds + 0.5 / FRAMES_A_SECOND) / max(own.attack, 0.01)) ** 2
            swell[-2:] *= 0.25
            if own.decay:
                rates = 2.0 * (1.0 + own.damping * (numbers[inside] - 1)) / own.decay
                patch = (swell[:, None] * np.exp(-np.outer(seconds, rates))) @ powers
            else:
                patch = np.outer(swell, powers.sum(axis=0))
            into = whole[first : first + len(patch)]
            into += level * (note.velocity / 127.0) ** 3 * patch[: len(into)]
    return np.asarray(10.0 * np.log10(whole + _FLOOR), np.float32)


def degraded_sketch(mel: F32, rng: Rng) -> F32:
    """What `material.degradation.degraded` does to sound, in the spectrogram: as often, and about as much."""
    power = 10.0 ** (mel.astype(np.float64) / 10.0)
    bands = power.shape[1]
    if rng.random() > 1.0 / 3.0:
        if rng.random() < 0.7:  # an equaliser, or an instrument's body
            points = rng.uniform(-9.0, 9.0, 7)
            power *= 10.0 ** (np.interp(np.linspace(0, 6, bands), np.arange(7), points) / 10.0)
        if rng.random() < 0.4:  # a compressor
            loud = power.sum(axis=1, keepdims=True)
            power *= (loud / loud.max()) ** -rng.uniform(0.0, 0.5)
        if rng.random() < 0.4:  # a room
            decay = np.exp(-13.8 / (rng.uniform(0.3, 0.8) * FRAMES_A_SECOND))
            wet, tail = rng.uniform(0.04, 1.0), np.zeros(bands)
            added = np.empty_like(power)
            for n, row in enumerate(power):
                tail = decay * tail + (1.0 - decay) * row
                added[n] = tail
            power += wet * added
        if rng.random() < 0.4:  # noise
            slope = rng.choice([0.0, 1.0, 2.0])
            shape = np.linspace(0.0, 1.0, bands)
            noise = 10.0 ** (shape * (2.0 - 1.5 * slope)) * rng.uniform(0.6, 1.4, power.shape)
            power += noise * power.mean() / noise.mean() * 10.0 ** (-rng.uniform(8.0, 30.0) / 10.0)
        if rng.random() < 0.3:  # a codec's highest band
            power[:, int(rng.integers(50, bands)) :] *= 1e-4
        if rng.random() < 1.0 / 9.0:  # a telephone
            power[:, :8] *= 1e-4
            power[:, 44:] *= 1e-4
    # an instrument's spectrum wanders
    power *= 10.0 ** (rng.normal(0.0, 0.12, power.shape))
    floor = power.max() * 10.0 ** (-rng.uniform(6.0, 9.0))
    return np.asarray(10.0 * np.log10(power + floor), np.float32)


def sketched(rules: GenreRules, place: int, songs: int) -> F32:
    """Features of two excerpts of each of many songs of a genre.

    Args:
        rules: The genre.
        place: Its number, of which the draws depend.
        songs: How many.

    Returns:
        float32 `[2 * songs, features]`.
    """
    found = []
    for number in range(songs):
        rng = np.random.default_rng([1, place, number])
        whole = sketch(compose(rules, FIRST_SEED + number, 13.0), rng)
        cuts = []
        for _ in range(2):
            start = int(rng.integers(0, max(1, min(len(whole), 2 * FRAMES + 40) - FRAMES)))
            cuts.append(degraded_sketch(whole[start : start + FRAMES], rng))
        found.append(features(np.stack(cuts)))
    return np.concatenate(found)
