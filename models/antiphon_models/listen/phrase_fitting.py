"""Fits `phrases.json` of `listen`: `python -m antiphon_models.listen.phrase_fitting DATA WORK OUT.json`, an hour.

Both stages are small networks by AdamW on the share of listeners who begin a phrase on a beat. The second is fitted on
what the first says of songs it was not fitted on, in three parts. Lengths are counted; how they and the odds weigh was
chosen on songs ending in 7.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F64
from antiphon_listen import bars, beats, tables
from antiphon_listen.signals import MusicCurves
from antiphon_listen.structure import phrases
from antiphon_listen.tables import Odds, PhraseTables
from antiphon_models.listen.fitting import measure_curves
from antiphon_models.listen.songs import FIT, SOUNDFONTS, render_song
from antiphon_models.listen.structure import LabelledSong, read_labels
from antiphon_models.material.sounds import songs

SONGS = 0
"""Number of songs fitted on, 0 for all; 398 for the shipped weights."""
PARTS = 3
PATH = (0.3, 1.4, 1.5)
"""Weights of lengths and odds, and bonus per phrase."""
LONGEST = 96
"""Maximum beats of a phrase."""
_NEAR_UNITS, _FAR_UNITS = 48, 16
_RATE, _DECAY, _BATCH = 2e-3, 1e-3, 512


@dataclass(frozen=True, slots=True)
class PhraseMaterial:
    """Features of a song's beats as seen by `phrases`, and its truth.

    Attributes:
        table: `[n, f]`, of `phrases.features`.
        similarity: `[n, n]`.
        on_bar: `[n]`.
        target: `[n]`, the share of listeners who begin a phrase on each beat.
        steps: Beats of each listener's phrases.
    """

    table: F64
    similarity: F64
    on_bar: F64
    target: F64
    steps: tuple[int, ...]


def prepare(curves: MusicCurves, labels: LabelledSong) -> PhraseMaterial | None:
    """Features of a song; None without detected beats."""
    fitted = tables.load()
    grid = beats.track(curves, fitted)
    if grid is None or not phrases.MIN_BEATS <= len(grid.beats) <= phrases.WINDOW:
        return None
    odds = bars.bar_odds(curves, grid, fitted)
    on_bar = np.isin(grid.beats, bars.find_downbeats(odds, grid.beats)).astype(np.float64)
    rows = phrases.beat_rows(curves, grid.beats)
    similarity = rows @ rows.T
    table = phrases.features(phrases.beat_features(curves, grid, odds), similarity, on_bar)
    target = np.zeros(len(grid.beats))
    steps: list[int] = []
    length = float(np.median(np.diff(grid.beats)))
    for listener in labels.listeners:
        starts = np.array([phrase.start for phrase in listener])
        away = np.abs(grid.beats[None] - starts[:, None])
        places = away.argmin(axis=1)
        np.add.at(target, places[away.min(axis=1) < 0.6 * length], 0.5)
        steps += np.diff(places).tolist()
    return PhraseMaterial(table, similarity, on_bar, np.minimum(target, 1.0), tuple(steps))


def fit(material: Sequence[PhraseMaterial], seed: int = 1) -> PhraseTables:
    target = np.concatenate([song.target for song in material])
    early: list[F64] = [np.zeros(0)] * len(material)
    for part in range(PARTS):
        others = [song for n, song in enumerate(material) if n % PARTS != part]
        line = fit_odds(
            np.concatenate([song.table for song in others]),
            np.concatenate([song.target for song in others]),
            units=_NEAR_UNITS,
            rounds=10,
            dropout=0.3,
            seed=seed + part,
        )
        for n in range(part, len(material), PARTS):
            early[n] = line(material[n].table)
    context = [phrases.context(odds, song.similarity, song.on_bar) for odds, song in zip(early, material, strict=True)]
    return PhraseTables(
        fit_odds(
            np.concatenate([song.table for song in material]),
            target,
            units=_NEAR_UNITS,
            rounds=10,
            dropout=0.3,
            seed=seed,
        ),
        fit_odds(np.concatenate(context), target, units=_FAR_UNITS, rounds=15, dropout=0.1, seed=seed),
        length_shares(material),
        np.array(PATH),
    )


def length_shares(material: Sequence[PhraseMaterial]) -> F64:
    """Log frequencies of phrase lengths in beats, slightly smoothed."""
    counts = np.full(LONGEST + 1, 0.5)
    for song in material:
        steps = np.array(song.steps)
        counts += np.bincount(steps[(steps > 0) & (steps <= LONGEST)], minlength=LONGEST + 1)
    return np.log(np.convolve(counts / counts.sum(), [0.02, 0.96, 0.02], "same"))


def fit_odds(table: F64, target: F64, *, units: int, rounds: int, dropout: float, seed: int) -> Odds:
    """Log-odds function fitted to target shares by cross-entropy."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    mean, spread = table.mean(axis=0), table.std(axis=0) + 1e-3
    rows = torch.tensor(np.clip((table - mean) / spread, -5.0, 5.0), dtype=torch.float32)
    goal = torch.tensor(target, dtype=torch.float32)
    net = nn.Sequential(
        nn.Dropout(dropout / 2), nn.Linear(table.shape[1], units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, 1)
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
    for turn in range(rounds):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1.0 - turn / rounds) + 1e-5
        order = torch.randperm(len(rows))
        for first in range(0, len(rows), _BATCH):
            chosen_rows = order[first : first + _BATCH]
            loss = nn.functional.binary_cross_entropy_with_logits(net(rows[chosen_rows])[:, 0], goal[chosen_rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    lines, constants, line, constant = (value.detach().numpy().astype(np.float64) for value in net.parameters())
    return Odds(mean, spread, np.concatenate([lines.T, constants[None]]), np.concatenate([line[0], constant]))


def main(data: Path, work: Path, out: Path, count: int = SONGS) -> None:
    """Fits on songs rendered with the soundfonts in turn, and writes the tables."""
    work.mkdir(parents=True, exist_ok=True)
    material = []
    for place, folder in enumerate(songs(data, FIT, count)):
        labels = read_labels(folder)
        song = labels and prepare(measure_curves(render_song(folder, work, list(SOUNDFONTS)[place % 2])), labels)
        if song:
            material.append(song)
        print(f"{place + 1} {folder.name} {'left out' if not song else ''}", flush=True)
    out.write_text(fit(material).to_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
