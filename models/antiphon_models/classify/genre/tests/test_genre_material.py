"""Sketches are like the sound that they stand for; the splits share no song; the network in numpy is torch's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from antiphon_classify.classifier import MEL
from antiphon_classify.rhythm import FRAMES, RhythmNetwork, features
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.genre import field, material
from antiphon_models.classify.genre.material import LABELS, ClipPlan, plans, sounds
from antiphon_models.classify.genre.sketches import degraded_sketch, sketch
from antiphon_models.classify.genre.sources import COMPUTED, SPLITS
from antiphon_models.material.composer.computed import sound_of_song
from antiphon_models.material.composer.genres import HIP_HOP, REGGAE
from antiphon_models.material.composer.song import compose


def test_a_sketch_is_like_the_sound() -> None:
    song = compose(HIP_HOP, 3, 8.0)
    sketched, mel = sketch(song, np.random.default_rng(1)), spectrogram(sound_of_song(song, MEL.rate, 3))
    count = min(len(sketched), len(mel))
    assert np.corrcoef(sketched[:count].ravel(), mel[:count].ravel())[0, 1] > 0.8
    worse = degraded_sketch(sketched, np.random.default_rng(2))
    assert worse.shape == sketched.shape
    assert np.isfinite(features(worse[None, :FRAMES])).all()


def test_splits_share_no_source_family_and_no_song(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        material, "rendered", lambda song, source, rate, seed: np.full(21 * rate, seed % 97 / 100.0, np.float32)
    )
    measured = set(SPLITS["measure"])
    assert not measured & {source for split in ("fit", "choose") for source in SPLITS[split]}
    assert {plan.label for plan in plans("measure")} - set(LABELS) == {"tango", "march"}
    assert {plan.label for plan in plans("choose")} - set(LABELS) == {"funk", "waltz"}
    assert {plan.label for plan in plans("fit")} == set(LABELS)
    (first, *_), (second, *_) = (
        list(sounds(ClipPlan(split, COMPUTED, "reggae", REGGAE), 1, 1)) for split in ("fit", "measure")
    )
    assert first[1] != second[1]
    assert first[0].shape == second[0].shape


def test_numpy_plays_what_torch_trained() -> None:
    torch = pytest.importorskip("torch")
    from antiphon_models.classify.genre.network import TrainedRhythmNetwork

    torch.manual_seed(2)
    mel = np.random.default_rng(2).normal(-40.0, 9.0, (5, FRAMES, 64)).astype(np.float32)
    found = features(mel)
    trained = TrainedRhythmNetwork(found.mean(axis=0), found.std(axis=0) + 0.1, len(LABELS)).eval()
    with torch.inference_mode():
        theirs = trained(torch.from_numpy(found)).numpy()
    ours = RhythmNetwork(trained.arrays(), "a test's").logits(mel)
    assert np.abs(theirs).max() > 0.01
    assert np.abs(ours - theirs).max() < 1e-4


def test_gtzan_is_found_by_its_folders(tmp_path: Path) -> None:
    assert field.dataset_in(tmp_path) is None
    for genre in ("blues", "disco"):
        (tmp_path / "genres" / genre).mkdir(parents=True)
        (tmp_path / "genres" / genre / f"{genre}.00000.wav").write_bytes(b"")
    found = field.dataset_in(tmp_path)
    assert found is not None
    assert found.layout == "gtzan"
    assert found.items
    assert all(item.split == "test" and not item.fault for item in found.items)
