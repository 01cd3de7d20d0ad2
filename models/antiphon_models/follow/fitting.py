"""Where in a bar the kinds of onsets are, and the tempo: `python -m antiphon_models.follow.fitting POP909 [FOLDER]`.

Counted in a third of the songs whose numbers end in 1 to 6, of the pianist alone and with the melody. The network of
the tempo is trained on all of them, with other tempos, keys, loudness and missing notes, and on notes at random, which
have no beat. A folder behind it takes the arrays and the manifest, otherwise the one that ships.

The network that ships was made by an earlier version, which took rare tempos more often and put its bias right behind
it; a run of this one makes another.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.models import models_folder, write_weights
from antiphon_follow.bars import BINS
from antiphon_follow.notes import GROUP_SECONDS, KINDS, MODEL, SLOWS, TEMPO_FRAMES, NoteIntervals, OnsetKinds
from antiphon_models.follow.songs import PlayedSong, performance, with_factors
from antiphon_models.follow.sound_fitting import FIT, TEMPO_HIDDEN, fitted, labels, tempo_odds

SECONDS, EVERY, RANDOM = 80.0, 5, 12
"""Seconds of each song; of so many frames one is taken; performances for one of notes at random."""
FRAMES = round(SECONDS * TEMPO_FRAMES)
PARTS, SHARES = (("PIANO",), ("PIANO", "MELODY"), ("PIANO", "MELODY", "BRIDGE")), (0.6, 0.25, 0.15)
DETAILS = {
    "plugin": "follow",
    "licence": "MIT",
    "trained_on": "the pianists and melodies of POP909's songs whose numbers end in 1 to 6 (MIT), some with the "
    "melody, with other tempos, keys and loudness, and notes at random",
}


def curve(beats: int, random: np.random.Generator) -> F64:
    """Relative tempo of each beat: as played, swells, steps, ritardandi, or swells and steps."""
    kind, place, made = random.integers(6), np.arange(beats), np.ones(beats)
    if kind in (1, 5):
        depth, length = random.uniform(0.05, 0.15), random.uniform(20, 48)
        made = 1.0 + depth * np.sin(2.0 * np.pi * (place / length + random.random()))
    if kind in (2, 5):
        at, step = 0, 1.0
        while at < beats:
            length = int(random.integers(16, 64))
            made[at : at + length] *= step
            at, step = at + length, float(random.choice([1.0, 1.15, 1 / 1.15, 1.08, 1.2]))
    if kind in (3, 4):
        at = int(random.integers(12, 60))
        while at < beats:
            length, slow = int(random.integers(4, 12)), random.uniform(0.6, 0.9)
            made[at : at + length] *= np.linspace(1.0, slow, length)[: beats - at]
            made[at + length :] = random.uniform(0.85, 1.15)
            at += length + int(random.integers(24, 72))
    return np.asarray(made * np.exp(random.uniform(-0.15, 0.15)))


def averages(notes: F64) -> F32:
    """`slow` of the frames of `notes` `[n, 3 or 4]`, as songs have them."""
    heard, place, rows = NoteIntervals(), 0, np.zeros((FRAMES, SLOWS), np.float32)
    for frame in range(FRAMES):
        while place < len(notes) and notes[place, 0] < (frame + 1) / TEMPO_FRAMES:
            heard.note(int(notes[place, 1]), notes[place, 2])
            place += 1
        heard.step()
        rows[frame] = heard.slow
    return rows


def changed(folder: Path, random: np.random.Generator) -> tuple[F64, F64, F64] | None:
    """Notes of a part of a song, with their beats and those that begin bars; None: there are too few."""
    song = performance(folder, PARTS[random.choice(3, p=SHARES)])
    if len(song.notes) < 50 or song.downs.sum() < 8:
        return None
    song = with_factors(song, curve(len(song.beats), random))
    notes, last = song.notes, song.notes[-1, 0]
    start = max(0.0, notes[0, 0] - random.uniform(0.0, 0.6))
    if last - start > SECONDS and random.random() < 0.6:
        start += random.uniform(0.0, last - start - SECONDS)
    notes = notes[(notes[:, 0] >= start) & (notes[:, 0] < start + SECONDS)].copy()
    notes[:, 0] -= start
    notes = notes[random.random(len(notes)) >= random.choice([0.0, 0.0, 0.05, 0.15])]
    notes[:, 0] += random.normal(0.0, random.choice([0.0, 0.004, 0.01]), len(notes))
    notes = notes[np.argsort(notes[:, 0])]
    notes[:, 0] = np.maximum(notes[:, 0], 0.0)
    notes[:, 1] += random.integers(-5, 7)
    louder = np.exp(random.uniform(-0.4, 0.3))
    notes[:, 2] = np.clip(notes[:, 2] * louder + random.normal(0.0, 0.02, len(notes)), 0.05, 1.0)
    if random.random() < 0.1:
        notes[:, 2] = 0.6
    return notes, song.beats - start, song.downs


def at_random(random: np.random.Generator) -> F64:
    """Notes without a beat."""
    rate = random.uniform(1.5, 8.0)
    count = int(SECONDS * rate * 1.2)
    rows = random.exponential(1.0 / rate, count), random.integers(36, 88, count), random.uniform(0.3, 0.8, count)
    return np.stack([np.cumsum(rows[0]), rows[1], rows[2]], axis=1)


def frames(folders: list[Path]) -> tuple[F32, F64, NDArray[np.bool_]]:
    """Every fifth frame of the material: averages, tempo in bpm, and whether there is no beat."""
    random, rows = np.random.default_rng(1), list[tuple[F32, F64, NDArray[np.bool_]]]()
    for at in random.permutation(len(folders)):
        made = changed(folders[at], random)
        if made is None:
            continue
        notes, beats, downs = made
        place, tempo = labels(beats - 1.0 / TEMPO_FRAMES, downs, FRAMES)
        known = np.flatnonzero(place >= 0)[::EVERY]
        rows.append((averages(notes)[known], tempo[known], np.zeros(len(known), bool)))
        if len(rows) % RANDOM == 0:
            slow = averages(at_random(random))[::EVERY]
            rows.append((slow, np.full(len(slow), 100.0), np.ones(len(slow), bool)))
    slows, tempos, noises = zip(*rows, strict=True)
    return np.concatenate(slows), np.concatenate(tempos), np.concatenate(noises)


def counted(played: PlayedSong, counts: F64) -> None:
    """Adds the onsets of a performance to `counts[KINDS, 4 * BINS]`."""
    kinds, notes, first = OnsetKinds(), played.notes, 0
    firsts = np.flatnonzero(played.downs)
    while first < len(notes):
        last = first
        while last < len(notes) and notes[last, 0] - notes[first, 0] < GROUP_SECONDS:
            last += 1
        group = notes[first:last]
        kind = kinds(int(group[:, 1].min()), float(group[:, 2].max()), len(group))
        beat = int(np.searchsorted(played.beats, group[0, 0], "right")) - 1
        first = last
        if not 0 <= beat < len(played.beats) - 1 or beat < firsts[0]:
            continue
        place = beat - int(firsts[np.searchsorted(firsts, beat, "right") - 1])
        if place < 4:
            within = (group[0, 0] - played.beats[beat]) / (played.beats[beat + 1] - played.beats[beat])
            counts[kind, round((place + within) * BINS) % (4 * BINS)] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    given = parser.parse_args()
    folders = [f for f in sorted(given.songs.iterdir()) if f.is_dir() and f.name[-1] in FIT]
    counts = np.zeros((KINDS, 4 * BINS))
    for folder in folders[::3]:
        for parts in (("PIANO",), ("PIANO", "MELODY")):
            played = performance(folder, parts)
            if len(played.notes) >= 50 and played.downs.sum() >= 8:
                counted(played, counts)
    slow, tempo, noise = frames(folders)
    network = fitted("tempo", slow, TEMPO_HIDDEN, tempo_odds(tempo, noise), np.ones(len(slow)))
    arrays = {"counts": counts.astype(np.float32), **network}
    write_weights(MODEL, arrays, given.folder, {**DETAILS, "parameters": sum(array.size for array in arrays.values())})


if __name__ == "__main__":
    main()
