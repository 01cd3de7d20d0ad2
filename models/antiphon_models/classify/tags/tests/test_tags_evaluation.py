"""`antiphon evaluate tags` on a folder laid out as MagnaTagATune, and what it asks for where nothing is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
soundfile = pytest.importorskip("soundfile")

from antiphon.api import UsageError
from antiphon_classify.classifier import MEL
from antiphon_models.classify.tags import material
from antiphon_models.classify.tags.evaluation import TagsEvaluation
from antiphon_models.learning.evaluation import EvaluationRequest


def magnatagatune(root: Path) -> None:
    """Noise and low tones in folders of all three splits, each with its tag; a clip that is no sound."""
    rng, lines = np.random.default_rng(1), ["clip_id\tnoisy\tlow\tmp3_path"]
    time = np.arange(round(3.2 * MEL.rate)) / MEL.rate
    for place, folder in enumerate("0011ccddef"):
        noisy = place % 2
        sound = rng.normal(0.0, 0.1, len(time))
        if not noisy:
            sound = 0.01 * sound + 0.2 * np.sin(2 * np.pi * (90 + 9 * place) * time)
        (root / folder).mkdir(parents=True, exist_ok=True)
        soundfile.write(root / folder / f"{place}.wav", sound, MEL.rate)
        lines.append(f"{place}\t{noisy}\t{1 - noisy}\t{folder}/{place}.wav")
    (root / "0" / "bad.wav").write_bytes(b"no sound")
    lines.append("99\t1\t0\t0/bad.wav")
    (root / "annotations_final.csv").write_text("\n".join(lines) + "\n")


def test_tags_of_a_data_set_are_learned_from_the_vector(tmp_path: Path) -> None:
    magnatagatune(tmp_path / "magnatagatune")
    said: list[str] = []
    ask = EvaluationRequest(tmp_path, tmp_path / "work", say=said.append)
    found = {(s.system, s.measure, s.item): s.value for s in TagsEvaluation().scores(ask)}
    assert {system for system, _, _ in found} == {"shares", "timbre", "tags"}
    assert found["tags", "ROC-AUC", "noisy"] == 1.0
    assert found["tags", "PR-AUC", "low"] == 1.0
    assert found["shares", "ROC-AUC", "low"] == 0.5
    assert said == ["1 clips cannot be read, or are silent: left out"]


def test_a_data_set_without_one_of_its_splits_is_refused(tmp_path: Path) -> None:
    magnatagatune(tmp_path)
    table = tmp_path / "annotations_final.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(line for line in lines if "\t0/1." in line)]))
    with pytest.raises(UsageError, match="folders 0 to b, c, and d to f"):
        list(TagsEvaluation().scores(EvaluationRequest(tmp_path, tmp_path / "work")))


def test_a_missing_soundfont_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pop909", "esc10"):
        (tmp_path / name).mkdir()
    monkeypatch.setitem(material.FONTS, "measure", (tmp_path / "absent.sf2",))
    with pytest.raises(UsageError, match=r"(absent\.sf2|fluidsynth) is missing; sudo apt-get install"):
        material.make_clips(material.SceneFolders(tmp_path, tmp_path, 1, print), "measure", 40)
    with pytest.raises(UsageError, match="which would hold pop909/"):
        material.make_clips(material.SceneFolders(tmp_path / "none", tmp_path, 1, print), "measure", 40)
