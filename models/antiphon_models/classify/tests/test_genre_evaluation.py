"""Genres of a folder's recordings: what is right, what is a stranger, and the figures by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests import accepted

from antiphon.api import UsageError
from antiphon_models.classify import evaluation
from antiphon_models.classify.evaluation import GenreEvaluation, LabeledRecording, known_recordings, recordings
from antiphon_models.learning import evaluation as tables
from antiphon_models.learning.evaluation import EvaluationRequest


def test_what_is_right_for_a_folder() -> None:
    def answer(genre: str) -> str:
        return " or ".join(LabeledRecording(Path("a"), "a", genre).right) or "nothing"

    accepted.compare(__file__, answer)


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


def test_recordings_of_the_data_are_known_by_their_source(tmp_path: Path) -> None:
    names = ["tracks/vibe_ace_jazz.wav", "tracks/robin_whistle.wav", "songs/one.wav"]
    names += [f"debian/singularity-music/usr/{n:02}.wav" for n in range(20)]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(800), 8000)
    found = [(one.name, one.genre) for one in known_recordings(tmp_path)]
    assert found[0] == ("tracks/vibe_ace_jazz.wav", "jazz")
    assert [name[-6:-4] for name, genre in found[1:] if genre == "electronic"] == [
        f"{n * 20 // 8:02}" for n in range(8)
    ]
    assert len(found) == 9
    ask = EvaluationRequest(tmp_path, tmp_path, limit=1, say=lambda line: None)
    assert {cell.system for cell in tables.cells(GenreEvaluation(), GenreEvaluation().scores(ask))} == set()


def test_a_folder_without_genres_is_refused_and_one_is_enough(folder: Path) -> None:
    assert len(recordings(folder)) == 4
    (folder / "other/a").mkdir(parents=True)
    ask = EvaluationRequest(Path("data"), folder, files=(folder / "other",))
    with pytest.raises(UsageError, match="no folder that is named by a genre"):
        list(GenreEvaluation().scores(ask))
    ask = EvaluationRequest(Path("data"), folder, files=(folder, folder))
    with pytest.raises(UsageError, match="name one folder"):
        list(GenreEvaluation().scores(ask))
