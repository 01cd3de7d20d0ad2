"""The words of tempo are learned from clips whose rises repeat fast or slowly, unknown ones left out."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from antiphon_classify.rhythm import FRAMES
from antiphon_classify.tempo import TempoWords
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.tags import tempo
from antiphon_models.classify.tags.labels import LABELS
from antiphon_models.learning.measures import roc_auc

FRAMES_A_MINUTE = 60.0 * 22050 / 512


def made(seed: int, count: int) -> LabeledClips:
    """Beats of any tempo in noise; a third of the clips is of unknown tempo, and not of a beat."""
    rng = np.random.default_rng(seed)
    mel = rng.normal(-50.0, 4.0, (count, FRAMES + 10, 64)).astype(np.float16)
    targets = np.full((count, len(LABELS)), np.nan, np.float32)
    for n, clip in enumerate(mel):
        if n % 3 == 0:
            continue
        bpm = rng.uniform(62.0, 168.0)
        targets[n, tempo.COLUMNS] = bpm > 126.0, bpm < 80.0
        clip[(np.arange(len(clip)) + rng.uniform(0, 40)) % (FRAMES_A_MINUTE / bpm) < 1.0] += 25.0
    return LabeledClips(mel, targets, np.zeros(count, np.int64))


def test_words_of_tempo_are_learned_from_beats() -> None:
    words = TempoWords(tempo.fit_arrays(made(1, 240), made(2, 60)), "a test's")
    clips = made(3, 90)
    known = np.isfinite(np.asarray(clips.targets)[:, tempo.COLUMNS[0]])
    logits = tempo.logits(words, clips)[known]
    for n, column in enumerate(tempo.COLUMNS):
        truth = np.asarray(clips.targets)[known, column] > 0.5
        assert roc_auc(logits[:, n], truth) > 0.95
        assert ((logits[:, n] > 0.0) == truth).mean() > 0.8
