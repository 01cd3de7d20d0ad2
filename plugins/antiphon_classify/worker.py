"""The worker of the node `classify`: the last seconds of each stream through an analysis, once a second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import AntiphonError, Samples
from antiphon.api.workers import WorkerSpec
from antiphon_classify.classifier import MEL, Classifier
from antiphon_classify.genre import Genre
from antiphon_classify.instruments import Instruments
from antiphon_classify.labels import LIVE_LABELS, UNKNOWN
from antiphon_classify.tags import Tags

EVERY = 2
"""Hops from one classification to the next."""
_CLASSIFIERS: dict[str, type[Classifier]] = {"genre": Genre, "instruments": Instruments, "tags": Tags}
_PLACES = {label: place for place, label in enumerate(LIVE_LABELS)}
_NOTHING = (0.0, 0.0, 0.0, 0.0)


class LiveClassifier:
    """A `Stepper`: slots are nodes; a stream's config is a classifier and how many seconds are classified."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._rate = spec.rate
        self._streams: dict[int, _Stream] = {}

    def warm(self) -> None:
        """The first classification loads the weights that its stream needs."""

    def open(self, slot: int, config: str) -> None:
        name, seconds = config.split() if config else ("genre", "6")
        self._streams[slot] = _Stream(self._rate, float(seconds), _CLASSIFIERS[name]())

    def close(self, slot: int) -> None:
        self._streams.pop(slot, None)

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        for slot in np.flatnonzero(hops >= 0).tolist():
            y[slot, 0] = self._streams[slot].step(int(hops[slot]), x[slot, 0])


class _Stream:
    """The sound of one node at the classifier's rate, and what it was last."""

    def __init__(self, rate: int, seconds: float, classifier: Classifier) -> None:
        import soxr

        self._classifier = classifier
        self._resampled = soxr.ResampleStream(rate, MEL.rate, 1, dtype="float32")
        # a hair more than the shortest sound, which resampling may round down
        self._most = round(seconds * MEL.rate) + 1
        self._sound: Samples = np.zeros(0, np.float32)
        self._found: tuple[float, float, float, float] = _NOTHING

    def step(self, hop: int, sound: Samples) -> tuple[float, float, float, float]:
        new = self._resampled.resample_chunk(sound)
        self._sound = np.concatenate([self._sound, new])[-self._most :]
        if hop % EVERY == 0:
            self._found = self._classify()
        return self._found

    def _classify(self) -> tuple[float, float, float, float]:
        run = self._classifier.begin(MEL.rate, 1)
        run.feed(self._sound[None])
        try:
            values = run.result()
        except AntiphonError:  # it is too short, or the weights are missing
            return _NOTHING
        labels, text = _of_kind(self._classifier, values, "labels"), _of_kind(self._classifier, values, "text")
        if not labels:
            return _NOTHING
        places = [float(_PLACES.get(label, 0)) for label, _ in labels[:3]] + [0.0, 0.0]
        first = 0.0 if text == UNKNOWN else places[0]
        return first, float(labels[0][1]), places[1], places[2]


def _of_kind(classifier: Classifier, values: Any, kind: str) -> Any:
    """The value of the first quantity of a kind; None where there is none."""
    return next((values.get(quantity.name) for quantity in classifier.quantities if quantity.kind == kind), None)
