"""How popular a sound would be with a simulated audience, and how far off that may be.

The audience is computed (`antiphon_models.classify.popularity.audience`): no person has voted. It foresees no hits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, Samples, UsageError
from antiphon.api.analysis import Analysis, AnalysisRun, LogMelStream, Quantity
from antiphon.api.models import ModelError, read_weights
from antiphon_classify.classifier import MEL, SILENT
from antiphon_classify.statistics import FRAMES, SIZE, statistics

WEIGHTS = "classify-popularity"
FURTHEST = 5.0
"""Deviations from the mean of a statistic, beyond which a sound is taken as no further."""


class PopularityNetwork:
    """Plays the weights: statistics of a sound to attributes, and those to what the audience gives.

    Args:
        arrays: By name: `mean`, `deviation` `[SIZE]`; `hidden.weight` `[units, SIZE]`, `hidden.bias`,
            `attributes.weight` `[attributes, units]`, `attributes.bias`, `direct.weight` `[attributes, SIZE]`;
            `centre`, `scale` of the attributes and their squares, `taste` `[1 + those]`, the first one constant;
            `width` `[1]`, half of the interval.

    Raises:
        ModelError: An array is missing, or their shapes do not fit.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        try:
            self._arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
            self.width = float(self._arrays["width"][0])
            self.popularity(np.zeros((1, SIZE), np.float32))
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f"the weights {WEIGHTS} are not those of popularity: {error}") from None

    def attributes(self, segments: F32) -> F32:
        """float32 `[attributes]` of a sound's segments `[segments, SIZE]`: the mean of what each gives."""
        a = self._arrays
        standard = np.clip((segments - a["mean"]) / a["deviation"], -FURTHEST, FURTHEST)
        hidden = np.maximum(standard @ a["hidden.weight"].T + a["hidden.bias"], 0.0)
        found = hidden @ a["attributes.weight"].T + a["attributes.bias"] + standard @ a["direct.weight"].T
        return np.asarray(found.mean(axis=0), np.float32)

    def popularity(self, segments: F32) -> float:
        """What the audience would give a sound, 0 to 1; segments as for `attributes`."""
        a = self._arrays
        row = (with_squares(self.attributes(segments)[None]) - a["centre"]) / a["scale"]
        return float(np.clip(a["taste"][0] + row[0] @ a["taste"][1:], 0.0, 1.0))


def with_squares(attributes: F32) -> F32:
    """Attributes `[n, k]` and their squares: float32 `[n, 2 k]`."""
    return np.concatenate([attributes, attributes**2], axis=1)


class PopularityAnalysis(Analysis):
    """The analysis."""

    quantities = (
        Quantity("popularity", "number", "", "The share of songs that a simulated audience would like less, 0 to 1."),
        Quantity("popularity_low", "number", "", "The lower end of the interval that holds 9 of 10 such sounds."),
        Quantity("popularity_high", "number", "", "The upper end of that interval."),
    )
    rate = MEL.rate
    channels = 1
    by_name = True  # of no listener: who wants the figure asks for it
    shortest = 6.0
    classifier = True

    @cached_property
    def network(self) -> PopularityNetwork:
        """The network; `ModelError` where its weights are missing."""
        return PopularityNetwork(read_weights(WEIGHTS))

    def begin(self, rate: int, channels: int) -> PopularityRun:
        return PopularityRun(self)


class PopularityRun(AnalysisRun):
    """One sound, in segments; the last one ends with the sound."""

    def __init__(self, popularity: PopularityAnalysis) -> None:
        self._analysis, self._mel = popularity, LogMelStream(MEL)
        self._held = np.zeros((0, MEL.bands), np.float32)
        self._last = np.zeros((0, MEL.bands), np.float32)
        self._segments: list[F32] = []
        self._samples = 0

    def feed(self, block: Samples) -> None:
        self._samples += block.shape[1]
        self._held = np.concatenate([self._held, self._mel.push(np.asarray(block[0], np.float32))])
        while len(self._held) >= FRAMES:
            self._last, self._held = self._held[:FRAMES], self._held[FRAMES:]
            self._take(self._last)

    def result(self) -> Mapping[str, Any]:
        least = self._analysis.shortest
        if self._samples < least * MEL.rate:
            raise UsageError(f"the sound lasts {self._samples / MEL.rate:.1f} s, and at least {least:g} s are needed")
        if len(self._held) >= FRAMES // 2:
            self._take(np.concatenate([self._last, self._held])[-FRAMES:])
        if not self._segments:
            return dict.fromkeys((quantity.name for quantity in self._analysis.quantities), None)
        network = self._analysis.network
        found = network.popularity(np.concatenate(self._segments))
        low, high = max(0.0, found - network.width), min(1.0, found + network.width)
        return {"popularity": found, "popularity_low": low, "popularity_high": high}

    def _take(self, segment: F32) -> None:
        if segment.mean() > SILENT:
            self._segments.append(statistics(segment[None]))
