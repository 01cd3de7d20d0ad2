"""Which instruments sound, where, and how much of a sound has a voice: sixteen families, by 3 s excerpts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.analysis import Quantity
from antiphon_classify.classifier import EXCERPT, MEL, Classifier, ClassifierRun, is_audible

SHOWN = 5
"""Labels that are given where fewer are above their threshold."""
STRONGEST = 3
"""A family's probability is that of the third of the excerpts in which it is most likely, two excerpts at least."""
VOICE = "voice"
BESIDE = (0.3, 0.4, 0.3)
"""Shares of the excerpt before, the excerpt, and the one behind it, where spans are found."""


class Instruments(Classifier):
    """Families of instruments by a network; thresholds and temperature are the manifest's."""

    weights: ClassVar[str] = "classify-instruments"
    quantities = (
        Quantity(
            "instruments",
            "labels",
            "",
            "Families of instruments: those above their threshold first, five at least, with the probability of each.",
        ),
        Quantity("instrument_spans", "spans", "", "Which families sound where, by excerpts of 3 s, smoothed."),
        Quantity(
            "voice",
            "number",
            "",
            "0 to 1: the share of the audible excerpts of 3 s whose voice, sung or spoken, is above its threshold.",
        ),
    )

    def begin(self, rate: int, channels: int) -> InstrumentsRun:
        return InstrumentsRun(self)

    @property
    def thresholds(self) -> F64:
        """Threshold of each label: the probability from which it counts as present."""
        return np.asarray(self.details["thresholds"], np.float64)

    def probabilities(self, logits: F32) -> F64:
        """Calibrated probabilities of logits of any shape."""
        return np.asarray(1.0 / (1.0 + np.exp(-logits.astype(np.float64) / float(self.details["temperature"]))))

    def values(self, logits: F32, embedding: F32) -> Mapping[str, Any]:
        odds = self.probabilities(join_logits(logits))
        voices = self.probabilities(logits)[:, self.labels.index(VOICE)]
        return {
            "instruments": rank_labels(self.labels, odds, self.thresholds),
            "voice": float((voices >= self.thresholds[self.labels.index(VOICE)]).mean()),
        }


class InstrumentsRun(ClassifierRun):
    """A sound of which it is also known where its excerpts are. `classifier`: what it is classified by."""

    def __init__(self, classifier: Instruments) -> None:
        super().__init__(classifier)
        self._instruments = classifier
        self._audible: list[bool] = []

    def result(self) -> Mapping[str, Any]:
        found = super().result()
        return {**found, "instrument_spans": self._spans()} if self._embeddings else found

    def probabilities(self) -> F64 | None:
        """Probabilities of the labels for the whole sound, after `result`; None for a silent one."""
        return self._instruments.probabilities(join_logits(self._logits())) if self._embeddings else None

    def _logits(self) -> F32:
        return self._instruments.network.logits_of(np.concatenate(self._embeddings))

    def _spans(self) -> list[tuple[float, float, str]]:
        logits = self._logits()
        frames = max(EXCERPT, (self._samples - MEL.window) // MEL.hop + 1)
        starts = np.minimum(np.arange(len(self._audible)) * EXCERPT, frames - EXCERPT) * MEL.hop / MEL.rate
        odds = np.zeros((len(starts), logits.shape[1]))
        odds[self._audible] = self._instruments.probabilities(logits)
        seconds = self._samples / MEL.rate
        return spans(odds, starts, seconds, self._instruments)

    def _classify(self, excerpts: F32) -> None:
        self._audible += is_audible(excerpts).tolist()
        super()._classify(excerpts)


def join_logits(logits: F32) -> F32:
    """The logits of a sound, float32 `[labels]`: of each label the mean of its strongest `[excerpts, labels]`."""
    count = min(len(logits), max(2, len(logits) // STRONGEST))
    return np.asarray(np.sort(logits, axis=0)[-count:].mean(axis=0), np.float32)


def rank_labels(labels: Sequence[str], odds: F64, thresholds: F64) -> list[tuple[str, float]]:
    """Labels above their thresholds, the most likely first, and below these the most likely others up to `SHOWN`."""
    order = sorted(range(len(labels)), key=lambda n: (odds[n] < thresholds[n], -odds[n]))
    count = max(SHOWN, int((odds >= thresholds).sum()))
    return [(labels[n], float(odds[n])) for n in order[:count]]


def spans(odds: F64, starts: F64, seconds: float, instruments: Instruments) -> list[tuple[float, float, str]]:
    """(start s, end s, label) of where each family sounds, in order of their starts.

    `odds` `[excerpts, labels]` are 0 where an excerpt is silent; an excerpt lasts from its start in s until the next
    one begins.
    """
    audible = odds.max(axis=1, keepdims=True) > 0.0
    # silent excerpts are no evidence against their neighbours
    total, weight = (
        sum(share * padded[n : n + len(odds)] for n, share in enumerate(BESIDE))
        for padded in (np.pad(one, ((1, 1), (0, 0))) for one in (odds, audible.astype(np.float64)))
    )
    present = (total >= instruments.thresholds * weight) & audible
    ends = [*starts[1:], seconds]
    found = []
    for label, own in zip(instruments.labels, present.T, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], own.astype(np.int8), [0]])))
        found += [(float(starts[a]), float(ends[b - 1]), label) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return sorted(found)
