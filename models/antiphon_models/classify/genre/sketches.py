"""Spectrograms of composed songs without their sound: the power of notes added up in mel bands, hundreds a minute.

What interference of waves does is left out; rhythm and spectrum are what they are in the computed sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon_classify.classifier import MEL
from antiphon_classify.rhythm import FRAMES
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.genre.notes import BEFORE, HELD, VELOCITY, NoteBank
from antiphon_models.material.composer.computed import DrumKit, PartTimbre, timbre
from antiphon_models.material.composer.rules import GenreRules
from antiphon_models.material.composer.song import ComposedNote, ComposedSong, compose
from antiphon_models.material.composer.strangers import invent_genre

Rng = np.random.Generator
FRAMES_A_SECOND = MEL.rate / MEL.hop
FIRST_SEED = 50_000_000
"""Of sketched songs, beyond those of songs that are rendered."""
_RELATIVES = 0.3
"""Share of parts that an instrument of the same family of eight plays instead."""
_BODY = 8.0
"""dB up and down, at five points, that differ from the soundfont's timbre."""
_ONE_BANK = 0.5
"""Share of sketches all of whose parts are of one soundfont."""
_COMPUTED_LEVEL = 0.02
"""Power of a computed part beside that of soundfonts, whose gain leaves room for all voices."""
_TREND = 16
"""Frames of a note's end that are repeated where it lasts longer than its patch."""
EXCERPTS = 2
"""Of each song."""
_SECONDS = 15.0
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


def sketch(song: ComposedSong, rng: Rng, banks: Sequence[NoteBank] = ()) -> F32:
    """A spectrogram `[frames, bands]` in dB of a song, as `clips.spectrogram` would have it of its sound.

    Without banks of notes, or now and then, a part has a computed timbre.
    """
    frames = round(max(note.end for note in song.notes) * FRAMES_A_SECOND) + 20
    whole = np.zeros((frames, sine_powers().shape[1]), np.float32)
    programs = dict(song.attributes.instruments)
    single = int(rng.integers(len(banks))) if banks and rng.random() < _ONE_BANK else None
    exponent = float(rng.uniform(3.0, 4.5))
    for part, volume, _ in song.levels:
        level = (volume / 127.0) ** 4
        notes = [note for note in song.notes if note.part == part]
        chosen = single if single is not None else int(rng.integers(len(banks) + 1)) - 1
        if chosen >= 0:
            # what a genre has in common is its notes: instruments are relatives, of another body
            program = programs.get(part, song.attributes.kit)
            if part != "drums" and rng.random() < _RELATIVES:
                program = program // 8 * 8 + int(rng.integers(8))
            bands = np.linspace(0.0, 4.0, whole.shape[1])
            body = level * 10.0 ** np.interp(bands, np.arange(5), rng.uniform(-_BODY, _BODY, 5) / 10.0)
            add_from_bank(whole, notes, banks[chosen], program, body.astype(np.float32), exponent)
        elif part == "drums":
            _add_computed_drums(whole, notes, level * _COMPUTED_LEVEL, rng)
        else:
            _add_computed(whole, notes, timbre(programs[part], rng), level * _COMPUTED_LEVEL, part == "bass")
    return np.asarray(10.0 * np.log10(whole + _FLOOR), np.float32)


