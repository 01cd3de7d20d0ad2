"""Step evaluate: measures every classifier on the test split, with the runtime used in playing, in one table."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F64, FileError
from antiphon.api.backends.files import write_atomic
from antiphon_classify.classifier_session import MODEL, ClassifierFile
from antiphon_models.datasets.records import TEST, TRAIN, VALID
from antiphon_models.pipeline.settings import Framework
from antiphon_models.pipeline.training.excerpts import TrainingSet
from antiphon_models.pipeline.training.learning import LearningJob, average, is_trained

# ---- Confusion matrix as text and as a picture

Counts = NDArray[np.int64]
"""Confusion matrix `[labels, labels]`: rows are true labels, columns answers."""
CELL, MIN_CELL, LARGEST, MARGIN = 44, 4, 2400, 24
"""Pixels of a cell, at most and at least; maximum pixels of all cells together; pixels of the margins."""
RIGHT, WRONG = "#4e849e", "#d67642"
MAX_COLUMNS = 20
"""Maximum labels of a terminal table."""


def count(answers: NDArray[np.int64], truth: NDArray[np.int64], labels: int) -> Counts:
    """Confusion matrix of answers `[n]`, which are label indices."""
    return np.bincount(truth * labels + answers, minlength=labels * labels).reshape(labels, labels)


def text(counts: Counts, labels: Sequence[str]) -> str:
    """Confusion matrix as text, a row per true label; "" for more than `MAX_COLUMNS` labels."""
    if len(labels) > MAX_COLUMNS:
        return ""
    width = max(4, len(str(counts.max())) + 1)
    names = [label[:20] for label in labels]
    head = " " * 21 + "".join(f"{name[: width - 1]:>{width}}" for name in names)
    lines = (
        f"{name:>20} " + "".join(f"{n or '.':>{width}}" for n in row) for name, row in zip(names, counts, strict=True)
    )
    return "\n".join([head, *lines])


def picture(counts: Counts, labels: Sequence[str]) -> str:
    """Draws row shares as an SVG, true labels down and answers across: correct answers are on the diagonal."""
    size = len(labels)
    cell = max(MIN_CELL, min(CELL, LARGEST // size))
    edge = MARGIN + 7 * max(map(len, labels)) + 8
    side = edge + size * cell + MARGIN
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" font-family="sans-serif" '
        'font-size="11" text-anchor="middle">',
        f'<rect width="{side}" height="{side}" fill="white"/>',
    ]
    for row, column in np.ndindex(size, size):
        x, y = edge + column * cell, edge + row * cell
        colour = RIGHT if row == column else WRONG
        strength = 0.06 + 0.94 * shares[row, column]
        parts.append(f'<path d="M{x} {y}h{cell - 1}v{cell - 1}h{1 - cell}z" fill="{colour}" opacity="{strength:.2f}"/>')
        if counts[row, column] and cell == CELL:
            parts.append(f'<text x="{x + cell // 2}" y="{y + cell // 2 + 4}">{counts[row, column]}</text>')
    for place, label in enumerate(labels if cell >= 12 else ()):
        at = edge + place * cell + cell // 2
        parts.append(f'<text x="{edge - 8}" y="{at + 4}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<text transform="translate({at + 4} {edge - 8}) rotate(-90)" text-anchor="start">')
        parts.append(f"{escape(label)}</text>")
    return "\n".join([*parts, "</svg>", ""])


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve, in steps; tied items count together; 0 where nothing is true."""
    order = np.argsort(-scores, kind="stable")
    right, ends = np.cumsum(truth[order]), np.flatnonzero(np.diff(scores[order], append=-np.inf))
    precision = right[ends] / (ends + 1.0)
    return float((precision * np.diff(right[ends], prepend=0)).sum() / max(1, truth.sum()))


