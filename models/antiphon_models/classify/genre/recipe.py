"""Training of the classifier `genre`; temperature and threshold are calibrated on clips of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from antiphon.api import F32
from antiphon_classify.rhythm import FRAMES, features
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.genre.calibration import Calibration, JoinedCalibration, calibrate, joined_calibration
from antiphon_models.classify.genre.material import LABELS, fitting, material
from antiphon_models.classify.genre.network import TrainedRhythmNetwork
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob

SMOOTHING = 0.05
"""Of the labels, which keeps confidences low enough to be calibrated."""
SIZE, PLAYED = 160, 24
"""Excerpts of a batch, and of them those at least that were played."""


class GenreRecipe(Recipe):
    """Twelve genres and what is no song."""

    name = "genre"
    weights = "classify-genre"
    plugin = "classify"
    trained_on = (
        "songs composed by rules, played by FluidR3_GM and FreePats, and sketched from their notes and computed "
        "instruments; espeak-ng voices, babble, noise; temperature and threshold chosen on OPL-3 FM"
    )
    steps = 6000
    rate = 1.5e-3
    _calibration: Calibration

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        fit = fitting(job.material, job.seed, job.say)
        self._found, self._targets, self._played = fit.rhythm, fit.targets, fit.played
        choose = material(job.material, "choose", job.seed, job.say)
        self._choose, self._chosen = clip_features(choose.known), choose.known.targets.astype(np.int64)
        self._strange = clip_features(choose.strange)
        self._whole, self._songs = song_features(choose.known_whole), choose.known_whole.targets.astype(np.int64)

    def network(self) -> torch.nn.Module:
        some = self._found[:: max(1, len(self._found) // 8000)].astype(np.float32)
        deviation = some.std(axis=0) + np.float32(1e-3)
        return TrainedRhythmNetwork(some.mean(axis=0), deviation, len(LABELS))

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = rng.integers(len(self._found), size=SIZE)
        rows[:PLAYED] = rng.integers(self._played, size=PLAYED)
        found, targets = self._found[rows].astype(np.float32), self._targets[rows]
        return torch.from_numpy(found).to(self._job.device), torch.from_numpy(targets).to(self._job.device)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        found, targets = batch
        return functional.cross_entropy(network(found), targets, label_smoothing=SMOOTHING), {}

    def validate(self, network: torch.nn.Module) -> Figures:
        known, strange = (
            network(torch.from_numpy(each).to(self._job.device)).cpu().numpy() for each in (self._choose, self._strange)
        )
        every = torch.from_numpy(self._whole.reshape(-1, self._whole.shape[-1])).to(self._job.device)
        whole = network(every).cpu().numpy().reshape(*self._whole.shape[:2], -1)
        self._calibration = calibrate(known, self._chosen, strange, len(LABELS) - 1)
        self._joined = joined_calibration(self._calibration, whole, self._songs, len(LABELS) - 1)
        return {
            "accuracy": float((known.argmax(axis=1) == self._chosen).mean()),
            "songs": float((whole.mean(axis=1).argmax(axis=1) == self._songs).mean()),
            "ece": self._calibration.error,
            "strangers": self._calibration.refused,
        }

    def said(self) -> Mapping[str, Any]:
        found: JoinedCalibration = self._joined
        return {
            **super().said(),
            "labels": list(LABELS),
            "unknown": "other",
            "temperatures": [round(each, 4) for each in found.temperatures],
            "thresholds": [round(each, 4) for each in found.thresholds],
        }

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        assert isinstance(network, TrainedRhythmNetwork)
        return network.arrays()


def clip_features(clips: LabeledClips) -> F32:
    """Features of the beginning of each clip: float32 `[clips, features]`."""
    mel = clips.mel[:, :FRAMES]
    return np.concatenate([features(mel[n : n + 64].astype(np.float32)) for n in range(0, len(clips), 64)])


def song_features(clips: LabeledClips) -> F32:
    """Features of the excerpts that follow each other in each song: float32 `[songs, excerpts, features]`."""
    count = clips.mel.shape[1] // FRAMES
    every = (mel[: count * FRAMES].reshape(count, FRAMES, -1).astype(np.float32) for mel in clips.mel)
    return np.stack([features(mel) for mel in every])
