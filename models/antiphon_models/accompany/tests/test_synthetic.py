"""The evaluation without POP909: songs whose chords are known, on which the pianist's own notes agree with them."""

from pathlib import Path

import numpy as np
import pytest

from antiphon_accompany.harmony.chords import tones
from antiphon_models.accompany import synthetic
from antiphon_models.accompany.evaluation import Accompanying
from antiphon_models.learning.evaluation import EvaluationRequest, cells, choose_material


def test_songs_are_of_their_seed_and_hold_what_they_declare() -> None:
    first, second = synthetic.songs(1, 2)
    (again,) = synthetic.songs(1, 1)
    assert first.melody == again.melody
    assert first.melody != second.melody
    for song in (first, second):
        assert len(song.beats) == len(song.chords) == synthetic.BARS * synthetic.METER
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
    ask = choose_material(Accompanying(), ask)
    figures = {(c.group, c.system, c.measure): c.mean for c in cells(Accompanying(), Accompanying().scores(ask))}
    assert [line.split(":")[0] for line in lines] == [
        f"there is no folder {tmp_path / 'nowhere'}, which would hold pop909/"
    ]
    assert figures["", "pianist", "played"] == pytest.approx(1.0, abs=1e-6)
    assert 0.0 < figures["", "file", "chords"] <= 1.0
    assert figures["", "file", "clash"] == 0.0
    assert ("", "file", "density") not in figures, "there is no pianist to compare with"
