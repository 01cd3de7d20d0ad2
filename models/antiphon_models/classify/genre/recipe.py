"""The training of `genre`: a network over features, and from the clips that choose its temperature and threshold."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from antiphon_classify.rhythm import FRAMES, features
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.genre.calibration import Calibration, calibrated
from antiphon_models.classify.genre.material import LABELS, material
from antiphon_models.classify.genre.network import TrainedRhythmNetwork
from antiphon_models.classify.genre.others import computed_others
from antiphon_models.classify.genre.sketches import sketched
from antiphon_models.classify.recipe import SMOOTHING
from antiphon_models.learning.recipe import Batch, Recipe, TrainingJob
from antiphon_models.material.composer.genres import GENRES

F32 = NDArray[np.float32]
RENDERED, SKETCHED, OTHERS = 48, 80, 12
"""Excerpts of a batch: sound, spectrograms added up from notes, and what is no song."""
OTHER_SOUNDS = 720
SKETCHES = 400
"""Songs of each genre that are sketched."""


class GenreRecipe(Recipe):
    """Twelve genres and what is no song."""

    name: ClassVar[str] = "genre"
    weights: ClassVar[str] = "classify-genre"
    plugin: ClassVar[str] = "classify"
    steps: ClassVar[int] = 1000
    rate: ClassVar[float] = 1.5e-3

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        fit, _ = material(job.material, "fit", job.seed, job.say)
        choose, strangers = material(job.material, "choose", job.seed, job.say)
        self._rendered, self._targets = clip_features(fit), fit.targets.astype(np.int64)
        self._choose, self._chosen = clip_features(choose), choose.targets.astype(np.int64)
        self._strange = clip_features(strangers)
        self._others = _saved(job, "others", lambda: computed_others(OTHER_SOUNDS))
        parts = [
            _saved(job, f"sketches-{n}", lambda rules=rules, n=n: sketched(rules, n, SKETCHES))  # type: ignore[misc]
            for n, rules in enumerate(GENRES)
        ]
        self._sketched = np.concatenate(parts)
        self._drawn = np.repeat(np.arange(len(GENRES)), [len(part) for part in parts])

    def network(self) -> torch.nn.Module:
        every = np.concatenate([self._rendered, self._sketched])
        deviation = every.std(axis=0) + np.float32(1e-3)
        return TrainedRhythmNetwork(every.mean(axis=0), deviation, len(LABELS))

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rendered = rng.integers(len(self._rendered), size=RENDERED)
        drawn = rng.integers(len(self._sketched), size=SKETCHED)
        others = rng.integers(len(self._others), size=OTHERS)
        found = np.concatenate([self._rendered[rendered], self._sketched[drawn], self._others[others]])
        targets = np.concatenate([self._targets[rendered], self._drawn[drawn], np.full(OTHERS, len(LABELS) - 1)])
        return torch.from_numpy(found).to(self._job.device), torch.from_numpy(targets).to(self._job.device)

    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]:
        found, targets = batch
        return functional.cross_entropy(network(found), targets, label_smoothing=SMOOTHING), {}

    def validate(self, network: torch.nn.Module) -> Mapping[str, float]:
        known, strange = (
            network(torch.from_numpy(each).to(self._job.device)).cpu().numpy() for each in (self._choose, self._strange)
        )
        self._calibration = calibrated(known, self._chosen, strange, len(LABELS) - 1)
        accuracy = float((known.argmax(axis=1) == self._chosen).mean())
        return {"accuracy": accuracy, "ece": self._calibration.error, "strangers": self._calibration.refused}

    def said(self) -> Mapping[str, Any]:
        found: Calibration = self._calibration
        return {
            "licence": "MIT",
            "trained_on": "songs composed by rules, played by FluidR3_GM and computed instruments, or sketched; "
            "espeak-ng voices, noise; temperature and threshold chosen on OPL-3 FM and computed instruments",
            "card": "plugins/antiphon_classify/README.md",
            "labels": list(LABELS),
            "unknown": "other",
            "temperature": round(found.temperature, 4),
            "threshold": round(found.threshold, 4),
        }

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        assert isinstance(network, TrainedRhythmNetwork)
        return network.arrays()


def clip_features(clips: LabeledClips) -> F32:
    """Of the beginning of each clip: float32 `[clips, features]`."""
    mel = clips.mel[:, :FRAMES]
    return np.concatenate([features(mel[n : n + 64].astype(np.float32)) for n in range(0, len(clips), 64)])


def _saved(job: TrainingJob, name: str, made: Callable[[], F32]) -> F32:
    """Features from their file, which is made where there is none."""
    path = job.material / f"{name}.npz"
    if not path.is_file():
        part = path.with_suffix(".part.npz")
        np.savez(part, x=made().astype(np.float16))
        os.replace(part, path)
        job.say(f"{path.name} is complete")
    with np.load(path, allow_pickle=False) as file:
        return np.asarray(file["x"], np.float32)
