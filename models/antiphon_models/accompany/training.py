"""Counts the tables of `harmony` in POP909's songs held for it: python -m antiphon_models.accompany.training DATA.

Annotated keys are often the relative or a neighbour's, and first beats of bars are often off: each song is given the
key and the bar phase its human chords fit best under what was counted, and counting is repeated. Nothing is learned
by gradient: counts, class means and one covariance for each mode and place in the bar.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_accompany.files.offline import melody_of
from antiphon_accompany.harmony.chords import relative
from antiphon_accompany.harmony.tracker import MODEL, REACH, HarmonyTables, features
from antiphon_models.accompany.songs import TRAIN, AnnotatedSong, songs
from antiphon_models.material.wheels import make_and_write_weights

SHRINK, STEADY, ROUNDS = 0.1, 20.0, 4
_CHANGES = np.array([0.72, 0.06, 0.42, 0.06])
_DURATION, _ONSET = 0.6, 0.4
DETAILS = {
    "plugin": "accompany",
    "licence": "MIT",
    "trained_on": f"counts in POP909, songs whose number ends in {', '.join(TRAIN)}",
}


@dataclass
class _SongRows:
    """Rows of a song by beat, with its annotated chords."""

    chords: NDArray[np.int64]
    durations: NDArray[np.float32]
    onsets: NDArray[np.float32]
    past: NDArray[np.float32]
    around: NDArray[np.float32]
    place: NDArray[np.int64]
    key: int


def rows(song: AnnotatedSong) -> _SongRows:
    """Features of a song, with its annotated bars."""
    count = len(song.chords)
    melody = melody_of(song.melody, count)
    durations, onsets = melody.durations[:count], melody.onsets[:count]
    past = np.array([features(melody, beat, 0) for beat in range(count)])
    around = np.array([features(melody, beat, REACH) for beat in range(count)])
    place = (np.arange(count) - song.first) % 4
    return _SongRows(song.chords, durations, onsets, past, around, place, song.key)


def count(given: list[_SongRows]) -> HarmonyTables:
    """All tables from songs whose keys and bars are settled."""
    first = np.ones((2, 24))
    changes, moves = np.ones((2, 4, 2)), np.full((2, 2, 24, 24), 0.05)
    sounds, begins = np.ones((2, 24, 12)), np.ones((2, 24, 12))
    for song in given:
        mode, chords, durations, onsets = _relative_song(song)
        for n, chord in enumerate(chords):
            if chord < 0:
                continue
            sounds[mode, chord] += durations[n]
            begins[mode, chord] += onsets[n]
            first[mode, chord] += 1
            if n and chords[n - 1] >= 0:
                place, before = song.place[n], chords[n - 1]
                changes[mode, place, int(chord != before)] += 1
                if chord != before:
                    moves[mode, int(place == 0), before, chord] += 1
    following = np.zeros((4, 2, 24, 24))
    for mode in (0, 1):
        for place in range(4):
            to = moves[mode, int(place == 0)] + 0.2 * moves[mode, int(place != 0)]
            np.fill_diagonal(to, 0.0)
            change = changes[mode, place, 1] / changes[mode, place].sum()
            following[place, mode] = (1.0 - change) * np.eye(24) + change * to / to.sum(axis=1, keepdims=True)
    listened = np.concatenate((_DURATION * _log(sounds), _ONSET * _log(begins)), axis=2).transpose(0, 2, 1)
    share = first / first.sum(axis=1, keepdims=True)
    tables = {"first": share, "next": following, "heard": listened}
    tables["past"], tables["around"] = (_discriminants(given, name) for name in ("past", "around"))
    return HarmonyTables.of(tables)


def assign_keys(given: list[_SongRows], tables: HarmonyTables) -> int:
    """Assigns each song its best-fitting key; returns the number of changed songs."""
    moved = 0
    for song in given:
        known = song.chords >= 0
        both = known[1:] & known[:-1]
        scores = []
        for key in range(24):
            mode, chords, durations, onsets = _relative_song(song, key)
            score = np.log(tables.next[song.place[1:][both], mode, chords[:-1][both], chords[1:][both]]).sum()
            score += np.log(tables.first[mode, chords[known]]).sum()
            seen = np.concatenate((durations, onsets), axis=1)[known]
            scores.append(score + (seen * tables.heard[mode][:, chords[known]].T).sum())
        best = int(np.argmax(scores))
        moved += best != song.key
        song.key = best
    return moved


def phase(song: _SongRows) -> int:
    """Offset in beats of the bars from the annotation, by the changes of the human chords."""
    known = (song.chords[1:] >= 0) & (song.chords[:-1] >= 0)
    change = song.chords[1:] != song.chords[:-1]
    chance = np.array([np.where(change, c, 1.0 - c) for c in _CHANGES])
    at = song.place[1:]
    fits = [np.log(chance[(at - late) % 4, np.arange(len(at))])[known].sum() for late in range(4)]
    return int(np.argmax(fits))


def _relative_song(
    song: _SongRows, key: int | None = None
) -> tuple[int, NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Mode, and chords, durations and onsets relative to the tonic of the song's key or another."""
    key = song.key if key is None else key
    tonic = key % 12
    chords = np.array([relative(int(c), tonic) if c >= 0 else int(c) for c in song.chords])
    return key // 12, chords, np.roll(song.durations, -tonic, axis=1), np.roll(song.onsets, -tonic, axis=1)


