"""Tags: which of a list of words hold of a sound, and a vector of it from the same network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.analysis import Quantity
from antiphon.api.backends.models import read_weights
from antiphon_classify.classifier import Classifier, ClassifierRun
from antiphon_classify.tempo import TempoWindows, TempoWords, replace

MEAN, DEVIATION = "embedding.mean", "embedding.deviation"
"""Arrays `[units]` among the weights."""


class Tags(Classifier):
    """Many labels, none of which excludes another; each has a threshold of its own."""

    weights = "classify-tags"
    version = 2
    quantities = (
        Quantity(
            "tags",
            "labels",
            "",
            "What the network finds: instruments, voices, tempo, treatment, sounds; probabilities as calibrated on "
            "renders that it was not trained on.",
        ),
        Quantity(
            "tag_embedding",
            "vector",
            "",
            "The network's last layer but one, the mean over excerpts, standardised, of length 1.",
        ),
    )

    @cached_property
    def spread(self) -> tuple[F32, F32]:
        """Mean and deviation of the embeddings of sounds that were not trained on; `ModelError` without weights."""
        arrays = read_weights(self.weights)
        return arrays[MEAN], arrays[DEVIATION]

    @cached_property
    def tempo(self) -> TempoWords:
        """The regression for words of tempo; `ModelError` where its weights are missing."""
        return TempoWords(read_weights(self.weights), self.weights)

    def begin(self, rate: int, channels: int) -> TagsRun:
        return TagsRun(self)

    def values(self, logits: F32, embedding: F32) -> Mapping[str, Any]:
        details = self.details
        share = probabilities(logits.mean(axis=0), float(details["slope"]), np.array(details["offsets"]))
        found = [
            (label, value)
            for label, value, least in zip(self.labels, share.tolist(), details["thresholds"], strict=True)
            if value >= float(least)
        ]
        return {
            "tags": sorted(found, key=lambda row: (-row[1], row[0])),
            "tag_embedding": vector(embedding, *self.spread),
        }


class TagsRun(ClassifierRun):
    """One sound; words of tempo are decided by its windows, all others by its excerpts."""

    def __init__(self, tags: Tags) -> None:
        super().__init__(tags)
        self._tags, self._windows = tags, TempoWindows(tags.tempo)

    def push(self, frames: F32) -> None:
        super().push(frames)
        self._windows.push(frames)

    def logits(self, embedding: F32) -> F32:
        return replace(super().logits(embedding), self._windows.logits(), self._tags.labels)


def probabilities(logits: F32, slope: float, offsets: np.ndarray[Any, np.dtype[np.float64]]) -> F32:
    """Calibrated probabilities of logits, `[…, labels]`."""
    return np.asarray(1.0 / (1.0 + np.exp(-(slope * logits + offsets))), np.float32)


def vector(embedding: F32, mean: F32, deviation: F32) -> F32:
    """The vector `[units]` of a sound, of length 1, by its excerpts' embeddings, float32 `[excerpts, units]`.

    `mean` and `deviation`, `[units]`, are those of the sounds that were chosen on.
    """
    even = (embedding.mean(axis=0) - mean) / deviation
    return np.asarray(even / (float(np.linalg.norm(even)) + 1e-9), np.float32)
