"""`antiphon evaluate tags`: the tags beside their shares and MFCC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.files import make_folder
from antiphon_classify.classifier import MEL
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.mfcc import fit_logistic, mfcc
from antiphon_models.classify.tags.calibration import calibrate
from antiphon_models.classify.tags.labels import LABELS
from antiphon_models.classify.tags.material import SceneFolders, make_clips, measure_scenes
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.learning.measures import average_precision, f1, roc_auc
from antiphon_models.learning.user_commands import analysis_of

TagSystem: TypeAlias = Callable[[F32], F64]
"""The probability of each label in a sound at `MEL.rate`, 0 where it is not stated: `[labels]`."""
FITTED = 1440
"""Scenes that the MFCC are fitted to."""
_LEAST = 5
"""Clips that have a label, and clips that have not, for the label to be measured."""


class TagsEvaluation(Evaluation):
    """Scenes of songs, a soundfont, voices and recordings that nothing was fitted on; an item is a label."""

    trivial = "shares"
    classical = "MFCC, logistic"
    ours = "tags"
    columns = "ROC-AUC; PR-AUC; F1"
    note = (
        "ROC-AUC, PR-AUC (mean average precision), F1 at each label's threshold: mean over labels, n labels. shares: "
        "how frequent each label is. What is not stated has probability 0. Scenes are made by rules from renders, "
        "synthetic voices and ESC-10: they say little of records."
    )
    road = "`antiphon library analyse FILE --only tags --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """The figures of each label that enough scenes have."""
        where = SceneFolders(ask.data, make_folder(ask.work / f"material-{ask.seed}"), ask.seed, ask.say)
        sounds = measure_scenes(where, ask.limit)
        stating = {name: make(where, ask) for name, make in ask.wanted(_SYSTEMS).items()}
        rows: dict[str, list[F64]] = {name: [] for name in stating}
        truths = []
        for sound, tags in sounds:
            truths.append(tags)
            for name, state in stating.items():
                rows[name].append(state(sound))
        targets = np.array(truths)
        found = {name: np.array(row) for name, row in rows.items()}
        for n, label in enumerate(LABELS):
            known = np.isfinite(targets[:, n])
            truth = targets[known, n] > 0.5
            if not _LEAST <= truth.sum() <= len(truth) - _LEAST:
                continue
            for system, table in found.items():
                scores = table[known, n]
                yield MetricValue(system, "ROC-AUC", label, roc_auc(scores, truth))
                yield MetricValue(system, "PR-AUC", label, average_precision(scores, truth))
                yield MetricValue(system, "F1", label, f1(scores > 0.0, truth))


def _shares(where: SceneFolders, ask: EvaluationRequest) -> TagSystem:
    """All tags are stated, all alike."""
    return lambda sound: np.ones(len(LABELS))


def _mfcc(where: SceneFolders, ask: EvaluationRequest) -> TagSystem:
    """Thresholds are those of the best F1 on the choose-set, as the network's are."""
    fit = make_clips(where, "train", FITTED if ask.limit is None else min(FITTED, 4 * ask.limit))
    line = fit_logistic(mfcc(fit.mel), np.asarray(fit.targets, np.float32))
    chosen = make_clips(where, "choose", ask.limit)
    read = calibrate(line.logits(mfcc(chosen.mel)), np.asarray(chosen.targets, np.float32))

    def stated(sound: F32) -> F64:
        odds = read.probabilities(line.logits(mfcc(spectrogram(sound)[None])))[0]
        return np.where(odds >= read.thresholds, odds, 0.0)

    return stated


def _command(where: SceneFolders, ask: EvaluationRequest) -> TagSystem:
    def stated(sound: F32) -> F64:
        odds = np.zeros(len(LABELS))
        for label, probability in analysis_of(sound, MEL.rate, "tags")["tags"] or ():
            odds[LABELS.index(label)] = probability
        return odds

    return stated


_SYSTEMS: Mapping[str, Callable[[SceneFolders, EvaluationRequest], TagSystem]] = {
    "shares": _shares,
    "MFCC, logistic": _mfcc,
    "tags": _command,
}
