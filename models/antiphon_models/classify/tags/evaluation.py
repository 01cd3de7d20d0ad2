"""`antiphon evaluate tags`: the tags beside their shares and MFCC, the vector beside `timbre`, and MagnaTagATune."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api.files import make_folder
from antiphon_classify.tags import Tags, probabilities
from antiphon_classify.tempo import replace
from antiphon_listen.timbre import Timbre
from antiphon_models.classify.tags import logistic, magnatagatune, neighbours
from antiphon_models.classify.tags.calibration import calibrated
from antiphon_models.classify.tags.labels import LABELS
from antiphon_models.classify.tags.material import COUNT, SceneFolders, made
from antiphon_models.classify.tags.measures import f1, neighbour_recall, roc_auc
from antiphon_models.classify.tags.playing import clip_logits, tempo_logits, whole_values
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Measure, MetricValue, System
from antiphon_models.learning.measures import average_precision

_LEAST = 5
"""Clips that have a label, and clips that have not, for the label to be measured."""


class TagsEvaluation(Evaluation):
    """Scenes of songs, a soundfont, voices and recordings that nothing was fitted on; an item is a label."""

    systems: ClassVar[tuple[System, ...]] = (
        System("shares", "trivial"),
        System("any order", "trivial"),
        System("MFCC, logistic", "classical"),
        System("timbre", "classical"),
        System("tags", "ours"),
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("ROC-AUC"), Measure("PR-AUC"), Measure("F1"), Measure("recall@10"),
    )  # fmt: skip
    note: ClassVar[str] = (
        "ROC-AUC, PR-AUC (mean average precision), F1 at each label's threshold: mean over labels, n labels. shares: "
        "how frequent each label is. recall@10: of the sounds of one kind, how many are among the ten nearest. Scenes "
        "are made by rules from renders, synthetic voices and ESC-10: they say little of records."
    )
    card: ClassVar[str] = "antiphon_classify"
    road: ClassVar[str] = "the analysis' network on excerpts that are stored as mel spectra; files are not read"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """The labels, then the neighbours; MagnaTagATune instead where the folder holds it."""
        if magnatagatune.is_there(ask.data):
            yield from magnatagatune.scores(ask)
            return
        yield from self._labels(ask)
        for group in neighbours.KINDS:
            yield from self._neighbours(ask, group)

    def _labels(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        where = SceneFolders(ask.data, make_folder(ask.work / f"material-{ask.seed}"), ask.seed, ask.say)
        measured = made(where, "measure", ask.limit)
        targets = np.asarray(measured.targets)
        found: dict[str, NDArray[np.floating]] = {}
        stated: dict[str, NDArray[np.bool_]] = {}
        if ask.wants("tags"):
            tags = Tags()
            logits = replace(clip_logits(tags.network, measured), tempo_logits(tags.tempo, measured), LABELS)
            share = probabilities(logits, float(tags.details["slope"]), np.array(tags.details["offsets"]))
            found["tags"], stated["tags"] = share, share >= np.array(tags.details["thresholds"])
        if ask.wants("MFCC, logistic"):
            fit = made(where, "train", None if ask.limit is None else min(COUNT["train"], 4 * ask.limit))
            line = logistic.fitted(logistic.mfcc(fit.mel), np.asarray(fit.targets, np.float32))
            found["MFCC, logistic"] = line.logits(logistic.mfcc(measured.mel))
            # its thresholds are those of the best F1 on the choose-set, as the network's are
            chosen = made(where, "choose", ask.limit)
            read = calibrated(line.logits(logistic.mfcc(chosen.mel)), np.asarray(chosen.targets, np.float32))
            stated["MFCC, logistic"] = read.probabilities(line.logits(logistic.mfcc(measured.mel))) >= read.thresholds
        if ask.wants("shares"):
            found["shares"], stated["shares"] = np.zeros(targets.shape), np.ones(targets.shape, bool)
        for n, label in enumerate(LABELS):
            known = np.isfinite(targets[:, n])
            truth = targets[known, n] > 0.5
            if not _LEAST <= truth.sum() <= len(truth) - _LEAST:
                continue
            for system, table in found.items():
                scores = table[known, n]
                yield MetricValue(system, "ROC-AUC", label, roc_auc(scores, truth))
                yield MetricValue(system, "PR-AUC", label, average_precision(scores, truth))
                yield MetricValue(system, "F1", label, f1(stated[system][known, n], truth))

    def _neighbours(self, ask: EvaluationRequest, group: str) -> Iterator[MetricValue]:
        of_each = neighbours.OF_EACH if ask.limit is None else max(3, ask.limit // 50)
        sounds = list(neighbours.KINDS[group](ask.data, ask.seed, of_each))
        tags = Tags()
        pairs: list[list[Any]] = []
        for sound, _ in sounds:
            pairs.append([whole_values(Timbre(), sound)["embedding"], whole_values(tags, sound)["tag_embedding"]])
        # what is silent for an analysis has no vector: all systems are without it
        kept = [n for n, pair in enumerate(pairs) if all(vector is not None for vector in pair)]
        labels = np.array([sounds[n][1] for n in kept])
        vectors = {
            "any order": np.random.default_rng(ask.seed).normal(size=(len(kept), 20)),
            "timbre": np.array([pairs[n][0] for n in kept]),
            "tags": np.array([pairs[n][1] for n in kept]),
        }
        for system, table in vectors.items():
            if ask.wants(system):
                for n, value in enumerate(neighbour_recall(table, labels)):
                    yield MetricValue(
                        system, "recall@10", f"sound {n + 1} of kind {labels[n] + 1}", float(value), group
                    )
