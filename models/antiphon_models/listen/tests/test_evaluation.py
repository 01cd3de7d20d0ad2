"""The figures of `antiphon evaluate listen`, on a truth that is its own estimate, half of it, and none of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.each import each

from antiphon_listen import beats, meters
from antiphon_listen.signals import MusicCurves
from antiphon_listen.tables import load
from antiphon_models.listen.evaluation import MusicEstimate, live, score_estimate
from antiphon_models.listen.songs import RATE, ListenedSong, bars_hold
from antiphon_models.material.fluidsynth import TICKS, midi_bytes, note_off, note_on

pytest.importorskip("mir_eval")

BEATS = np.arange(0.0, 60.0, 0.5)
CHORDS = tuple((2.0 * n, 2.0 * n + 2.0, ("C:maj", "A:min", "F:sus4(b7)", "N")[n % 4]) for n in range(30))
SONG = ListenedSong("x", np.zeros(1, np.float32), BEATS, BEATS[::4], CHORDS, "C major", 1)


def test_the_truth_scores_1_in_all() -> None:
    right = MusicEstimate(
        120.0,
        BEATS,
        BEATS[::4],
        "C major",
        tuple((start, end, label.partition("(")[0]) for start, end, label in CHORDS),
        118.0,
    )
    assert dict(score_estimate(SONG, right)) == pytest.approx({
        "beats": 1.0, "within 30 ms": 1.0, "downbeats": 1.0, "of bars that hold": 1.0, "tempo": 1.0,
        "half or double": 1.0, "tempo at 4 s": 1.0, "tempo shown": 1.0,
        "majmin": 1.0, "sevenths": 1.0, "mirex": 1.0, "no chord": 7 / 30, "shown": 1.0, "key": 1.0,
        "key or relative": 1.0, "key, weighted": 1.0,
    })  # fmt: skip


@each("beside, holds", [(0, True), (1, False), (2, True), (3, False)])
def test_annotated_bars_hold_unless_the_piano_plays_its_bass_a_beat_beside(
    tmp_path: Path, beside: int, holds: bool
) -> None:
    events = [(0, b"\xff\x03\x05PIANO")]
    for n in range(64):
        for number in (64, 67) if n % 4 != beside else (40, 64, 67):
            events += [(n * TICKS // 2, note_on(0, number, 90)), (n * TICKS // 2 + 200, note_off(0, number))]
    folder = tmp_path / str(beside)
    folder.mkdir()
    (folder / f"{beside}.mid").write_bytes(midi_bytes(sorted(events)))
    assert bars_hold(folder, 0.5 * np.arange(64), np.arange(64) % 4 == 0) == holds
    wrong = replace(SONG, bars_hold=holds)
    assert ("of bars that hold" in dict(score_estimate(wrong, MusicEstimate(downbeats=BEATS[::4])))) == holds


def test_half_the_tempo_and_the_relative_key_are_told_from_right_and_wrong() -> None:
    near = dict(score_estimate(SONG, MusicEstimate(60.0, BEATS[::2], BEATS[2::4], "A minor")))
    assert (near["tempo"], near["half or double"]) == (0.0, 1.0)
    assert near["beats"] == pytest.approx(2 / 3, abs=0.02)
    assert near["downbeats"] == 0.0
    assert (near["key"], near["key or relative"], near["key, weighted"]) == (0.0, 1.0, 0.3)
    fifth = dict(score_estimate(SONG, MusicEstimate(key="E minor")))
    assert fifth["key or relative"] == 0.0
    minor = replace(SONG, key="F# minor")
    assert dict(score_estimate(minor, MusicEstimate(key="A major")))["key or relative"] == 1.0
    assert "majmin" not in near


def test_a_beat_50_ms_late_counts_as_a_beat_and_not_as_one_on_time() -> None:
    late = dict(score_estimate(SONG, MusicEstimate(beats=BEATS + 0.05)))
    assert (late["beats"], late["within 30 ms"]) == (1.0, 0.0)


def test_the_live_system_gives_beats_in_order_from_what_was_before_them() -> None:
    sound = np.zeros(9 * RATE, np.float32)
    time = np.arange(2000) / RATE
    for n in range(17):
        at = round((0.5 + 0.5 * n) * RATE)
        sound[at : at + 2000] = 0.5 * np.sin(2 * np.pi * (220.0 if n % 2 else 330.0) * time) * np.exp(-20.0 * time)
    found = live(sound)
    assert (np.diff(found.beats) > 0.25).all()
    off = (np.array([beat for beat in found.beats if beat > 4.5]) + 0.25) % 0.5 - 0.25
    assert len(off) >= 4
    assert np.abs(off).max() < 0.03
    assert min(abs(found.early / bpm - 1.0) for bpm in (60.0, 120.0)) < 0.02


def test_the_tables_that_ship_fit_the_features() -> None:
    tables = load()
    assert len(tables.grid_mean) == len(tables.grid_spread) == len(tables.grid_weights)
    assert tables.chord_mean.shape == (3, 24)
    assert all(np.linalg.eigvalsh(precision).min() > 0.0 for precision in tables.chord_precision)
    grid = beats.BeatGrid(BEATS, np.ones((len(BEATS), 14)), np.full(32, 0.5))
    assert beats.features(grid).shape == tables.grid_weights.shape
    silent = np.zeros(9 * 86)
    curves = MusicCurves(np.tile(silent, (3, 1)), silent, np.zeros((len(silent), 24), np.float32), 9.0)
    size = len(meters.features(curves, grid))
    assert len(tables.pair_mean) == len(tables.pair_spread) == size
    assert len(tables.pair_weights) == 1 + len(meters.BEATS) * (size + 1)
    assert tables.waltz_weights.shape == tables.drum_weights.shape == tables.bar_weights.shape
