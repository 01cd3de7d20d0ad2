"""Fits the meters of `listen`: `python -m antiphon_models.listen.meter_fitting DATA WORK OUT.json`, in minutes.

Softmax regression over the pairs of a tracked grid and a meter, on POP909's songs, `mma`'s bands and composed pieces,
with the pairs that have the true beats and bars as targets. Of the shipped tables only those of the pairs change.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from antiphon.api import F64
from antiphon_listen import beats, meters
from antiphon_listen.tables import Tables, load
from antiphon_models.listen.fitting import band_songs, measure_curves
from antiphon_models.listen.meter_pieces import metered_songs
from antiphon_models.listen.songs import FIT, RATE, SOUNDFONTS, ListenedSong, read_song
from antiphon_models.material.sounds import songs

SONGS = 24
_SECONDS = 100
_DECAY = 3.0
_ROUNDS = 300
_GOOD: dict[str, dict[int, float]] = {"4/4": {4: 1.0}, "3/4": {3: 1.0, 2: 0.15}, "6/8": {2: 1.0, 6: 0.8, 3: 0.15}}
"""Weights of a meter's pairs, by beats per bar: others with bars of the same length count a little."""
_BAR_TOLERANCE, _BEAT_TOLERANCE, _MIN_HIT = 0.04, 0.07, 0.8
"""Relative tolerance of a bar's length, seconds of a downbeat, and the minimum share of downbeats on a grid's beats."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Grids of a piece: features `[grids, p]`, scores `[grids]`, and targets of the pairs `[grids, meters]`, sum 1."""

    rows: F64
    scores: F64
    target: F64


def pairs_of(song: ListenedSong, meter: str, tables: Tables) -> Pairs | None:
    """Pairs of a piece; None without a right one."""
    grids = beats.grid_candidates(measure_curves(song.sound[: _SECONDS * RATE]))
    if not grids:
        return None
    scores = beats.grid_scores(grids, tables)
    downbeats = song.downbeats[song.downbeats < min(_SECONDS, len(song.sound) / RATE)]
    bar = float(np.median(np.diff(downbeats)))
    target = np.zeros((len(grids), len(meters.BEATS)))
    for row, grid in zip(target, grids, strict=True):
        near = np.abs(downbeats[1:-1, None] - grid.beats[None]).min(axis=1) < _BEAT_TOLERANCE
        if near.mean() >= _MIN_HIT:
            for place, count in enumerate(meters.BEATS):
                if abs(count * 60.0 / grid.tempo / bar - 1.0) <= _BAR_TOLERANCE:
                    row[place] = _GOOD[meter].get(count, 0.0)
    if not target.any():
        return None
    return Pairs(np.array([meters.features(grid) for grid in grids]), scores - scores.max(), target / target.sum())


def fit(material: Sequence[Pairs], tables: Tables) -> Tables:
    """Fits the weights of `meters.pair_scores`, with decay towards the grid's score alone."""
    from scipy.optimize import minimize

    every = np.concatenate([pairs.rows for pairs in material])
    mean, spread = every.mean(axis=0), every.std(axis=0) + 1e-6
    size, count = every.shape[1] + 1, len(meters.BEATS)
    start = np.concatenate([[1.0], np.zeros(count * size)])
    tables_of = [np.concatenate([(p.rows - mean) / spread, np.ones((len(p.rows), 1))], axis=1) for p in material]

    def slope(weights: F64) -> tuple[float, F64]:
        loss, back = 0.5 * _DECAY * float((weights - start) @ (weights - start)), _DECAY * (weights - start)
        for table, pairs in zip(tables_of, material, strict=True):
            score = weights[0] * pairs.scores[:, None] + table @ weights[1:].reshape(count, size).T
            share = np.exp(score - score.max())
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
        if not band.held and " drums" not in band.song.name:
            yield band.song, f"{band.meter}/4"
    for piece in metered_songs(work):
        if not piece.held:
            yield piece.song, piece.meter


def main(data: Path, work: Path, out: Path) -> None:
    """Fits on rendered songs and pieces, and writes the tables."""
    work.mkdir(parents=True, exist_ok=True)
    tables = load()
    found = (pairs_of(song, meter, tables) for song, meter in _pieces(data, work))
    out.write_text(fit([pairs for pairs in found if pairs is not None], tables).to_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
