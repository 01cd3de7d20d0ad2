"""The figures of `antiphon evaluate listen`, on a truth that is its own estimate, half of it, and none of it."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon_listen import bars, beats
from antiphon_listen.harmony import NO_CHORD
from antiphon_listen.tables import load
from antiphon_models.listen.evaluation import Listening, MusicFound, figures
from antiphon_models.listen.songs import ListenedSong, triad

pytest.importorskip("mir_eval")

BEATS = np.arange(0.0, 60.0, 0.5)
CHORDS = tuple((2.0 * n, 2.0 * n + 2.0, ("C:maj", "A:min", "F:sus4(b7)", "N")[n % 4]) for n in range(30))
SONG = ListenedSong("x", np.zeros(1, np.float32), BEATS, BEATS[::4], CHORDS, "C major", 1)


def test_the_truth_scores_1_in_all() -> None:
    right = MusicFound(120.0, BEATS, BEATS[::4], "C major", tuple(
        (start, end, label.partition("(")[0]) for start, end, label in CHORDS
    ))  # fmt: skip
    assert dict(figures(SONG, right)) == pytest.approx({
        "beats": 1.0, "downbeats": 1.0, "tempo": 1.0, "half or double": 1.0, "majmin": 1.0, "key": 1.0,
        "key, weighted": 1.0,
    })  # fmt: skip


def test_half_the_tempo_and_the_relative_key_are_told_from_right_and_wrong() -> None:
    near = dict(figures(SONG, MusicFound(60.0, BEATS[::2], BEATS[2::4], "A minor")))
    assert (near["tempo"], near["half or double"]) == (0.0, 1.0)
    assert near["beats"] == pytest.approx(2 / 3, abs=0.02)
    assert near["downbeats"] == 0.0
    assert (near["key"], near["key, weighted"]) == (0.0, 0.3)
    assert "majmin" not in near


def test_chord_labels_are_read_as_triads() -> None:
    labels = ("C:maj", "Bb:min7/5", "F#:7", "N", "E:sus4(b7)", "G:dim")
    assert [triad(label) for label in labels] == [0, 22, 6, NO_CHORD, None, None]


def test_the_tables_that_ship_fit_the_features() -> None:
    tables = load()
    assert len(tables.grid_mean) == len(tables.grid_spread) == len(tables.grid_weights)
    assert tables.chord_mean.shape == (3, 24)
    assert all(np.linalg.eigvalsh(precision).min() > 0.0 for precision in tables.chord_precision)
    grid = beats.BeatGrid(BEATS, np.ones((len(BEATS), 14)), (0.5, 0.5))
    assert beats.features(grid).shape == tables.grid_weights.shape
    assert bars.METERS[4] == max(bars.METERS.values())


def test_every_system_and_measure_is_declared() -> None:
    names = {system.name for system in Listening.systems}
    assert "listen" in names
    assert {measure.name for measure in Listening.measures} >= {name for name, _ in figures(SONG, MusicFound(120.0))}
