"""Worker of the node `classify`: analyses the last seconds of each stream, once a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from antiphon.api import AntiphonError
from antiphon.api.backends.analysis import Analysis
from antiphon.api.backends.workers import RecentSound, ReportingStepper
from antiphon_classify.classifier_session import OwnClassifier
from antiphon_classify.features import Tags
from antiphon_classify.genre import Genre
from antiphon_classify.instruments import Instruments
from antiphon_classify.labels import UNKNOWN, classifiers_folder, labels_mark, live_labels

_CLASSIFIERS: dict[str, type[Genre | Instruments | Tags]] = {"genre": Genre, "instruments": Instruments, "tags": Tags}
_PLACES = {label: place for place, label in enumerate(live_labels())}
_NOTHING = (0.0, 0.0, 0.0, 0.0)
_MIN_SECONDS = 3.0
"""Minimum seconds of sound before a report."""
_SILENCE_PEAK = 1e-4
"""Peak below which a sound is silent."""


class LiveClassifier(ReportingStepper["ClassifiedStream"]):
    """Stepper with a node per slot. The config of a stream is a classifier and the window length in seconds."""

    def stream(self, config: str) -> ClassifiedStream:
        name, seconds, mark = config.rsplit(" ", 2) if config else ("genre", "6", labels_mark())
        return ClassifiedStream(self.spec.rate, float(seconds), _classifier(name) if mark == labels_mark() else None)


def _classifier(name: str) -> Analysis | None:
    """Classifier of a name; None for an own one that has been removed or cannot be read."""
    try:
        return _CLASSIFIERS[name]() if name in _CLASSIFIERS else OwnClassifier(classifiers_folder() / name)
    except AntiphonError:
        return None


class ClassifiedStream(RecentSound):
    """Recent sound of one node at the classifier's rate, with its last result.

    `classifier`: the classifier; None if it does not exist or differs from the node's.
    """

    def __init__(self, rate: int, seconds: float, classifier: Analysis | None) -> None:
        self._rate = (classifier.rate if classifier else None) or rate
        # a hair more than the shortest sound, which resampling may round down
        super().__init__(rate=rate, wanted=self._rate, frames=round(seconds * self._rate) + 1)
        self._classifier = classifier
        self._found = _NOTHING

    def look(self) -> None:
        self._found = self._classify()

    def answer(self) -> tuple[float, float, float, float]:
        return self._found

    def _classify(self) -> tuple[float, float, float, float]:
        too_short = len(self.sound) < _MIN_SECONDS * self._rate
        if self._classifier is None or too_short or np.abs(self.sound).max() < _SILENCE_PEAK:
            return _NOTHING
        run = self._classifier.begin(self._rate, 1)
        run.feed(self.sound[None])
        try:
            values = run.result()
        except AntiphonError:  # the weights are missing
            return _NOTHING
        labels, text = (
            _first_value_of_kind(self._classifier, values, "labels"),
            _first_value_of_kind(self._classifier, values, "text"),
        )
        if not labels:
            return _NOTHING
        places = [float(_PLACES.get(label, 0)) for label, _ in labels[:3]] + [0.0, 0.0]
        first = 0.0 if text == UNKNOWN else places[0]
        return first, float(labels[0][1]), places[1], places[2]


def _first_value_of_kind(classifier: Analysis, values: Any, kind: str) -> Any:
    """Value of the first quantity of a kind; None without one."""
    return next((values.get(quantity.name) for quantity in classifier.quantities if quantity.kind == kind), None)
