"""Trains each framework in a process of its own, one after another."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.kernel.errors import FileError
from antiphon_models.pipeline.apart import ParentLink, run_apart
from antiphon_models.pipeline.frameworks import FRAMEWORKS, Framework
from antiphon_models.pipeline.training.checkpoint import EpochFigures
from antiphon_models.pipeline.training.excerpts import read_set
from antiphon_models.pipeline.training.learning import LearningJob, learn

LOG = "train.log"
"""What frameworks print."""


def learn_apart(job: LearningJob, framework: Framework, watch: Callable[[int, EpochFigures], None]) -> None:
    """Trains a framework, and returns when its classifier is written.

    Raises:
        FileError: It has failed.
    """
    run_apart(_learn, (job, framework.name), job.out / LOG, f"trains {framework.name}", watch)


def _learn(link: ParentLink, job: LearningJob, name: str) -> None:
    training = read_set(job.out)
    if training is None:
        raise FileError(f"{job.out} has no training set; run the step train again")
    if job.fold >= 0:
        training = training.fold(job.fold, job.settings.folds)
    learn(job, FRAMEWORKS[name], training, link.send)
