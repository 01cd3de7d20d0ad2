"""Fits the tables of `listen`: `python -m antiphon_models.listen.fitting DATA WORK OUT.json`. Minutes on one core.

Which grid of beats is right: a line by the softmax over each song's grids, towards those of the best F-measure. Chords:
means and covariances of pitch classes, their root turned to one place. Downbeats: logistic regression. Key: a line by
the softmax over 24 keys, on the annotated chords of all songs whose numbers end in 1 to 6: it needs no sound.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64
from antiphon_listen import bars, beats
from antiphon_listen.chords import harmony
from antiphon_listen.signals import MusicCurves, OnsetStrength, curves
from antiphon_listen.spectra.chroma import NoteSpectrum
from antiphon_listen.tables import Tables
from antiphon_models.listen.songs import FIT, RATE, SOUNDFONTS, ListenedSong, read_harmony, read_song, root_of, triad
from antiphon_models.material.sounds import songs

SONGS = 150
_SHARPNESS = 10.0
"""Exponent of a grid's F-measure in its target weight."""
_GRID_DECAY, _BAR_DECAY, _KEY_DECAY = 3.0, 30.0, 1.0
"""Weight decay by cross-validation over the fitted songs; of keys on the songs whose numbers end in 7."""
_MIN_F_MEASURE = 0.85
"""Minimum F-measure of a grid whose beats are used to fit downbeats."""
_ROUNDS = 400


@dataclass(frozen=True, slots=True)
class PreparedSong:
    """Curves and grids of a song, and its truth, without its sound."""

    name: str
    curves: MusicCurves
    grids: tuple[beats.BeatGrid, ...]
    scores: F64
    beats: F64
    downbeats: F64
    chords: tuple[tuple[float, float, str], ...]


def prepare(song: ListenedSong) -> PreparedSong:
    """Prepares the features of a song for fitting."""
    import mir_eval

    found = measure_curves(song.sound)
    grids = tuple(beats.hypotheses(found))
    truth = mir_eval.beat.trim_beats(song.beats)
    scores = [mir_eval.beat.f_measure(truth, mir_eval.beat.trim_beats(grid.beats)) for grid in grids]
    return PreparedSong(song.name, found, grids, np.array(scores), song.beats, song.downbeats, song.chords)


def measure_curves(sound: F32) -> MusicCurves:
    """Onset strength and chroma over time of a whole sound at `RATE`, as input of beat and chord detection."""
    strength, notes = OnsetStrength(), NoteSpectrum()
    for first in range(0, len(sound), RATE):
        strength.feed(sound[first : first + RATE])
        notes.feed(sound[first : first + RATE])
    return curves(strength.end(), notes.end(), len(sound) / RATE)


def fit(material: Sequence[PreparedSong], folders: Sequence[Path]) -> Tables:
    """Tables fitted to songs, with the harmony of the songs in `folders`."""
    mean, spread, weights = _fit_grids(material)
    chord_mean, chord_precision = _fit_chords(material)
    part = Tables(mean, spread, weights, chord_mean, chord_precision, np.zeros(0), fit_keys(folders))
    return replace(part, bar_weights=_fit_bars(material, part))


