"""A classifier as an analysis: excerpts of a sound through a network, whose answers are joined at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, Samples, UsageError
from antiphon.api.backends.analysis import Analysis, AnalysisRun, LogMelStream, MelSettings
from antiphon.api.backends.models import manifest_entry, read_weights
from antiphon_classify.network import TOGETHER, ClassifierNetwork

MEL = MelSettings()
"""Of all classifiers that ship, and by default of the pipeline."""
EXCERPT = 128
"""Frames of an excerpt: 2.97 s, which four poolings halve to 8."""
SILENT = -70.0
"""dB of an excerpt's mean energy per band, under which it says nothing."""


class Classifier(Analysis):
    """An analysis by weights that ship.

    Attributes:
        weights: Their name in the manifest, whose entry has `labels`, and what else the classifier needs.
        shortest: Seconds of sound that it needs at least.
        excerpt: Frames that its network takes at once; of a shorter sound it takes what there is.
    """

    weights: ClassVar[str]
    shortest: ClassVar[float] = 0.5
    excerpt: ClassVar[int] = EXCERPT
    rate: ClassVar[int | None] = MEL.rate
    channels = 1
    classifier = True

    @cached_property
    def network(self) -> ClassifierNetwork:
        """The network; `ModelError` where its weights are missing."""
        return ClassifierNetwork(read_weights(self.weights), self.weights)

    @cached_property
    def details(self) -> Mapping[str, Any]:
        """The manifest's entry of the weights."""
        return manifest_entry(self.weights)

    @property
    def labels(self) -> list[str]:
        """The names of what it gives, in the network's order."""
        return [str(label) for label in self.details["labels"]]

    def begin(self, rate: int, channels: int) -> ClassifierRun:
        return ClassifierRun(self)

    @abstractmethod
    def values(self, logits: F32, embedding: F32) -> Mapping[str, Any]:
        """The quantities of a sound by float32 `[excerpts, labels]` and embeddings `[excerpts, units]`."""


class ClassifierRun(AnalysisRun):
    """One sound: its excerpts follow each other; the last one ends with the sound."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier, self._mel = classifier, LogMelStream(MEL)
        self._held = np.zeros((0, MEL.bands), np.float32)
        self._last = np.zeros((0, MEL.bands), np.float32)
        self._embeddings: list[F32] = []
        self._samples = self._excerpts = 0

    def feed(self, block: Samples) -> None:
        self._samples += block.shape[1]
        self.push(self._mel.push(np.asarray(block[0], np.float32)))

    def push(self, frames: F32) -> None:
        """Takes the next frames of the spectrogram, `[frames, bands]` in dB."""
        self._held = np.concatenate([self._held, frames])
        whole = len(self._held) // self._classifier.excerpt
        if whole >= TOGETHER:
            self._take(whole)

    def result(self) -> Mapping[str, Any]:
        seconds = self._samples / MEL.rate
        if seconds < self._classifier.shortest:
            least = self._classifier.shortest
            raise UsageError(f"the sound lasts {seconds:.1f} s, and at least {least:g} s are needed")
        length = self._classifier.excerpt
        self._take(len(self._held) // length)
        # a rest that is shorter than half an excerpt has been classified for the most part
        if len(self._held) >= length // 2 or not self._excerpts:
            ending = np.concatenate([self._last, self._held])[-length:]
            if 0 < len(ending) < EXCERPT:  # a clip is repeated, since a network takes so many frames at least
                ending = np.tile(ending, (-(-EXCERPT // len(ending)), 1))[:EXCERPT]
            self._classify(ending[None])
        if not self._embeddings:
            return {quantity.name: None for quantity in self._classifier.quantities}
        embedding = np.concatenate(self._embeddings)
        return self._classifier.values(self.logits(embedding), embedding)

    def logits(self, embedding: F32) -> F32:
        """float32 `[excerpts, labels]` of the embeddings of all audible excerpts; called once, at the end."""
        return self._classifier.network.logits_of(embedding)

    def _take(self, whole: int) -> None:
        if whole:
            length = self._classifier.excerpt
            excerpts = self._held[: whole * length].reshape(whole, length, MEL.bands)
            self._last, self._held = excerpts[-1], self._held[whole * length :]
            self._classify(excerpts)

    def _classify(self, excerpts: F32) -> None:
        self._excerpts += len(excerpts)
        audible = excerpts[is_audible(excerpts)]
        if len(audible):
            self._embeddings.append(self._classifier.network.embedding(audible))


def is_audible(excerpts: F32) -> NDArray[np.bool_]:
    """Which excerpts, float32 `[n, frames, bands]` in dB, are above `SILENT`: a single low tone is, too."""
    return np.asarray((10.0 ** (excerpts / 10.0)).mean(axis=(1, 2)) > 10.0 ** (SILENT / 10.0))
