"""The training that `instruments` and `tags` share: random excerpts of clips, covered in part, of many labels."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.api.backends.models import ModelError, read_weights
from antiphon_classify.classifier import EXCERPT
from antiphon_classify.network import level_free
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.network import BANDS, CHANNELS, UNITS, TrainedClassifier
from antiphon_models.learning.measures import average_precision
from antiphon_models.learning.recipe import Batch, Figures, Recipe, TrainingJob

COVERED = (24, 12)
"""Most frames and most bands that are covered in an excerpt (SpecAugment, Park et al. 2019)."""


class ClassifierRecipe(Recipe):
    """What a classifier's recipe adds is its material and what is said of it.

    `labels`: their names, in the network's order. `size`: excerpts of a batch.
    """

    plugin = "classify"
    labels: ClassVar[tuple[str, ...]]
    size: ClassVar[int] = 32
    channels: ClassVar[tuple[int, ...]] = CHANNELS
    units: ClassVar[int] = UNITS

    def __init__(self) -> None:
        self._standard = np.zeros((1, EXCERPT, BANDS), np.float32)

    @abstractmethod
    def material(self, job: TrainingJob) -> tuple[LabeledClips, LabeledClips]:
        """Generates the missing clips in `job.material` from `job.seed`, and reads them: to train on, to choose on."""

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        self.train, self.valid = self.material(job)
        rng = np.random.default_rng(job.seed)
        some = rng.choice(len(self.train), min(512, len(self.train)), replace=False)
        self._standard = _excerpts(self.train, np.sort(some), rng)

    def network(self) -> torch.nn.Module:
        made = TrainedClassifier(len(self.labels), self.channels, self.units)
        made.standardise(self._standard)
        return made

    def network_of(self, folder: Path) -> torch.nn.Module:
        """As `Recipe.network_of`; the weights may be those of a narrower network."""
        made = self.network()
        assert isinstance(made, TrainedClassifier)
        try:
            made.begin_with(read_weights(self.weights, folder), self._standard)
        except (KeyError, RuntimeError) as error:
            raise ModelError(f"the weights {self.weights} are of a wider network, or of another: {error}") from None
        return made

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self.job.seed, step))
        rows = rng.integers(len(self.train), size=self.size)
        excerpts = _excerpts(self.train, rows, rng)
        for excerpt in excerpts:
            mask(excerpt, rng)
        device = self.job.device
        return torch.from_numpy(excerpts).to(device), torch.from_numpy(self.train.targets[rows]).to(device)

    def validate(self, network: torch.nn.Module) -> Figures:
        """Mean average precision of clips, whose excerpts are joined."""
        logits, targets = self.answers(network, self.valid), self.valid.targets
        known = [n for n in range(len(self.labels)) if 0 < (targets[:, n] > 0.5).sum() < len(targets)]
        return {"map": float(np.mean([average_precision(logits[:, n], targets[:, n] > 0.5) for n in known]))}

    def answers(self, network: torch.nn.Module, clips: LabeledClips) -> NDArray[np.float32]:
        """Logits of whole clips, `[clips, labels]`: the mean over the excerpts of each."""
        count = clips.mel.shape[1] // EXCERPT
        found = []
        for first in range(0, len(clips), 64):
            mel = clips.mel[first : first + 64, : count * EXCERPT].astype(np.float32)
            parts = level_free(mel.reshape(-1, EXCERPT, BANDS))
            logits = network(torch.from_numpy(parts).to(self.job.device)).cpu().numpy()
            found.append(logits.reshape(-1, count, logits.shape[1]).mean(axis=1))
        return np.concatenate(found)

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        assert isinstance(network, TrainedClassifier)
        return network.arrays()


def _excerpts(clips: LabeledClips, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """An excerpt of each of these clips, from anywhere in it, without its level."""
    starts = rng.integers(0, clips.mel.shape[1] - EXCERPT + 1, size=len(rows))
    parts = [clips.mel[row, start : start + EXCERPT] for row, start in zip(rows, starts, strict=True)]
    return level_free(np.stack(parts).astype(np.float32))


def mask(excerpt: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Without some frames and some bands (SpecAugment, Park et al. 2019)."""
    for axis, most in enumerate(COVERED):
        width = int(rng.integers(0, min(most, excerpt.shape[axis] // 4) + 1))
        start = int(rng.integers(0, excerpt.shape[axis] - width + 1))
        excerpt[(slice(None),) * axis + (slice(start, start + width),)] = 0.0
    return excerpt
