"""Fits the tables of `listen`: `python -m antiphon_models.listen.fitting DATA WORK OUT.json`. Minutes on one core.

Chords: means and covariances of pitch classes, their root turned to one place. Downbeats: logistic regression. Key: a
line by the softmax over 24 keys, on the annotated chords of all songs whose numbers end in 1 to 6: it needs no sound.
Which grid of beats is right: a line by the softmax over each song's grids, towards those of the best F-measure.

With RECORDS behind OUT.json, a folder of sounds with NAME.bpm beside them, the line of grids is fitted anew from the
one that ships, on the songs, on bands of many styles and on the records; so are the meters and bars of three.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.files import READ_SUFFIXES
from antiphon_listen import bars, beats
from antiphon_listen.chords import harmony
from antiphon_listen.signals import MusicCurves, OnsetStrength, curves
from antiphon_listen.spectra.chroma import NoteSpectrum
from antiphon_listen.tables import Tables, load
from antiphon_models.listen.band_styles import band_songs
from antiphon_models.listen.songs import FIT, RATE, SOUNDFONTS, ListenedSong, read_harmony, read_song, root_of, triad
from antiphon_models.material.sounds import mono, songs

SONGS = 150
_SHARPNESS = 10.0
"""Exponent of a grid's F-measure in its target weight."""
_GRID_DECAY, _BAR_DECAY, _KEY_DECAY = 3.0, 30.0, 1.0
"""Weight decay by cross-validation over the fitted songs; of keys on the songs whose numbers end in 7."""
_MIN_F_MEASURE = 0.85
"""Minimum F-measure of a grid whose beats are used to fit downbeats."""
_ROUNDS = 400
_RECORD_SECONDS = 90


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
    return replace(curves(strength.end(), notes.end(), len(sound) / RATE), drums=strength.has_drums)


def fit(material: Sequence[PreparedSong], folders: Sequence[Path]) -> Tables:
    """Tables fitted to songs, with the harmony of the songs in `folders`."""
    mean, spread, weights = _fit_grids(material)
    chord_mean, chord_precision = _fit_chords(material)
    none = np.zeros(0)
    part = Tables(mean, spread, weights, chord_mean, chord_precision, none, none, none, none, fit_keys(folders))
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
    tables = [(row - mean) / spread for row in rows]
    targets = [_target(song) for song in material if song.grids]
    return mean, spread, _softmax_line(tables, targets, np.zeros(len(mean)), _GRID_DECAY)


_BAND_DECAY, _METER_DECAY, _WALTZ_DECAY, _DRUM_DECAY = 10.0, 1.0, 10.0, 3.0
"""Decays towards the shipped line of grids, of the meter's weights to 0, and of waltzes' and drums' to other bars'."""
_HALF_RIGHT, _OFF, _WRONG = 0.6, 0.3, 0.2
"""Scores of a record's grids at half and double tempo, at its tempo beside the likeliest, and of others."""


def refit(material: Sequence[PreparedSong], bands: Sequence[tuple[PreparedSong, int]], shipped: Tables) -> Tables:
    """Shipped tables with the grids, meters and waltzes of songs in four, records, and bands with their meters."""
    every = [song for song in [*material, *(song for song, _ in bands)] if song.grids]
    tables = [(np.array([beats.features(g) for g in s.grids]) - shipped.grid_mean) / shipped.grid_spread for s in every]
    weights = _softmax_line(tables, [_target(song) for song in every], shipped.grid_weights, _BAND_DECAY)
    best = [(song.grids[int(np.argmax(song.scores))], song, meter) for song, meter in bands if song.grids]
    rows = np.array([bars.meter_features(grid) for grid, *_ in best])
    waltz = np.array([float(meter == 3) for *_, meter in best])
    meter_line = _logistic(rows, waltz, np.where(waltz > 0.0, 3.0, 1.0), _METER_DECAY, np.zeros(rows.shape[1] + 1))
    lines = []
    for beats_a_bar, decay in ((4, _DRUM_DECAY), (3, _WALTZ_DECAY)):
        own = [(g, song) for g, song, meter in best if meter == beats_a_bar and (song.curves.drums or meter == 3)]
        table = np.concatenate([bars.features(song.curves, grid, shipped) for grid, song in own])
        on = np.concatenate([_on_downbeats(grid, song) for grid, song in own])
        lines.append(_logistic(table, on, np.ones(len(on)), decay, shipped.bar_weights))
    return replace(
        shipped, grid_weights=weights, meter_weights=meter_line, drum_weights=lines[0], waltz_weights=lines[1]
    )


