"""MagnaTagATune, where the user has it: a logistic regression on frozen vectors, as MARBLE measures representations.

MARBLE (Yuan et al., NeurIPS 2023): the 50 most frequent tags, folders 0 to b to fit, c to choose, d to f to measure;
macro ROC-AUC and average precision. The network of the tags is not trained further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, AntiphonError, UsageError
from antiphon_models.classify.mfcc import fit_logistic
from antiphon_models.classify.tags.measures import roc_auc
from antiphon_models.datasets.layouts.tagged import magnatagatune
from antiphon_models.datasets.records import TEST, TRAIN, VALID, Item
from antiphon_models.learning.evaluation import EvaluationRequest, MetricValue
from antiphon_models.learning.measures import average_precision
from antiphon_models.learning.user_commands import analysis_of_file

TOP = 50
GROUP = "MagnaTagATune"
DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Of the regression's weights, chosen by average precision on the choose-set."""
QUANTITIES = {"timbre": "embedding", "tags": "tag_embedding"}
"""By analysis the vector that the regression takes."""
_LIST = "annotations_final.csv"


def is_there(data: Path) -> bool:
    """Whether a folder is, or holds, MagnaTagATune in the layout of its authors."""
    return any((folder / _LIST).is_file() for folder in _folders(data))


def scores(ask: EvaluationRequest) -> Iterator[MetricValue]:
    """Figures of each tag.

    Raises:
        UsageError: No clip of a split can be read.
    """
    root = next(folder for folder in _folders(ask.data) if (folder / _LIST).is_file())
    items = [item for item in magnatagatune(root).items if not item.fault]
    top = [tag for tag, _ in Counter(tag for item in items for tag in item.labels).most_common(TOP)]
    parts = {split: _part(root, [i for i in items if i.split == split], top, ask) for split in (TRAIN, VALID, TEST)}
    truth = parts[TEST][1] > 0.5
    found: dict[str, NDArray[np.floating]] = {"shares": np.zeros(truth.shape)}
    for system in ("timbre", "tags"):
        if ask.wants(system):
            found[system] = _regression(parts, system)
    for n, tag in enumerate(top):
        if 0 < truth[:, n].sum() < len(truth):
            for system, table in found.items():
                if ask.wants(system):
                    yield MetricValue(system, "ROC-AUC", tag, roc_auc(table[:, n], truth[:, n]), GROUP)
                    yield MetricValue(system, "PR-AUC", tag, average_precision(table[:, n], truth[:, n]), GROUP)


def _regression(parts: dict[str, tuple[dict[str, F32], F32]], system: str) -> F32:
    """Of the decays the one whose average precision on the choose-set is best."""
    lines = [fit_logistic(parts[TRAIN][0][system], parts[TRAIN][1], decay) for decay in DECAYS]
    truth = parts[VALID][1] > 0.5
    means = [
        np.mean([average_precision(line.logits(parts[VALID][0][system])[:, n], row) for n, row in enumerate(truth.T)])
        for line in lines
    ]
    return lines[int(np.argmax(means))].logits(parts[TEST][0][system])


def _part(root: Path, items: list[Item], top: list[str], ask: EvaluationRequest) -> tuple[dict[str, F32], F32]:
    """The vectors of the clips that can be read, by system, and their tags `[clips, tags]`."""
    rows: dict[str, list[F32]] = {name: [] for name in QUANTITIES}
    tags, lost = [], 0
    for item in items if ask.limit is None else items[: ask.limit]:
        try:
            shown = analysis_of_file(root / item.files[0], *QUANTITIES)
            vectors = {name: shown[key] for name, key in QUANTITIES.items()}
        except AntiphonError:
            vectors = {"timbre": None}
        if any(vector is None for vector in vectors.values()):
            lost += 1
            continue
        for name, vector in vectors.items():
            rows[name].append(np.asarray(vector, np.float32))
        tags.append([float(tag in item.labels) for tag in top])
    if lost:
        ask.say(f"{lost} clips cannot be read, or are silent: left out")
    if not tags:
        raise UsageError(f"{root} holds no clips of one of the splits; folders 0 to b, c, and d to f belong to it")
    return {name: np.stack(row) for name, row in rows.items()}, np.array(tags, np.float32)


def _folders(data: Path) -> tuple[Path, ...]:
    return (data, data / "magnatagatune")
