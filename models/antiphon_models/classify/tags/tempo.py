"""The words of tempo: fitted to the scenes that are trained on, their scale to those that are chosen by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_classify.rhythm import FRAMES
from antiphon_classify.tempo import BIAS, WEIGHT, WORDS, TempoWords, repeats
from antiphon_models.classify import mfcc
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.tags.calibration import calibrate
from antiphon_models.classify.tags.labels import LABELS

COLUMNS = [LABELS.index(word) for word in WORDS]
DECAY = 1.0
"""Of the weights, in units of the mean loss; chosen of .001, .01, .1, 1 and 3 on the choose-set (ROC-AUC of fast and of
slow: .749 and .806, .798 and .841, .839 and .866, .841 and .862, .839 and .852)."""


def fit_arrays(train: LabeledClips, choose: LabeledClips) -> dict[str, NDArray[Any]]:
    """The arrays of `TempoWords`, fitted to `train` and its slope calibrated by `choose`; targets NaN where unknown."""
    line = mfcc.fit_logistic(*_known(train), DECAY)
    rows, targets = _known(choose)
    slope = calibrate(line.logits(rows), targets).slope
    # the standardisation of the columns goes into the weights
    weight = slope * line.weights[:-1] / line.deviation[:, None]
    bias = slope * line.weights[-1] - line.mean @ weight
    return {WEIGHT: weight.T.astype(np.float32), BIAS: bias.astype(np.float32)}


def logits(words: TempoWords, clips: LabeledClips) -> NDArray[np.float32]:
    """Logits of the words of tempo, `[clips, words]`, by the window that each clip begins with."""
    return words.logits(clips.mel[:, :FRAMES])


def _known(clips: LabeledClips) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    targets = np.asarray(clips.targets, np.float32)[:, COLUMNS]
    known = np.isfinite(targets).any(axis=1)
    return repeats(clips.mel[known, :FRAMES]), targets[known]
