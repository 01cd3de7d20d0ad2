"""The words of tempo on clips that are at hand as spectrograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon_classify.rhythm import FRAMES
from antiphon_classify.tempo import TempoWords
from antiphon_models.classify.clips import LabeledClips


def tempo_logits(words: TempoWords, clips: LabeledClips) -> NDArray[np.float32]:
    """Logits of the words of tempo, `[clips, words]`, by the window that each clip begins with."""
    return words.logits(clips.mel[:, :FRAMES])
