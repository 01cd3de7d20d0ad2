"""The training of `genre`: a network that names, and from the clips that choose its temperature and its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.genre.calibration import Calibration, calibrated
from antiphon_models.classify.genre.material import LABELS, material
from antiphon_models.classify.recipe import ClassifierRecipe
from antiphon_models.learning.recipe import TrainingJob


class GenreRecipe(ClassifierRecipe):
    """Twelve genres and what is no song."""

    name: ClassVar[str] = "genre"
    weights: ClassVar[str] = "classify-genre"
    steps: ClassVar[int] = 1500
    size: ClassVar[int] = 32
    labels: ClassVar[tuple[str, ...]] = LABELS

    def material(self, job: TrainingJob) -> tuple[LabeledClips, LabeledClips]:
        fit, _ = material(job.material, "fit", job.seed, job.say)
        choose, self._strangers = material(job.material, "choose", job.seed, job.say)
        return fit, choose

    def validate(self, network: torch.nn.Module) -> Mapping[str, float]:
        known, strange = self.answers(network, self.valid), self.answers(network, self._strangers)
        self._calibration = calibrated(known, self.valid.targets.astype(int), strange, len(LABELS) - 1)
        return {**super().validate(network), "ece": self._calibration.error, "strangers": self._calibration.refused}

    def said(self) -> Mapping[str, Any]:
        found: Calibration = self._calibration
        return {
            "licence": "MIT",
            "trained_on": "songs composed by rules, played by FluidR3_GM and computed instruments; espeak-ng voices, "
            "noise; temperature and threshold chosen on OPL-3 FM and computed instruments",
            "card": "plugins/antiphon_classify/README.md",
            "labels": list(LABELS),
            "unknown": "other",
            "temperature": round(found.temperature, 4),
            "threshold": round(found.threshold, 4),
        }
