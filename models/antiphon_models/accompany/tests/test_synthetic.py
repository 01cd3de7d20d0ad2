"""The evaluation on songs whose chords are known, and the tables of harmony that are counted from songs."""

from pathlib import Path

import numpy as np
import pytest

from antiphon_accompany.band.styles import NAMES
from antiphon_accompany.files.offline import accompany_file
from antiphon_accompany.harmony.chords import tones
from antiphon_models.accompany import evaluation, training
from antiphon_models.accompany.evaluation import AccompanyEvaluation
from antiphon_models.learning.evaluation import EvaluationRequest, cells, choose_material


def test_songs_are_of_their_seed_and_hold_what_they_declare() -> None:
    first, second = evaluation.drawn_songs(1, 2)
    (again,) = evaluation.drawn_songs(1, 1)
    assert first.melody == again.melody
    assert first.melody != second.melody
    for song in (first, second):
        assert len(song.beats) == len(song.chords) == evaluation.BARS * evaluation.METER
        assert song.chords[0] == song.key
        assert song.melody[-1].end == len(song.beats)
        on_beat = [note for note in song.melody if note.start.is_integer()]
        share = np.mean([note.pitch % 12 in tones(int(song.chords[int(note.start)])) for note in on_beat])
        assert share > 0.6


def test_it_is_evaluated_without_data(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    lines: list[str] = []
    systems = ("held tonic", "file", "pianist")
    ask = EvaluationRequest(tmp_path / "nowhere", tmp_path, limit=1, systems=systems, say=lines.append)
    ask = choose_material(AccompanyEvaluation(), ask)
    figures = {
        (c.group, c.system, c.measure): c.mean for c in cells(AccompanyEvaluation(), AccompanyEvaluation().scores(ask))
    }
    assert [line.split(":")[0] for line in lines] == [
        f"there is no folder {tmp_path / 'nowhere'}, which would hold pop909/"
    ]
    assert figures["", "pianist", "played"] == pytest.approx(1.0, abs=1e-6)
    assert 0.0 < figures["", "file", "chords"] <= 1.0
    assert figures["", "file", "clash"] == 0.0
    assert ("", "file", "density") not in figures, "there is no pianist to compare with"


def test_a_wrong_key_is_corrected_under_the_counted_tables() -> None:
    counted = [training.rows(song) for song in evaluation.drawn_songs(1, 12)]
    keys = [song.key for song in counted]
    tables = training.count(counted)
    assert tables.first.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    # of the likeliest successors of I, none is I's own parallel
    assert tables.next[0, 0, 0, 7] > 10 * tables.next[0, 0, 0, 12]
    counted[3].key = (keys[3] + 6) % 12 + keys[3] // 12 * 12
    assert training.assign_keys(counted, tables) >= 1
    agreeing = sum(song.key == key for song, key in zip(counted, keys, strict=True))
    assert counted[3].key == keys[3]
    assert agreeing >= 10, "relative keys may be confused in one or two of twelve"


def test_the_bars_begin_where_chords_change() -> None:
    (song,) = (training.rows(song) for song in evaluation.drawn_songs(2, 1))
    assert training.phase(song) == 0
    song.place = (song.place + 1) % 4
    assert training.phase(song) == 1


def test_every_style_sounds_the_chords_that_are_given_on_their_bass() -> None:
    """Of triads, sevenths and inversions, with the third where a band has it in any part."""
    (song,) = list(evaluation.written_songs(1, 5))[4:]
    spans = evaluation.spans_of_song(song)
    rows = {}
    for style in NAMES:
        made = accompany_file(song.melody, {"style": style, "parts": "all"}, song.tempo, spans=spans)
        rows[style] = evaluation.band_figures(made, spans)
    assert min(row["tones"] for row in rows.values()) > 0.9, rows
    assert min(row["bass"] for row in rows.values()) > 0.97, rows
    assert np.mean([row["sounded"] for row in rows.values()]) > 0.96, rows
    assert np.mean([row["parallels"] for row in rows.values()]) < 10.0, rows
