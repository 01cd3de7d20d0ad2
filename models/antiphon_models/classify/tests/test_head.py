"""The last two layers of `instruments`, trained alone, fit the convolutions that are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon.api.models import manifest_entry, read_weights, write_weights
from antiphon_classify.classifier import EXCERPT, MEL
from antiphon_classify.network import ClassifierNetwork
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.instruments import head
from antiphon_models.classify.instruments.families import LABELS
from antiphon_models.classify.instruments.recipe import InstrumentsRecipe
from antiphon_models.classify.network import TrainedClassifier
from antiphon_models.learning.recipe import TrainingJob

FRAMES = EXCERPT + 30


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> head.InstrumentsHeadRecipe:
    """Prepared on noise, and on weights drawn at random in `tmp_path`."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    arrays = TrainedClassifier(len(LABELS)).arrays()
    write_weights("classify-instruments", arrays, tmp_path, {"labels": list(LABELS)})
    truth = np.repeat(np.eye(len(LABELS), dtype=np.float32), 2, axis=0)
    mel = rng.normal(-40.0, 9.0, (len(truth), FRAMES, MEL.bands)).astype(np.float16)
    noise = LabeledClips(mel, truth, np.arange(len(truth)) % 2)

    def material(self: InstrumentsRecipe, job: TrainingJob) -> tuple[LabeledClips, LabeledClips]:
        self._mixes = noise
        self._rows = {label: np.flatnonzero(truth[:, n]) for n, label in enumerate(LABELS)}
        self._rows["none"] = np.zeros(0, np.int64)
        return noise, noise

    monkeypatch.setattr(InstrumentsRecipe, "material", material)
    monkeypatch.setattr(head, "BATCHES", 2)
    monkeypatch.setattr(head, "read_weights", lambda name: read_weights(name, tmp_path))
    monkeypatch.setattr(head, "manifest_entry", lambda name: manifest_entry(name, tmp_path))
    made = head.InstrumentsHeadRecipe()
    made.prepare(TrainingJob(tmp_path, tmp_path, 1, torch.device("cpu"), lambda line: None))
    return made


def test_convolutions_stay_and_the_whole_gives_what_the_head_gave(recipe: head.InstrumentsHeadRecipe) -> None:
    network = recipe.network().eval()
    with torch.inference_mode():
        chosen = recipe.answers(network, recipe.valid)
        arrays = recipe.arrays(network)
        recipe.validate(network)
    played = ClassifierNetwork(arrays, "a test's")
    for row in (0, 7):
        mel = recipe.valid.mel[row].astype(np.float32)
        logits = played.logits(np.stack([mel[:EXCERPT], mel[-EXCERPT:]])).mean(axis=0)
        assert np.allclose(logits, chosen[row], atol=1e-3)
    assert arrays["hidden.bias"].shape == (recipe.units,)
    assert len(str(recipe.said()["began_with"])) == 64


def test_batches_of_features_repeat_and_are_of_whole_excerpts(
    recipe: head.InstrumentsHeadRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, targets = recipe.batch(2)
    assert features.shape == (head.ROWS, 512)
    assert targets.shape == (head.ROWS, len(LABELS))
    assert torch.equal(features, recipe.batch(2)[0])
    assert not torch.equal(features, recipe.batch(3)[0])
    assert InstrumentsRecipe.batch(recipe, 0)[0].shape[1] == EXCERPT
    loss, _ = recipe.loss(recipe.network(), (features, targets))
    assert float(loss.detach()) > 0.0
    # the features are made once
    monkeypatch.setattr(InstrumentsRecipe, "batch", None)
    recipe.prepare(recipe.job)
