"""The training of the last two layers of `instruments` alone, on what the convolutions that ship give.

The convolutions take nearly all of a step's time: without them, many more mixes pass in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from antiphon.api.models import manifest_entry, read_weights
from antiphon_classify.classifier import EXCERPT
from antiphon_classify.network import level_free
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.instruments.recipe import InstrumentsRecipe
from antiphon_models.classify.network import TrainedClassifier
from antiphon_models.learning.recipe import Batch, Loss, TrainingJob
from antiphon_models.material.sounds import save_arrays

BATCHES = 1200
"""Of `InstrumentsRecipe`, whose excerpts are trained on."""
ROWS = 128
"""Excerpts of a step."""
DROPOUT = 0.2


class ClassifierHead(nn.Module):
    """The hidden layer and the labels.

    Args:
        features: What the convolutions give.
        units: Units of the hidden layer.
        labels: How many.
    """

    def __init__(self, features: int, units: int, labels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, units)
        self.labels = nn.Linear(units, labels)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, features: Tensor) -> Tensor:
        """Logits `[…, labels]` of `[…, features]`."""
        return torch.as_tensor(self.labels(self.dropout(torch.relu(self.hidden(self.dropout(features))))))


class InstrumentsHeadRecipe(InstrumentsRecipe):
    """The weights that ship, but for their last two layers, which begin by chance."""

    name = "instruments-head"
    shares = "instruments"
    steps = 4000

    def prepare(self, job: TrainingJob) -> None:
        # excerpts of full length from the first batch on
        super().prepare(replace(job, further=True))
        self._arrays = read_weights(self.weights)
        self._before = str(manifest_entry(self.weights)["sha256"])
        path = job.material / f"features-{self._before[:12]}.npz"
        if not path.exists():
            job.say(f"features of {BATCHES} batches")
            self._write_features(path)
        with np.load(path, allow_pickle=False) as file:
            self._features, self._targets, self._chosen_on = file["features"], file["targets"], file["chosen_on"]

    def network(self) -> nn.Module:
        return ClassifierHead(self._features.shape[1], self.units, len(self.labels))

    def batch(self, step: int) -> Batch:
        rows = np.random.default_rng((self.job.seed, step)).integers(len(self._features), size=ROWS)
        device = self.job.device
        features = torch.from_numpy(self._features[rows].astype(np.float32))
        return features.to(device), torch.from_numpy(self._targets[rows]).to(device)

    def loss(self, network: nn.Module, batch: Batch) -> Loss:
        return nn.functional.binary_cross_entropy_with_logits(network(batch[0]), batch[1]), {}

    def answers(self, network: nn.Module, clips: LabeledClips) -> NDArray[np.float32]:
        """As those of the whole network; `clips` are those that are chosen on."""
        assert clips is self.valid
        features = torch.from_numpy(self._chosen_on).to(self.job.device)
        return np.asarray(network(features).mean(dim=1).cpu().numpy(), np.float32)

    def arrays(self, network: nn.Module) -> dict[str, NDArray[Any]]:
        own = {name: np.ascontiguousarray(array.cpu().numpy()) for name, array in network.state_dict().items()}
        return {**self._arrays, **own}

    def said(self) -> Mapping[str, Any]:
        return {**super().said(), "began_with": self._before}

    @torch.inference_mode()
    def _write_features(self, path: Path) -> None:
        whole = TrainedClassifier(len(self.labels), self.channels, self.units)
        whole.begin_with(self._arrays, self._standard)
        whole.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        features, targets = [], []
        for step in range(BATCHES):
            excerpts, truth = super().batch(step)
            with torch.autocast("cpu", torch.bfloat16):
                features.append(whole.features(excerpts.cpu()).half())
            targets.append(truth.cpu())
        chosen_on = [
            whole.features(torch.from_numpy(level_free(np.stack([mel[:EXCERPT], mel[-EXCERPT:]]))))
            for mel in (clip.astype(np.float32) for clip in self.valid.mel)
        ]
        found = {"features": torch.cat(features), "targets": torch.cat(targets)}
        found["chosen_on"] = torch.stack(chosen_on).float()
        save_arrays(path, **{name: tensor.numpy() for name, tensor in found.items()})