def _log(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log probabilities by chord, smoothed by a twentieth of the mean of the mode."""
    share = counts / counts.sum(axis=2, keepdims=True)
    mean = counts.sum(axis=1, keepdims=True)
    mixed = 0.95 * share + 0.05 * mean / mean.sum(axis=2, keepdims=True)
    logs: NDArray[np.float64] = np.log(mixed / mixed.sum(axis=2, keepdims=True))
    return logs


def _discriminants(given: list[_SongRows], name: str) -> NDArray[np.float64]:
    """Linear discriminants of the relative chord by mode and place, with means of rare chords shrunk to the mode's."""
    seen, chords, modes, at = [], [], [], []
    for song in given:
        mode, relatives, _, _ = _relative_song(song)
        turned = np.roll(getattr(song, name), -(song.key % 12), axis=2)
        seen.append(turned.reshape(len(turned), -1))
        chords.append(relatives)
        modes.append(np.full(len(relatives), mode))
        at.append(song.place)
    x, y, mode_of, place_of = (np.concatenate(parts) for parts in (seen, chords, modes, at))
    size = x.shape[1]
    result = np.zeros((4, 2, size + 1, 24))
    for mode in (0, 1):
        mine = (mode_of == mode) & (y >= 0)
        every = x[mine].mean(axis=0)
        means = np.array([x[mine & (y == c)].mean(axis=0) if (mine & (y == c)).any() else every for c in range(24)])
        for place in range(4):
            here = mine & (place_of == place)
            xs, ys = x[here], y[here]
            counts = np.bincount(ys, minlength=24)
            drawn = STEADY * 0.5 * (means + xs.mean(axis=0))
            centres = np.array([xs[ys == c].sum(axis=0) + drawn[c] for c in range(24)]) / (counts + STEADY)[:, None]
            rest = xs - centres[ys]
            spread = rest.T @ rest / len(rest)
            spread = (1.0 - SHRINK) * spread + SHRINK * np.diag(np.diag(spread)) + 1e-3 * np.eye(size)
            weights = np.linalg.solve(spread, centres.T)
            result[place, mode, :size] = weights
            share = (counts + 1) / (counts + 1).sum()
            result[place, mode, size] = np.log(share) - 0.5 * (centres.T * weights).sum(axis=0)
    return result


def count_tables(data: Path) -> dict[str, NDArray[np.float16]]:
    """Counts the tables from the songs in 4/4; returns them in half precision."""
    given = [rows(song) for song in songs(data, TRAIN) if song.meter == 4]
    for song in given:
        song.place = (song.place - phase(song)) % 4
    for _ in range(ROUNDS):
        print(f"{assign_keys(given, count(given))} of {len(given)} songs moved to another key")
    tables = count(given)
    return {name: getattr(tables, name).astype(np.float16) for name in ("first", "next", "heard", "past", "around")}


if __name__ == "__main__":
    make_and_write_weights(MODEL, count_tables, DETAILS, __doc__, "data")
