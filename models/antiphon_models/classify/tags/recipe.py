"""`antiphon train tags`: the network of the tags, and how its answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from antiphon_classify.classifier import EXCERPT
from antiphon_classify.network import ClassifierNetwork
from antiphon_classify.tags import DEVIATION, MEAN
from antiphon_classify.tempo import TempoWords, replace
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.recipe import ClassifierRecipe
from antiphon_models.classify.tags import material, tempo
from antiphon_models.classify.tags.calibration import TagCalibration, calibrate
from antiphon_models.classify.tags.labels import LABELS
from antiphon_models.learning.measures import average_precision
from antiphon_models.learning.recipe import Batch, Figures, Loss, TrainingJob


class TagsRecipe(ClassifierRecipe):
    """Chosen by mean average precision on songs, a soundfont, voices and recordings that are not trained on."""

    name = "tags"
    weights = "classify-tags"
    trained_on = "POP909 renders (FluidR3, OPL-3), espeak-ng voices, ESC-10 folds 1-2, chosen on other ones"
    labels: ClassVar[tuple[str, ...]] = LABELS
    steps = 4000

    def material(self, job: TrainingJob) -> tuple[LabeledClips, LabeledClips]:
        where = material.SceneFolders(job.data, job.material, job.seed, job.say)
        return material.make_clips(where, "train"), material.make_clips(where, "choose")

    def prepare(self, job: TrainingJob) -> None:
        super().prepare(job)
        self._tempo = tempo.fit_arrays(self.train, self.valid)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        excerpts, targets = batch
        known = torch.isfinite(targets)
        truth = torch.where(known, targets, torch.zeros_like(targets))
        each = functional.binary_cross_entropy_with_logits(network(excerpts), truth, reduction="none")
        return (each * known).sum() / known.sum().clamp_min(1), {}

    def validate(self, network: torch.nn.Module) -> Figures:
        words = tempo.logits(TempoWords(self._tempo, self.weights), self.valid)
        logits, targets = replace(self.answers(network, self.valid), words, LABELS), np.asarray(self.valid.targets)
        self._calibration: TagCalibration = calibrate(logits, targets.astype(np.float32))
        found = []
        for n in range(len(LABELS)):
            known = np.isfinite(targets[:, n])
            truth = targets[known, n] > 0.5
            if 0 < truth.sum() < len(truth):
                found.append(average_precision(logits[known, n], truth))
        return {"map": float(np.mean(found))}

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        found = super().arrays(network)
        played = ClassifierNetwork(found, self.weights)
        excerpts = self.valid.mel[:, :EXCERPT].astype(np.float32)
        rows = played.embedding(excerpts)
        return {**found, **self._tempo, MEAN: rows.mean(axis=0), DEVIATION: rows.std(axis=0) + np.float32(1e-3)}

    def said(self) -> Mapping[str, Any]:
        read = self._calibration
        return {
            **super().said(),
            "labels": list(LABELS),
            "slope": round(read.slope, 4),
            "offsets": _digits(read.offsets),
            "thresholds": _digits(read.thresholds),
        }


def _digits(row: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 4) for value in row]
