"""Chords, keys and tempi measured on one's own sounds."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.api import UsageError
from antiphon.api.backends.files import AudioWriter
from antiphon_models.learning.evaluation import EvaluationRequest
from antiphon_models.listen import own_files
from antiphon_models.listen.evaluation import MusicEstimate
from antiphon_models.listen.own_files import Chords, Keys, Tempi

FOUND = MusicEstimate(tempo=60.0, key="A minor", chords=[(0.0, 1.0, "C:maj"), (1.0, 2.0, "N")])


@pytest.mark.parametrize(
    ("evaluation", "suffix", "truth", "figures"),
    [
        (Chords(), ".lab", "0 1 C:maj\n1 2 F:maj\n", {"majmin": 0.5, "sevenths": 0.5, "mirex": 0.5, "no chord": 0.5}),
        (Keys(), ".key", "C major", {"key": 0.0, "key or relative": 1.0, "key, weighted": 0.3, "shown": 1.0}),
        (Tempi(), ".bpm", "120.0", {"tempo": 0.0, "half or double": 1.0}),
    ],
)
def test_sounds_with_their_truth_beside_them_are_measured(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    evaluation: Chords | Keys | Tempi,
    suffix: str,
    truth: str,
    figures: dict[str, float],
) -> None:
    pytest.importorskip("mir_eval")
    for name in ("a", "b"):
        with AudioWriter(tmp_path / f"{name}.wav", 8000, 1, "PCM_16") as writer:
            writer.write(np.zeros((1, 16000), np.float32))
    (tmp_path / f"a{suffix}").write_text(truth)
    (found,) = evaluation.files_in(tmp_path)
    assert found.name == "a.wav"
    monkeypatch.setattr(own_files, "SYSTEMS", {system.name: lambda _: FOUND for system in evaluation.systems})
    ask = EvaluationRequest(tmp_path, tmp_path, files=(found,), systems=("listen",))
    assert {score.measure: score.value for score in evaluation.scores(ask)} == pytest.approx(figures)
    (tmp_path / f"a{suffix}").write_text("?")
    with pytest.raises(UsageError, match=f"a{suffix} cannot be read"):
        list(evaluation.scores(ask))
