"""The shipped analyses on what an evaluation has at hand: clips as spectrograms, and whole sounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api.analysis import Analysis
from antiphon_classify.classifier import EXCERPT
from antiphon_classify.network import ClassifierNetwork
from antiphon_classify.rhythm import FRAMES
from antiphon_classify.tempo import TempoWords
from antiphon_models.classify.clips import LabeledClips

F32 = NDArray[np.float32]
_BLOCK = 65536


def clip_logits(network: ClassifierNetwork, clips: LabeledClips) -> F32:
    """Logits of clips `[clips, labels]`, the mean over the excerpts of each."""
    count = clips.mel.shape[1] // EXCERPT
    rows = []
    for mel in clips.mel:
        excerpts = mel[: count * EXCERPT].astype(np.float32).reshape(count, EXCERPT, -1)
        rows.append(network.logits(excerpts).mean(axis=0))
    return np.stack(rows)


def tempo_logits(words: TempoWords, clips: LabeledClips) -> F32:
    """Logits of the words of tempo, `[clips, words]`, by the window that each clip begins with."""
    return words.logits(clips.mel[:, :FRAMES])


def whole_values(analysis: Analysis, sound: F32) -> Mapping[str, Any]:
    """What an analysis states of a mono sound at its rate, fed in blocks."""
    assert analysis.rate is not None
    run = analysis.begin(analysis.rate, 1)
    for first in range(0, len(sound), _BLOCK):
        run.feed(sound[None, first : first + _BLOCK])
    return run.result()