FILE = "evaluation.json"
MAJORITY = "majority"
"""Row of the majority baseline, which always answers with the labels' shares of the training sounds."""
TIMED_RUNS = 50
"""Number of timed runs of one excerpt; their median is reported."""
MAX_UNCERTAINTY = 0.1
"""Uncertainty of a share from which a test is called small."""
CERTAINTY = 1.96
"""Standard errors on each side of a 95 % confidence interval."""
BOOTSTRAP_SAMPLES = 50
"""Bootstrap samples for the error of a mean average precision."""


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """Result of one classifier on the test split.

    Attributes:
        framework: Its name, or `MAJORITY`.
        accuracy: Share of the tested sounds whose predicted label is true; with several labels, the mean of the
            labels' average precisions.
        standard_error: Standard error of `accuracy`.
        macro_f1: Mean of the labels' F1; that of a label which is never predicted and never true is 0. With several
            labels, a label is predicted if its probability is above one half.
        n: Number of sounds tested; with `folds`, those of all folds together.
        training_seconds: Duration of its training.
        folds: Number of classifiers, each tested on different sounds; 0 for the installed one alone.
        confusion: Confusion matrix, see `Counts`; empty with several labels.
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
    folds: int = 0
    confusion: tuple[tuple[int, ...], ...] = ()
    precisions: Mapping[str, float] = field(default_factory=dict)


def evaluate(job: LearningJob, frameworks: Sequence[Framework], training: TrainingSet) -> list[EvaluationRow]:
    """Measures the existing classifiers of this training, and writes the table: the majority baseline first.

    Raises `FileError`: there is no classifier or no test sound, or a classifier does not run.
    """
    training.check_test(job.out, job.settings.test)
    sounds = training.split(TEST)
    there = [framework for framework in frameworks if is_trained(job, framework)]
    if not there:
        raise FileError(f"{job.out} has no classifier of these settings and shards: run the step train first")
    truth = training.targets(sounds)
    shares = shares_of_labels(training)
    rows = [score(MAJORITY, np.tile(shares, (len(sounds), 1)), truth, training.labels)]
    for framework in there:
        classifier = ClassifierFile(job.folder(framework))
        answers = average(training, sounds, job.frames, classifier.probabilities)
        row = score(framework.name, answers, truth, training.labels)
        row = replace(
            row,
            training_seconds=float(classifier.details.about["training_seconds"]),
            kilobytes=round((classifier.folder / MODEL).stat().st_size / 1000, 1),
            milliseconds=_milliseconds(classifier, training, job.frames),
            digest=classifier.details.digest,
        )
        rows.append(row)
        if (folds := job.settings.folds) and all(is_trained(replace(job, fold=n), framework) for n in range(folds)):
            rows.append(_cross_validated_row(job, framework, training))
    whole = {
        "name": job.name,
        "labels": training.labels,
        "shards": training.shards,
        "seed": job.settings.seed,
        "split": TEST,
        "several": training.several,
        "rows": [asdict(row) for row in rows],
    }
    write_atomic(job.out / FILE, (json.dumps(whole, indent=1) + "\n").encode())
    for row in _drawn(rows):
        counts = np.array(row.confusion, np.int64)
        write_atomic(job.out / picture_name(row), picture(counts, training.labels).encode())
    return rows


def _cross_validated_row(job: LearningJob, framework: Framework, training: TrainingSet) -> EvaluationRow:
    """Cross-validated row: each sound is answered by the classifier not trained on it."""
    answers, truth = [], []
    for fold in range(job.settings.folds):
        classifier = ClassifierFile(replace(job, fold=fold).folder(framework))
        sounds = training.fold(fold, job.settings.folds).split(TEST)
        answers.append(average(training, sounds, job.frames, classifier.probabilities))
        truth.append(training.targets(sounds))
    row = score(framework.name, np.concatenate(answers), np.concatenate(truth), training.labels)
    return replace(row, folds=job.settings.folds)


def shares_of_labels(training: TrainingSet) -> F64:
    """Share of the training sounds that has each label: `[labels]`."""
    marks = np.zeros(len(training.labels))
    sounds = training.split(TRAIN)
    for sound in sounds:
        marks[list(sound.labels)] += 1
    return marks / len(sounds)


def score(framework: str, answers: F64, truth: NDArray[Any], labels: Sequence[str]) -> EvaluationRow:
    """Row for answers: probabilities `[n, labels]`; `truth` has the format of `TrainingSet.targets`."""
    if truth.ndim == 2:
        found = _precisions(answers, truth)
        rng = np.random.default_rng(len(truth))
        picks = (rng.integers(0, len(truth), len(truth)) for _ in range(BOOTSTRAP_SAMPLES))
        draws = [np.mean(list(_precisions(answers[pick], truth[pick]).values()) or [0.0]) for pick in picks]
        given, true = answers > 0.5, truth > 0.5
        named = given.sum(axis=0) + true.sum(axis=0)
        f1 = 2 * (given & true).sum(axis=0) / np.maximum(named, 1)
        mean = float(np.mean(list(found.values()) or [0.0]))
        precisions = {labels[n]: round(value, 4) for n, value in found.items()}
        return EvaluationRow(framework, mean, float(np.std(draws)), float(f1.mean()), len(truth), precisions=precisions)
    counts = count(answers.argmax(axis=1), truth, len(labels))
    accuracy = float(np.trace(counts) / counts.sum())
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(truth)))
    named = counts.sum(axis=0) + counts.sum(axis=1)
    f1 = 2 * np.diag(counts) / np.maximum(named, 1)
    table = tuple(tuple(map(int, row)) for row in counts)
    return EvaluationRow(framework, accuracy, error, float(f1.mean()), len(truth), confusion=table)


def _precisions(answers: F64, truth: NDArray[Any]) -> dict[int, float]:
    """Average precision by index of each label present."""
    there = np.flatnonzero(truth.any(axis=0))
    return {int(label): average_precision(answers[:, label], truth[:, label] > 0.5) for label in there}


def uncertainty(n: int) -> float:
    """Half width of the 95 % Wilson interval of a share of n sounds, at a share of 0.5, where it is widest."""
    z = CERTAINTY
    return z / (1 + z * z / n) * math.sqrt(0.25 / n + z * z / (4 * n * n))


def notes_of(job: LearningJob, rows: Sequence[EvaluationRow], training: TrainingSet) -> list[str]:
    """Notes on the table's reliability: the majority's label, sizes of test and validation, confusions."""
    shares = shares_of_labels(training)
    most = training.labels[int(shares.argmax())]
    sizes = ", ".join(f"{split} {len(training.split(split)):,}" for split in (TRAIN, VALID, TEST))
    notes = [
        f"the training's splits: {sizes}",
        f"majority: {most!r}, which {shares.max():.0%} of the {len(training.split(TRAIN))} training sounds have",
    ]
    enough = math.ceil(CERTAINTY**2 * 0.25 / MAX_UNCERTAINTY**2)
    folds = "the rows of all folds are surer" if job.settings.folds else "train.folds = 5 tests every sound"
    more = "" if job.settings.test else "train.test = 0.2 takes more of them, "
    for what, split, then in (
        ("test", TEST, f"{more}{folds}"),
        ("validation", VALID, "the epoch and the best framework are chosen by them"),
    ):
        n = len(training.split(split))
        if n and uncertainty(n) > MAX_UNCERTAINTY:
            by = uncertainty(n)
            small = f"the {what} is small, {n} sound{'s' * (n > 1)}: a share of them is uncertain by ± {by:.2f}"
            notes.append(f"{small}, of {enough} by ± {MAX_UNCERTAINTY:.2f}; {then}")
        elif not n:
            notes.append(f"there is no {what}: the last epoch is taken")
    for row in sorted(_drawn(rows), key=lambda row: (row.folds, row.accuracy))[-1:]:
        if table := text(np.array(row.confusion), training.labels):
            over = f" over {row.folds} folds" if row.folds else ""
            notes.append(f"{row.framework}{over}, true in rows, answered in columns:\n{table}")
    if drawn := _drawn(rows):
        notes.append(f"pictures: {', '.join(str(job.out / picture_name(row)) for row in drawn)}")
    best = max(rows, key=lambda row: (row.folds, row.accuracy))
    if best.precisions:
        by_label = sorted(best.precisions.items(), key=lambda pair: -pair[1])
        notes.append(f"{best.framework}, average precision: " + ", ".join(f"{k} {v:.2f}" for k, v in by_label))
    return notes


def picture_name(row: EvaluationRow) -> str:
    """File name of the picture of a confusion matrix."""
    return f"confusion-{row.framework}{'-folds' if row.folds else ''}.svg"


def _drawn(rows: Sequence[EvaluationRow]) -> list[EvaluationRow]:
    return [row for row in rows if row.confusion and row.framework != MAJORITY]


def table(rows: Sequence[EvaluationRow]) -> str:
    what = "mean AP" if any(row.precisions for row in rows) else "accuracy"
    head = f"{'':18}{what:>17}{'macro-F1':>10}{'n':>7}{'training s':>12}{'kB':>9}{'ms/excerpt':>12}"
    lines = [
        f"{row.framework + (f', {row.folds} folds' if row.folds else ''):18}"
        f"{row.accuracy:>9.3f} ± {row.standard_error:.3f}{row.macro_f1:>10.3f}{row.n:>7}"
        + (f"{row.training_seconds:>12.2f}{row.kilobytes:>9.1f}{row.milliseconds:>12.2f}" if row.digest else "")
        for row in rows
    ]
    return "\n".join([head, *lines])


def read_table(out: Path) -> list[EvaluationRow]:
    """Reads the table written by `evaluate`. Raises `FileError`: there is none."""
    path = out / FILE
    try:
        found = json.loads(path.read_bytes())["rows"]
        return [EvaluationRow(**{**row, "confusion": tuple(map(tuple, row["confusion"]))}) for row in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} cannot be read: run the step evaluate ({error})") from None


def _milliseconds(classifier: ClassifierFile, training: TrainingSet, frames: int) -> float:
    excerpt = training.excerpt(training.sounds[0], 0, frames)[None]
    times = []
    for _ in range(TIMED_RUNS):
        began = time.perf_counter()
        classifier.probabilities(excerpt)
        times.append(time.perf_counter() - began)
    return round(1000 * float(np.median(times)), 3)
