"""Genres of a folder's recordings: what is right, what is a stranger, and the figures by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import UsageError
from antiphon_models.classify import evaluation
from antiphon_models.classify.evaluation import GenreEvaluation, LabeledRecording, recordings
from antiphon_models.learning import evaluation as tables
from antiphon_models.learning.evaluation import EvaluationRequest


@each(
    "genre, right",
    [
        ("Hip-Hop", ("hip hop",)),
        ("hiphop", ("hip hop",)),
        ("R&B", ("funk/soul",)),
        ("reggae", ("world",)),
        ("Electronic", ("electronic", "house")),
        ("metal", ("metal",)),
        ("Spoken", ()),
    ],
)
def test_what_is_right_for_a_folder(genre: str, right: tuple[str, ...]) -> None:
    assert LabeledRecording(Path("a"), "a", genre).right == right


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("jazz/one.wav", "jazz/two.wav", "Rock/three.wav", "spoken/four.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(800), 8000)
    return tmp_path


def test_figures_by_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"one": ("jazz", "rock"), "two": ("unknown", "jazz"), "three": ("jazz", "rock"), "four": ("unknown", "pop")}

    def answer(path: Path, *names: str) -> dict[str, Any]:
        named, second = said[path.stem]
        return {"genre": named, "genres": [["jazz", 0.6], [second, 0.3]]}

    monkeypatch.setattr(evaluation, "analysis_of_file", answer)
    lines: list[str] = []
    ask = EvaluationRequest(Path("data"), folder, files=(folder,), say=lines.append)
    cells = tables.cells(GenreEvaluation(), GenreEvaluation().scores(ask))
    found = {(cell.system, cell.measure): (cell.n, round(cell.mean, 3)) for cell in cells}
    assert found["genre", "accuracy"] == (3, 0.333)
    assert found["genre", "macro"] == (2, 0.25)
    assert found["genre", "top 3"] == (3, 1.0)
    assert found["genre", "strangers unknown"] == (1, 1.0)
    assert found["most frequent", "accuracy"] == (3, 0.667)
    assert lines == [f"4 recordings of {folder}; strangers are spoken"]


def test_a_folder_without_genres_is_refused_and_one_is_enough(folder: Path) -> None:
    assert len(recordings(folder)) == 4
    (folder / "other/a").mkdir(parents=True)
    ask = EvaluationRequest(Path("data"), folder, files=(folder / "other",))
    with pytest.raises(UsageError, match="no folder that is named by a genre"):
        list(GenreEvaluation().scores(ask))
    ask = EvaluationRequest(Path("data"), folder, files=(folder, folder))
    with pytest.raises(UsageError, match="name one folder"):
        list(GenreEvaluation().scores(ask))
