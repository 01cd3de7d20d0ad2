"""Calibrated probabilities of labels, and when none of them holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from antiphon.api import F32, F64

UNKNOWN = "unknown"
SHIPPED = ("genre", "instruments", "tags")
"""The classifiers that ship and that the node plays."""
LIVE_LABELS = (
    UNKNOWN,
    "house", "drum and bass", "hip hop", "rock", "metal", "reggae", "jazz", "blues", "bossa nova", "country",
    "classical", "ambient",
    "piano", "mallets", "organ", "accordion", "guitar", "distorted guitar", "bass", "strings", "plucked", "voice",
    "brass", "reed", "flute", "synth lead", "synth pad", "drums",
    "choir", "woodwind", "synth", "solo", "fast", "slow", "distorted", "reverberant", "lo-fi", "noise", "speech",
    "female voice", "male voice", "animal", "engine", "fire", "rain", "sea",
)  # fmt: skip
"""All labels of `genre`, `instruments` and `tags`, as the node `classify` reports them: new ones follow the last."""


def probabilities(logits: F32, temperature: float) -> F64:
    """The softmax of the mean over excerpts, at a temperature (Guo et al. 2017, "On calibration of modern networks").

    From float32 `[excerpts, labels]` to float64 `[labels]`, with the sum 1; a temperature above 1 lowers confidence.
    """
    mean = logits.astype(np.float64).mean(axis=0) / temperature
    powers = np.exp(mean - mean.max())
    return np.asarray(powers / powers.sum())


def of_count(values: Sequence[float], count: int) -> float:
    """What was chosen for a number of excerpts that are joined, from 1; the last value holds for more."""
    return float(values[min(count, len(values)) - 1])
