"""The classifiers' network in numpy gives what it gives in torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon_classify.network import ClassifierNetwork, level_free
from antiphon_models.classify.network import TrainedClassifier


@pytest.mark.parametrize("frames", [128, 131])
def test_numpy_plays_what_torch_trained(frames: int) -> None:
    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    trained = TrainedClassifier(7).train()
    mel = rng.normal(-40.0, 12.0, (20, frames, 64)).astype(np.float32)
    trained.standardise(level_free(mel))
    for _ in range(3):  # normalisations that are not those of the beginning
        trained(torch.from_numpy(level_free(rng.normal(-30.0, 9.0, mel.shape).astype(np.float32))))
    with torch.inference_mode():
        theirs = trained.eval()(torch.from_numpy(level_free(mel))).numpy()
    ours = ClassifierNetwork(trained.arrays(), "a test's").logits(mel)
    assert np.abs(theirs).max() > 0.01
    assert np.abs(ours - theirs).max() < 1e-4


def test_a_softer_sound_is_the_same() -> None:
    torch.manual_seed(4)
    network = ClassifierNetwork(TrainedClassifier(5).arrays(), "a test's")
    mel = np.random.default_rng(4).normal(-40.0, 12.0, (2, 128, 64)).astype(np.float32)
    assert np.abs(network.logits(mel) - network.logits(mel - 20.0)).max() < 1e-4


def test_a_wider_network_begins_with_what_a_narrower_one_gives() -> None:
    torch.manual_seed(5)
    rng = np.random.default_rng(5)
    mel = level_free(rng.normal(-40.0, 12.0, (24, 64, 64)).astype(np.float32))
    narrow = TrainedClassifier(5, (4, 6, 8), 12).train()
    narrow.standardise(mel)
    for _ in range(3):
        narrow(torch.from_numpy(level_free(rng.normal(-30.0, 9.0, mel.shape).astype(np.float32))))
    narrow.eval()
    wide = TrainedClassifier(5, (6, 6, 16), 20)
    wide.begin_with(narrow.arrays(), mel)
    with torch.inference_mode():
        theirs, ours = narrow(torch.from_numpy(mel)), wide.eval()(torch.from_numpy(mel))
    assert float((ours - theirs).abs().max()) < 1e-4
    # what is new learns: it has a gradient
    wide.train()
    wide(torch.from_numpy(mel)).square().sum().backward()
    assert float(wide.labels.weight.grad[:, 12:].abs().max()) > 0.0
    assert float(wide.hidden.weight.grad[:12].view(12, 2, 16, 8)[:, :, 8:].abs().max()) > 0.0
    with pytest.raises(RuntimeError):
        narrow.begin_with(wide.arrays(), mel)
