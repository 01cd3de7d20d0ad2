"""Fits `phrases.json` of `listen`: `python -m antiphon_models.listen.phrase_fitting DATA WORK OUT.json`, an hour.

Both stages are small networks, trained by AdamW on the share of listeners who begin a phrase on a beat. The second is
fitted on the first's output for songs outside its training, in three folds. Lengths are counted; the weights of lengths
and odds were chosen on songs ending in 7.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64
from antiphon.api.backends.files import read_midi
from antiphon_listen import bars, meters, phrases, tables
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import Odds, PhraseTables
from antiphon_models.listen.fitting import measure_curves
from antiphon_models.listen.songs import FIT, SOUNDFONTS, render_song
from antiphon_models.material.sounds import songs

_LEAST, _MOST = -3, 8
"""Range of bars between the end of the labels and that of the beats; beyond it the bar counts disagree."""
_BEFORE, _BEHIND = 6, 28
"""Search range in beats, before and after the first chord, for the first bar line."""
_ON_BAR, _ON_CHORD = 16.0, 4.0
"""Weights, in beats of melody in the right phrases, of phrases on downbeats, and of a start at the first chord."""


@dataclass(frozen=True, slots=True)
class LabelledPhrase:
    """Phrase from `start` to `end` in seconds; `letter` is a capital where it has the melody."""

    start: float
    end: float
    letter: str


@dataclass(frozen=True, slots=True)
class LabelledSong:
    """Phrases of a song by two listeners, with beats and downbeats in seconds."""

    name: str
    listeners: tuple[tuple[LabelledPhrase, ...], tuple[LabelledPhrase, ...]]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.float64]


def read_labels(folder: Path) -> LabelledSong | None:
    """Reads the phrases of a song; None where its labels and beats disagree about the bars."""
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    beats, on_bar = table[:, 0], table[:, 2]
    chords = (line.split() for line in (folder / "chord_midi.txt").read_text().splitlines())
    first = next((float(row[0]) for row in chords if len(row) == 3 and row[2] != "N"), float(beats[0]))
    labels = [
        [(letter, 4 * int(bars)) for letter, bars in re.findall(r"([A-Za-z])(\d+)", file.read_text())]
        for file in (folder / "human_label1.txt", folder / "human_label2.txt")
    ]
    chord = int(np.argmin(np.abs(beats - first)))
    ends = [chord + sum(length for _, length in found) for found in labels]
    if not all(labels) or not all(_LEAST <= (len(beats) - end) / 4 <= _MOST for end in ends):
        return None
    begin = _first_beat(labels, _sung(folder / f"{folder.name}.mid", beats), on_bar, chord)
    listeners = []
    for found in labels:
        times = _times(beats, begin + np.cumsum([0, *(length for _, length in found)]))
        listeners.append(tuple(LabelledPhrase(times[n], times[n + 1], letter) for n, (letter, _) in enumerate(found)))
    return LabelledSong(folder.name, (listeners[0], listeners[1]), beats, table[on_bar == 1, 0])


def _sung(path: Path, beats: F64) -> F64:
    """Share of each beat in which the track MELODY sounds."""
    song = read_midi(path)
    notes = [note for track in song.tracks if track.name.strip() == "MELODY" for note in track.notes]
    starts = np.array([song.seconds(note.start) for note in notes])
    ends = np.maximum.accumulate([0.0, *(song.seconds(note.end) for note in notes)])
    lengths = np.diff(beats, append=2.0 * beats[-1] - beats[-2])
    times = beats[:, None] + lengths[:, None] * np.array([0.125, 0.375, 0.625, 0.875])
    return np.asarray((ends[np.searchsorted(starts, times, "right")] > times).mean(axis=1))


def _first_beat(labels: Sequence[Sequence[tuple[str, int]]], sung: F64, on_bar: F64, chord: int) -> int:
    """First beat of labels (letters with their number of beats); `sung` and `on_bar` are per beat."""
    count, longest = len(sung), max(sum(length for _, length in found) for found in labels)
    last = min(chord + _BEHIND, count - longest - 4 * _LEAST)
    scores = {begin: _ON_CHORD * (begin == chord) for begin in range(max(0, chord - _BEFORE), last + 1)}
    for begin in scores:
        for found in labels:
            edges = begin + np.cumsum([0, *(length for _, length in found)])
            signs = np.array([1.0 if letter.isupper() else -1.0 for letter, _ in found])
            melody = np.array([part.sum() for part in np.split(sung, edges.clip(0, count))[1:-1]])
            bars = on_bar[edges[:-1][edges[:-1] < count]].sum() / len(found)
            scores[begin] += 0.5 * float(signs @ melody + _ON_BAR * bars)
    return max(scores, key=lambda begin: scores[begin])


def _times(beats: NDArray[np.float64], places: NDArray[np.int64]) -> list[float]:
    """Times of beats by number, extrapolated at the median tempo."""
    length = float(np.median(np.diff(beats)))
    over = np.maximum(0, places - (len(beats) - 1))
    return [float(time) for time in beats[np.minimum(places, len(beats) - 1)] + length * over]


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
    tracked = meters.track(curves, fitted)
    if tracked is None or not phrases.MIN_BEATS <= len(tracked.grid.beats) <= phrases.WINDOW:
        return None
    grid = tracked.grid
    odds, downbeats = bars.track_bars(curves, grid, fitted, tracked.meter)
    on_bar = np.isin(grid.beats, downbeats).astype(np.float64)
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
    """Fits a log-odds function to target shares by cross-entropy."""
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
