"""Labels of phrases as seconds, and the tables that are fitted to them."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon_listen import tables
from antiphon_listen.structure import phrases
from antiphon_models.listen.phrase_fitting import PhraseMaterial, fit, fit_odds
from antiphon_models.listen.structure import read_labels


def write_song(folder: Path, labels: str, beats: int = 70, sung: tuple[int, ...] = ()) -> Path:
    """A song whose first chord is at its fourth beat; downbeats begin at the second. `sung`: beats with melody."""
    lines = [f"{0.5 * n} {float(n % 2 == 1)} {float(n % 4 == 1)}" for n in range(beats)]
    (folder / "beat_midi.txt").write_text("\n".join(lines))
    (folder / "chord_midi.txt").write_text("0.0 1.5 N\n1.5 3.5 C:maj\n3.5 30 F:maj\n")
    for listener in (1, 2):
        (folder / f"human_label{listener}.txt").write_text(labels)
    melody = MidiTrack("MELODY", tuple(MidiNote(float(n), 1.0, 60, 0.5) for n in sung), 0)
    write_midi(folder / f"{folder.name}.mid", [melody], 120.0)
    return folder


def starts_of(folder: Path) -> list[tuple[float, float, str]]:
    song = read_labels(folder)
    assert song is not None
    return [(phrase.start, phrase.end, phrase.letter) for phrase in song.listeners[0]]


def test_bars_of_labels_count_from_where_their_phrases_fit_melody_and_downbeats(tmp_path: Path) -> None:
    """Phrases with melody lie where it sounds, though bars before the first chord would fit as well."""
    for first in (5, 9):
        sung = tuple(range(first + 16, first + 48))
        assert starts_of(write_song(tmp_path, "i4A8b4\n", 78, sung)) == [
            (0.5 * (first + a), 0.5 * (first + b), letter)
            for a, b, letter in ((0, 16, "i"), (16, 48, "A"), (48, 64, "b"))
        ]


def test_bars_of_labels_count_from_the_first_chord_where_no_melody_says_more(tmp_path: Path) -> None:
    folder = write_song(tmp_path, "i4a8b4\n")
    beats = folder / "beat_midi.txt"
    beats.write_text(beats.read_text().replace(" 1.0\n", " 0.0\n"))
    assert starts_of(folder) == [(1.5, 9.5, "i"), (9.5, 25.5, "a"), (25.5, 33.5, "b")]
    song = read_labels(write_song(tmp_path, "i4A8b4\n"))
    assert song is not None
    assert song.downbeats[0] == 0.5


@pytest.mark.parametrize("labels", ["i4A4", "i40A40", "", "?"])
def test_labels_of_other_bars_are_left_out(tmp_path: Path, labels: str) -> None:
    assert read_labels(write_song(tmp_path, labels)) is None


def test_the_odds_are_fitted_and_found_again_from_the_file(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    draw = np.random.default_rng(1)
    table = draw.normal(size=(4000, 3))
    target = (table[:, 0] > 0.0).astype(np.float64)
    odds = fit_odds(table, target, units=8, rounds=60, dropout=0.0, seed=1)
    assert float(((odds(table) > 0.0) == (target > 0.5)).mean()) > 0.93
    songs = [
        PhraseMaterial(
            draw.normal(size=(64, 7)), np.eye(64), np.zeros(64), (np.arange(64) % 16 == 0) * 1.0, (16, 16, 32)
        )
        for _ in range(3)
    ]
    fitted = fit(songs)
    assert int(np.argmax(fitted.lengths)) == 16
    (tmp_path / "p.json").write_text(fitted.to_json())
    again = tables.load_phrases(tmp_path / "p.json")
    np.testing.assert_allclose(again.near(songs[0].table), fitted.near(songs[0].table), atol=0.01)


def test_the_phrase_tables_that_ship_fit_the_features() -> None:
    shipped = tables.load_phrases()
    local, similarity, zero = np.zeros((40, 26)), np.eye(40), np.zeros(40)
    assert phrases.features(local, similarity, zero).shape[1] == len(shipped.near.mean)
    assert phrases.context(zero, similarity, zero).shape[1] == len(shipped.far.mean)
    assert int(np.argmax(shipped.lengths)) == 16, "four bars of four"


def test_a_path_over_odds_prefers_lengths_that_are_frequent() -> None:
    odds = np.full(128, -4.0)
    odds[[0, 32, 64, 96]] = 3.0
    odds[[31, 70]] = 1.0
    assert {0, 32, 64, 96} <= set(phrases.boundaries(odds, tables.load_phrases()))
    assert not {31, 70} & set(phrases.boundaries(odds, tables.load_phrases()))
