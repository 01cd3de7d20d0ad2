"""The step evaluate: every classifier on the test split, by the runtime that plays it, in one table."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.classifier_file import MODEL
from antiphon.contract.classifier_session import ClassifierFile
from antiphon.datasets.records import TEST, TRAIN
from antiphon.errors import FileError
from antiphon.pipeline.training.excerpts import TrainingSet
from antiphon.pipeline.training.frameworks import Framework
from antiphon.pipeline.training.learning import LearningJob, average, is_trained
from antiphon.runtime.paths import write_atomic

FILE = "evaluation.json"
MAJORITY = "majority"
"""The row of what always answers with the label that most training sounds have."""
TIMED = 50
"""Runs of one excerpt, whose median is stated."""


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One classifier on the test split.

    Attributes:
        framework: Its name, or `MAJORITY`.
        accuracy: Of sounds, whose excerpts are averaged.
        standard_error: Of the accuracy, binomial.
        macro_f1: Mean over the labels; 0 for one that is never given and never true.
        n: Sounds.
        training_seconds: Of its training.
        kilobytes: Of its graph.
        milliseconds: For one excerpt, by onnxruntime on one thread, the median.
        digest: Of its graph.
    """

    framework: str
    accuracy: float
    standard_error: float
    macro_f1: float
    n: int
    training_seconds: float = 0.0
    kilobytes: float = 0.0
    milliseconds: float = 0.0
    digest: str = ""


def evaluate(job: LearningJob, frameworks: Sequence[Framework], training: TrainingSet) -> list[EvaluationRow]:
    """Measures the classifiers that are there, and writes the table.

    Args:
        job: The training that they are from.
        frameworks: Those to measure; one without a classifier of this training is left out.
        training: The sounds.

    Returns:
        The majority first, then the classifiers.

    Raises:
        FileError: There is no classifier or no sound to test with, or a classifier does not play.
    """
    sounds = training.split(TEST)
    if not sounds:
        raise FileError(f"{job.out} has no sound in its test split; see `antiphon dataset check`")
    there = [framework for framework in frameworks if is_trained(job, framework)]
    if not there:
        raise FileError(f"{job.out} has no classifier of these settings and shards: run the step train first")
    truth = np.array([sound.label for sound in sounds])
    counts = np.bincount([sound.label for sound in training.split(TRAIN)], minlength=len(training.labels))
    rows = [score(MAJORITY, np.full(len(truth), counts.argmax()), truth, len(training.labels))]
    for framework in there:
        classifier = ClassifierFile(job.folder(framework))
        answers = average(training, sounds, job.frames, classifier.probabilities)
        about = classifier.details.about
        rows.append(
            score(
                framework.name, answers.argmax(axis=1), truth, len(training.labels),
                training_seconds=float(about["training_seconds"]),
                kilobytes=round((classifier.folder / MODEL).stat().st_size / 1000, 1),
                milliseconds=_milliseconds(classifier, training, job.frames), digest=classifier.details.digest,
            )
        )  # fmt: skip
    whole = {"name": job.name, "labels": training.labels, "shards": training.shards, "seed": job.settings.seed,
             "split": TEST, "rows": [asdict(row) for row in rows]}  # fmt: skip
    write_atomic(job.out / FILE, (json.dumps(whole, indent=1) + "\n").encode())
    return rows


def score(
    framework: str, answers: NDArray[np.int64], truth: NDArray[np.int64], labels: int, *, training_seconds: float = 0.0,
    kilobytes: float = 0.0, milliseconds: float = 0.0, digest: str = "",
) -> EvaluationRow:  # fmt: skip
    """The row of given answers: `answers` and `truth` are numbers of labels, `[n]`."""
    accuracy = float((answers == truth).mean())
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(truth)))
    f1 = []
    for label in range(labels):
        right = int(((answers == label) & (truth == label)).sum())
        named = int((answers == label).sum() + (truth == label).sum())
        f1.append(2 * right / named if named else 0.0)
    return EvaluationRow(
        framework, accuracy, error, float(np.mean(f1)), len(truth), training_seconds, kilobytes, milliseconds, digest
    )


def table(rows: Sequence[EvaluationRow]) -> str:
    """The rows for a terminal."""
    head = f"{'':10}{'accuracy':>17}{'macro-F1':>10}{'n':>7}{'training s':>12}{'kB':>9}{'ms/excerpt':>12}"
    lines = [
        f"{row.framework:10}{row.accuracy:>9.3f} ± {row.standard_error:.3f}{row.macro_f1:>10.3f}{row.n:>7}"
        + (f"{row.training_seconds:>12.2f}{row.kilobytes:>9.1f}{row.milliseconds:>12.2f}" if row.digest else "")
        for row in rows
    ]
    return "\n".join([head, *lines])


def read_table(out: Path) -> list[EvaluationRow]:
    """The table that `evaluate` wrote; `FileError` where there is none."""
    path = out / FILE
    try:
        return [EvaluationRow(**row) for row in json.loads(path.read_bytes())["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} cannot be read: run the step evaluate ({error})") from None


def _milliseconds(classifier: ClassifierFile, training: TrainingSet, frames: int) -> float:
    excerpt = training.excerpt(training.sounds[0], 0, frames)[None]
    times = []
    for _ in range(TIMED):
        began = time.perf_counter()
        classifier.probabilities(excerpt)
        times.append(time.perf_counter() - began)
    return round(1000 * float(np.median(times)), 3)