def add_from_bank(
    whole: F32, notes: Sequence[ComposedNote], bank: NoteBank, program: int, level: F32, exponent: float
) -> None:
    """Adds notes of a part by a bank to a spectrogram of power, float32 `[frames, bands]`, in place.

    `level` is power by band, `exponent` that of the power over the velocity; for drums `program` is their kit.
    """
    for note in notes:
        gain = level * (note.velocity / VELOCITY) ** exponent
        if note.part == "drums":
            _add(whole, gain * bank.drum(program, note.pitch), note.start)
            continue
        patch = bank.note(program, note.pitch)
        lasts = max(1, round((note.end - note.start) * FRAMES_A_SECOND))
        last_frame = BEFORE + HELD - 1
        held = patch[:last_frame]
        if lasts > HELD:  # its last frames go on, and fall as they fell
            last, before = held[-_TREND:], held[-2 * _TREND : -_TREND]
            fall = min(1.0, float(last.sum() / (before.sum() + 1e-30)))
            times = -(-(lasts - HELD) // _TREND)
            held = np.concatenate([held, *(last * np.float32(fall ** (n + 1)) for n in range(times))])
        # windows that begin before the note's end and reach beyond it are of the release already
        held = held[: BEFORE + lasts - 1]
        release = patch[last_frame:] * np.minimum(1.0, held[-1] / (patch[last_frame - 1] + 1e-30))
        _add(whole, gain * np.concatenate([held, release]), note.start)


def _add(whole: F32, patch: NDArray[np.floating], seconds: float) -> None:
    """Adds what begins `BEFORE` frames before its onset, between two frames as the onset lies between them."""
    place = seconds * FRAMES_A_SECOND - BEFORE
    first, part = int(np.floor(place)), place - np.floor(place)
    for start, share in ((first, 1.0 - part), (first + 1, part)):
        cut = patch[max(0, -start) :]
        into = whole[max(0, start) :][: len(cut)]
        into += np.float32(share) * cut[: len(into)]


def _add_computed_drums(whole: F32, notes: Sequence[ComposedNote], level: float, rng: Rng) -> None:
    kit, hits = DrumKit(rng, MEL.rate), dict[int, F64]()
    for note in notes:
        if note.pitch not in hits:
            hit = np.pad(kit.hit(note.pitch), (BEFORE * MEL.hop, 2 * MEL.hop)).astype(np.float32)
            hits[note.pitch] = 10.0 ** (spectrogram(hit).astype(np.float64) / 10.0)
        _add(whole, level * (note.velocity / 127.0) ** 4 * hits[note.pitch], note.start)


def _add_computed(whole: F32, notes: Sequence[ComposedNote], own: PartTimbre, level: float, bass: bool) -> None:
    table = sine_powers()
    numbers = np.arange(1, len(own.weights) + 1)
    weights = (numbers**-0.6 / (numbers**-0.6).sum()) if own.drive else own.weights
    level *= own.level**2 * (2.5 if bass or own.drive else 1.0)
    for note in notes:
        hertz = 440.0 * 2.0 ** ((note.pitch - 69) / 12.0) * numbers
        inside = hertz < _HIGHEST
        steps = np.log(hertz[inside] / _LOWEST) / np.log(_HIGHEST / _LOWEST) * (_STEPS - 1)
        powers = weights[inside, None] ** 2 * table[np.clip(steps.round().astype(int), 0, _STEPS - 1)]
        seconds = np.arange(max(1, round((note.end - note.start) * FRAMES_A_SECOND) + 2)) / FRAMES_A_SECOND
        swell = np.minimum(1.0, (seconds + 0.5 / FRAMES_A_SECOND) / max(own.attack, 0.01)) ** 2
        swell[-2:] *= 0.25
        if own.decay:
            rates = 2.0 * (1.0 + own.damping * (numbers[inside] - 1)) / own.decay
            patch = (swell[:, None] * np.exp(-np.outer(seconds, rates))) @ powers
        else:
            patch = np.outer(swell, powers.sum(axis=0))
        _add(whole, level * (note.velocity / 127.0) ** 3 * patch, note.start + (BEFORE - 2) / FRAMES_A_SECOND)


def degraded_sketch(mel: F32, rng: Rng) -> F32:
    """What `material.degradation.degrade` does to sound, in the spectrogram: as often, and about as much."""
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


def sketch_excerpts(rules: GenreRules | None, key: int, numbers: Sequence[int], banks: Sequence[NoteBank]) -> F32:
    """Excerpts `[EXCERPTS * numbers, FRAMES, bands]` in dB of sketched songs of a genre, degraded.

    `rules` None stands for songs that are each of a genre of its own that is invented. `banks` play every other song;
    the timbres of the others are computed.
    """
    found = []
    for number in numbers:
        rng = np.random.default_rng([1, key, number])
        played = banks if number % 2 else ()
        whole = sketch(compose(rules or invent_genre(rng), FIRST_SEED + number, _SECONDS), rng, played)
        for _ in range(EXCERPTS):
            start = int(rng.integers(0, max(1, len(whole) - FRAMES - 20)))
            found.append(degraded_sketch(whole[start : start + FRAMES], rng))
    return np.stack(found)