def fit_keys(folders: Sequence[Path]) -> F64:
    """Weights of `harmony.key_features`, fitted to annotated chords."""
    tables, truth = [], []
    for folder in folders:
        labels, key, _ = read_harmony(folder)
        chords = [
            (chord, end - start)
            for start, end, label in labels
            if (chord := triad(label)) is not None and chord != harmony.NO_CHORD
        ]
        if chords:
            lengths = np.bincount([chord for chord, _ in chords], [length for _, length in chords], harmony.NO_CHORD)
            tables.append(harmony.key_features(lengths, chords[0][0], chords[-1][0]))
            name, mode = key.split()
            truth.append(root_of(name) + 12 * (mode == "minor"))
    every, places, rows = np.array(tables), np.array(truth), np.arange(len(truth))

    def slope(weights: F64) -> tuple[float, F64]:
        score = every @ weights
        share = np.exp(score - score.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        loss = 0.5 * _KEY_DECAY * float(weights @ weights) - float(np.log(share[rows, places] + 1e-12).sum())
        share[rows, places] -= 1.0
        return loss, np.einsum("nk,nkf->f", share, every) + _KEY_DECAY * weights

    return _least(slope, every.shape[2])


def _fit_grids(material: Sequence[PreparedSong]) -> tuple[F64, F64, F64]:
    rows = [np.array([beats.features(grid) for grid in song.grids]) for song in material if song.grids]
    every = np.concatenate(rows)
    mean, spread = every.mean(axis=0), every.std(axis=0) + 1e-9
    targets = []
    for song in material:
        if song.grids:
            share = np.exp(_SHARPNESS * (song.scores - song.scores.max()))
            targets.append(share / share.sum())
    tables = [(row - mean) / spread for row in rows]

    def slope(weights: F64) -> tuple[float, F64]:
        loss, back = 0.5 * _GRID_DECAY * float(weights @ weights), _GRID_DECAY * weights
        for table, target in zip(tables, targets, strict=True):
            score = table @ weights
            share = np.exp(score - score.max())
            share /= share.sum()
            loss -= float(target @ np.log(share + 1e-12))
            back = back + table.T @ (share - target)
        return loss, back

    return mean, spread, _least(slope, len(mean))


def _fit_chords(material: Sequence[PreparedSong]) -> tuple[F64, F64]:
    rows: list[list[F64]] = [[], [], []]
    for song in material:
        grid = harmony.step_grid(song.beats, song.curves.seconds)
        found = harmony.shares(song.curves.per_interval(grid))
        starts = np.array([start for start, _, _ in song.chords])
        middle = grid + 0.5 * np.diff(grid, append=grid[-1] + 0.4)
        places = np.clip(np.searchsorted(starts, middle, "right") - 1, 0, len(starts) - 1)
        for row, place in zip(found, places, strict=True):
            chord = triad(song.chords[place][2])
            if chord is not None:
                kind, root = divmod(chord, 12)
                rows[kind].append(harmony.rotate_root(row[None], root if kind < 2 else 0)[0])
    means, precisions = [], []
    for turned, extra in zip(rows, (1e-3, 1e-3, 1.1e-2), strict=True):
        table = np.array(turned)
        means.append(table.mean(axis=0))
        precisions.append(np.linalg.inv(np.cov(table.T) + extra * np.eye(24)))
    return np.array(means), np.array(precisions)


def _fit_bars(material: Sequence[PreparedSong], part: Tables) -> F64:
    rows, labels = [], []
    for song in material:
        best = int(np.argmax(song.scores))
        if song.scores[best] >= _MIN_F_MEASURE:
            grid = song.grids[best]
            rows.append(bars.features(song.curves, grid, part))
            labels.append(np.abs(grid.beats[:, None] - song.downbeats[None]).min(axis=1) < 0.1)
    table = np.concatenate(rows)
    table = np.concatenate([table, np.ones((len(table), 1))], axis=1)
    truth = np.concatenate(labels).astype(np.float64)
    decay = np.full(table.shape[1], _BAR_DECAY)
    decay[-1] = 0.0

    def slope(weights: F64) -> tuple[float, F64]:
        score = table @ weights
        loss = float(np.logaddexp(0.0, score).sum() - truth @ score + 0.5 * (decay * weights) @ weights)
        return loss, table.T @ (1.0 / (1.0 + np.exp(-score)) - truth) + decay * weights

    return _least(slope, table.shape[1])


def _least(slope: object, size: int) -> F64:
    from scipy.optimize import minimize

    return np.asarray(minimize(slope, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS}).x)


def main(data: Path, work: Path, out: Path, count: int = SONGS) -> None:
    """Fits on songs rendered with the soundfonts in turn, and writes the tables."""
    work.mkdir(parents=True, exist_ok=True)
    material = []
    for place, folder in enumerate(songs(data, FIT, count)):
        song = prepare(read_song(folder, work, list(SOUNDFONTS)[place % 2]))
        material.append(song)
        print(f"{place + 1} {song.name} best grid {song.scores.max(initial=0.0):.3f}", flush=True)
    out.write_text(fit(material, songs(data, FIT, 0)).to_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
