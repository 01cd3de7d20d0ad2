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
        (Keys(), ".key", "c maj", {"key": 0.0, "key or relative": 1.0, "key, weighted": 0.3, "shown": 1.0}),
        (Tempi(), ".bpm", "120,0", {"tempo": 0.0, "half or double": 1.0, "tempo shown": 1.0}),
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
    (tmp_path / "b.wav").write_bytes(b"")
    (tmp_path / f"b{suffix}").write_text(truth)
    said: list[str] = []
    files = (found, tmp_path / "b.wav")
    ask = EvaluationRequest(tmp_path, tmp_path, files=files, systems=("listen",), say=said.append)
    assert {score.measure: score.value for score in evaluation.scores(ask)} == pytest.approx(figures)
    assert [line.partition(":")[0] for line in said] == ["a.wav", "b.wav is left out"]
    for wrong, why in (("0", "cannot be read"), ("?", "cannot be read"), (None, "beside it")):
        if wrong is None:
            (tmp_path / f"b{suffix}").unlink()
        else:
            (tmp_path / f"b{suffix}").write_text(wrong)
        with pytest.raises(UsageError, match=f"b{suffix} {why}"):
            next(evaluation.scores(ask))  # before anything is measured


def test_a_sound_is_found_in_any_case_and_named_by_its_place_and_an_annotation_without_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mir_eval")
    (tmp_path / "sub").mkdir()
    for name in ("A.WAV", "b.wav", "sub/b.wav"):
        with AudioWriter(tmp_path / "made.wav", 8000, 1, "PCM_16") as writer:
            writer.write(np.zeros((1, 16000), np.float32))
        (tmp_path / "made.wav").rename(tmp_path / name)
    for name in ("a.key", "b.KEY", "sub/b.key", "sub/alone.key"):
        (tmp_path / name).write_text("A Minor")
    said: list[str] = []
    files = Keys().files_in(tmp_path, said.append)
    assert said == ["no sound of that name is beside sub/alone.key"]
    monkeypatch.setattr(own_files, "SYSTEMS", {system.name: lambda _: FOUND for system in Keys().systems})
    ask = EvaluationRequest(tmp_path, tmp_path, files=files, systems=("listen",))
    items = {score.item: score.value for score in Keys().scores(ask) if score.measure == "key"}
    assert items == {"A.WAV": 1.0, "b.wav": 1.0, "sub/b.wav": 1.0}


@pytest.mark.parametrize(
    ("text", "key"),
    [("C Minor", "C minor"), ("a Major", "A major"), ("Bb:Min", "A# minor"), ("c m", "C minor"), ("Eb", "D# major")],
)
def test_a_key_is_read_in_the_spellings_of_annotations(text: str, key: str) -> None:
    assert Keys().read(text).key == key
    with pytest.raises(ValueError, match="there is no key"):
        Keys().read("C M")
