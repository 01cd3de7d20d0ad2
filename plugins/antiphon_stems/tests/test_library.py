"""The analysis `stems` by `antiphon library analyse`, and one that is given a stem."""

import json
from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity
from antiphon.offline import analyses as registered
from antiphon.offline.analyses import analyse_file, analyses
from antiphon_models.learning.user_commands import command
from antiphon_stems.grids import STEMS
from antiphon_stems.tests.test_files import read, song


class _Run(AnalysisRun):
    energy = 0.0

    def feed(self, block: np.ndarray) -> None:
        assert len(block) == 1
        self.energy += float((block.astype(np.float64) ** 2).sum())

    def result(self) -> dict[str, float]:
        return {"energy": self.energy}


class OfBass(Analysis):
    quantities = (Quantity("energy", "number"),)
    stem = "bass"

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return _Run()


class OfHorns(OfBass):
    stem = "horns"


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, np.ndarray]:
    """The stems that `antiphon run stems` writes of a song, in one channel, and the song."""
    sound = song(tmp_path / "song.wav")
    command("run", "stems", tmp_path / "song.wav", "--out-dir", tmp_path / "D")
    return {"song": sound.mean(1), **{name: read(tmp_path / f"D/{name}.wav").mean(1) for name in STEMS}}


def test_the_library_has_the_levels_of_the_stems(tmp_path: Path, parts: dict[str, np.ndarray]) -> None:
    text = command("library", "--root", tmp_path, "analyse", tmp_path / "song.wav", "--only", "stems", "--json")
    found = json.loads(text)
    for name in STEMS:
        below = 10 * np.log10(np.mean(parts[name] ** 2) / np.mean(parts["song"] ** 2))
        assert found[name] == pytest.approx(below, abs=0.01)


def test_an_analysis_is_given_the_stem_it_asks_for(
    tmp_path: Path, parts: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**analyses(), "bassy": OfBass(), "horned": OfHorns()}
    monkeypatch.setattr(registered, "analyses", lambda: known)
    path = bytes(tmp_path / "song.wav")
    found = analyse_file(path, ["bassy", "loudness"])
    assert found["bassy"][1]["energy"] == pytest.approx(float((parts["bass"].astype(np.float64) ** 2).sum()), rel=1e-3)
    assert found["loudness"] == analyse_file(path, ["loudness"])["loudness"]
    refused = analyse_file(path, ["horned", "loudness"])
    assert "no stem 'horns'" in refused["horned"][2]
    assert refused["loudness"] == found["loudness"]