def of_tempo(name: str, found: MusicCurves, tempo: float, shipped: Tables) -> PreparedSong:
    """A record of known tempo alone: its likeliest grid of that tempo is the right one."""
    grids = tuple(beats.hypotheses(found))
    ratio = np.array([grid.tempo / tempo for grid in grids])
    right = np.abs(ratio - 1.0) < 0.04
    octave = (np.abs(ratio - 0.5) < 0.02) | (np.abs(ratio - 2.0) < 0.08)
    scores = np.where(right, _OFF, np.where(octave, _HALF_RIGHT, _WRONG))
    if right.any():
        scores[int(np.argmax(np.where(right, beats.likely(list(grids), shipped), -np.inf)))] = 1.0
    return PreparedSong(name, found, grids if right.any() else (), scores, np.zeros(0), np.zeros(0), ())


def _logistic(table: F64, truth: F64, counts: F64, decay: float, start: F64) -> F64:
    """Weights of a table's columns and a constant by logistic regression, with decay towards `start`."""
    every = np.concatenate([table, np.ones((len(table), 1))], axis=1)
    decays = np.full(every.shape[1], decay)
    decays[-1] = 0.0

    def slope(weights: F64) -> tuple[float, F64]:
        score, away = every @ weights, weights - start
        loss = float((counts * (np.logaddexp(0.0, score) - truth * score)).sum() + 0.5 * (decays * away) @ away)
        return loss, every.T @ (counts * (1.0 / (1.0 + np.exp(-score)) - truth)) + decays * away

    return _least(slope, every.shape[1], start)


def _on_downbeats(grid: beats.BeatGrid, song: PreparedSong) -> F64:
    near = np.abs(grid.beats[:, None] - song.downbeats[None]).min(axis=1) < 0.1
    return np.asarray(near, np.float64)


def _target(song: PreparedSong) -> F64:
    share = np.exp(_SHARPNESS * (song.scores - song.scores.max()))
    return np.asarray(share / share.sum())


def _softmax_line(tables: Sequence[F64], targets: Sequence[F64], start: F64, decay: float) -> F64:
    """Weights whose softmax over each table's rows is nearest its target, with decay towards `start`."""

    def slope(weights: F64) -> tuple[float, F64]:
        away = weights - start
        loss, back = 0.5 * decay * float(away @ away), decay * away
        for table, target in zip(tables, targets, strict=True):
            score = table @ weights
            share = np.exp(score - score.max())
            share /= share.sum()
            loss -= float(target @ np.log(share + 1e-12))
            back = back + table.T @ (share - target)
        return loss, back

    return _least(slope, len(start), start)


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
            labels.append(_on_downbeats(grid, song))
    table, truth = np.concatenate(rows), np.concatenate(labels)
    return _logistic(table, truth, np.ones(len(truth)), _BAR_DECAY, np.zeros(table.shape[1] + 1))


def _least(slope: object, size: int, start: F64 | None = None) -> F64:
    from scipy.optimize import minimize

    begin = np.zeros(size) if start is None else start
    return np.asarray(minimize(slope, begin, jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS}).x)


def main(data: Path, work: Path, out: Path, records: Path | None = None, count: int = SONGS) -> None:
    """Fits on songs rendered with the soundfonts in turn, and writes the tables."""
    work.mkdir(parents=True, exist_ok=True)
    material = []
    for place, folder in enumerate(songs(data, FIT + "7" if records else FIT, count)):
        song = prepare(read_song(folder, work, list(SOUNDFONTS)[place % 2]))
        material.append(song)
        print(f"{place + 1} {song.name} best grid {song.scores.max(initial=0.0):.3f}", flush=True)
    if records is None:
        out.write_text(fit(material, songs(data, FIT, 0)).to_json())
        return
    shipped = load()
    for truth in sorted(records.rglob("*.bpm")):
        for path in truth.parent.glob(f"{truth.stem}.*"):
            if path.suffix in READ_SUFFIXES:
                found = measure_curves(mono(path, RATE)[: _RECORD_SECONDS * RATE])
                material.append(of_tempo(path.stem, found, float(truth.read_text()), shipped))
    bands = [(prepare(band.song), band.meter) for band in band_songs(work) if not band.held]
    out.write_text(refit(material, bands, shipped).to_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4:] else None)
