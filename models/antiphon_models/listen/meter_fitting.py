"""Fits the meters of `listen`: `python -m antiphon_models.listen.meter_fitting DATA WORK RECORDS OUT.json`.

Softmax regression over the pairs of a tracked grid and a meter, on POP909's songs, `mma`'s bands and random pieces,
with the pairs that have the true beats and bars as targets, and on sounds in the folder RECORDS, all in four. Of the
shipped tables only those of the pairs change.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.files import READ_SUFFIXES
from antiphon_listen import beats, meters
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Tables, load
from antiphon_models.listen.fitting import band_songs, measure_curves
from antiphon_models.listen.meter_pieces import metered_songs
from antiphon_models.listen.songs import FIT, RATE, SOUNDFONTS, ListenedSong, read_song
from antiphon_models.material.sounds import mono, songs

SONGS, PIECES = 42, 210
_SECONDS = 70
_DECAY = 5.0
_ROUNDS = 300
_GOOD: dict[str, dict[int, float]] = {
    "4/4": {4: 1.0}, "3/4": {3: 1.0, 2: 0.15}, "6/8": {2: 1.0, 6: 0.8, 3: 0.15}, "5/4": {5: 1.0},
}  # fmt: skip
"""Weights of a meter's pairs, by beats per bar: others with bars of the same length count a little."""
_BAR_TOLERANCE, _BEAT_TOLERANCE, _MIN_HIT = 0.04, 0.07, 0.8
"""Relative tolerance of a bar's length, seconds of a downbeat, and the minimum share of downbeats on a grid's beats."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Grids of a piece: features `[grids, p]`, scores `[grids]`; targets of pairs `[grids, meters]`, which exist."""

    rows: F64
    scores: F64
    target: F64
    exists: NDArray[np.bool_]


def pairs_of(curves: MusicCurves, downbeats: F64, meter: str, tables: Tables) -> Pairs | None:
    """Pairs of a piece; None without a right one."""
    found = meters.pair_candidates(curves, tables)
    if found is None:
        return None
    downbeats = downbeats[downbeats < curves.seconds]
    bar = float(np.median(np.diff(downbeats)))
    target = np.zeros(found.possible.shape)
    for row, grid in zip(target, found.grids, strict=True):
        near = np.abs(downbeats[1:-1, None] - grid.beats[None]).min(axis=1) < _BEAT_TOLERANCE
        if near.mean() >= _MIN_HIT:
            for place, count in enumerate(meters.BEATS):
                if abs(count * 60.0 / grid.tempo / bar - 1.0) <= _BAR_TOLERANCE:
                    row[place] = _GOOD[meter].get(count, 0.0)
    target *= found.possible
    if not target.any():
        return None
    return _pairs(curves, found, target)


def pairs_of_record(curves: MusicCurves, tables: Tables) -> Pairs | None:
    """Pairs of a record in four, whose right one has the likeliest grid; None where that has no tempo."""
    found = meters.pair_candidates(curves, tables)
    if found is None:
        return None
    target, best = np.zeros(found.possible.shape), int(np.argmax(found.scores[: found.count]))
    if beats.confidence(curves, found.grids[best]) < beats.MIN_CONFIDENCE:
        return None
    target[best, meters.BEATS.index(4)] = 1.0
    return _pairs(curves, found, target)


def _pairs(curves: MusicCurves, found: meters.PairCandidates, target: F64) -> Pairs:
    rows = np.array([meters.features(curves, grid) for grid in found.grids])
    return Pairs(rows, found.scores, target / target.sum(), found.possible)


def fit(material: Sequence[Pairs], tables: Tables) -> Tables:
    """Fits the weights of `meters.track`, with decay towards the grid's score alone."""
    from scipy.optimize import minimize

    every = np.concatenate([pairs.rows for pairs in material])
    mean, spread = every.mean(axis=0), every.std(axis=0) + 1e-6
    size, count = every.shape[1] + 1, len(meters.BEATS)
    start = np.concatenate([[1.0], np.zeros(count * size)])
    rows = [np.clip((p.rows - mean) / spread, -meters.CLIP, meters.CLIP) for p in material]
    tables_of = [np.concatenate([row, np.ones((len(row), 1))], axis=1) for row in rows]

    def slope(weights: F64) -> tuple[float, F64]:
        loss, back = 0.5 * _DECAY * float((weights - start) @ (weights - start)), _DECAY * (weights - start)
        for table, pairs in zip(tables_of, material, strict=True):
            score = weights[0] * pairs.scores[:, None] + table @ weights[1:].reshape(count, size).T
            share = np.exp(score - score.max()) * pairs.exists
            share /= share.sum()
            loss -= float((pairs.target * np.log(share + 1e-12)).sum())
            away = share - pairs.target
            back = back + np.concatenate([[(away * pairs.scores[:, None]).sum()], (away.T @ table).ravel()])
        return loss, back

    found = minimize(slope, start, jac=True, method="L-BFGS-B", options={"maxiter": _ROUNDS}).x
    return replace(tables, pair_mean=mean, pair_spread=spread, pair_weights=np.asarray(found))


def _pieces(data: Path, work: Path) -> Iterator[tuple[ListenedSong, str]]:
    for place, folder in enumerate(songs(data, FIT, SONGS)):
        yield read_song(folder, work, list(SOUNDFONTS)[place % 2]), "4/4"
    for band in band_songs(work):
        yield band.song, "6/8" if band.meter == 6 else f"{band.meter}/4"
    for seed in (1, 2):
        for piece in metered_songs(work, PIECES, seed):
            yield piece.song, piece.meter


def main(data: Path, work: Path, records: Path, out: Path) -> None:
    """Fits on rendered songs and pieces, and on records in four, and writes the tables."""
    work.mkdir(parents=True, exist_ok=True)
    tables = load()
    found = [
        pairs_of(measure_curves(song.sound[: _SECONDS * RATE]), song.downbeats, meter, tables)
        for song, meter in _pieces(data, work)
    ]
    for path in sorted(records.iterdir()):
        if path.suffix in READ_SUFFIXES:
            found.append(pairs_of_record(measure_curves(mono(path, RATE)[: _SECONDS * RATE]), tables))
    out.write_text(fit([pairs for pairs in found if pairs is not None], tables).to_json())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
