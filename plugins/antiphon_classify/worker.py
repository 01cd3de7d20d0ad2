"""The worker of the node `classify`: the last seconds of each stream through an analysis, once a second."""

from __future__ import annotations

from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.workers import RecentSound, ReportingStepper
from antiphon_classify.classifier import MEL, Classifier
from antiphon_classify.genre import Genre
from antiphon_classify.instruments import Instruments
from antiphon_classify.labels import LIVE_LABELS, UNKNOWN
from antiphon_classify.tags import Tags

_CLASSIFIERS: dict[str, type[Classifier]] = {"genre": Genre, "instruments": Instruments, "tags": Tags}
_PLACES = {label: place for place, label in enumerate(LIVE_LABELS)}
_NOTHING = (0.0, 0.0, 0.0, 0.0)


class LiveClassifier(ReportingStepper["ClassifiedStream"]):
    """Slots are nodes; a stream's config is a classifier and how many seconds are classified."""

    def stream(self, config: str) -> ClassifiedStream:
        name, seconds = config.split() if config else ("genre", "6")
        return ClassifiedStream(self.spec.rate, float(seconds), _CLASSIFIERS[name]())


class ClassifiedStream(RecentSound):
    """The sound of one node at the classifier's rate, and what it was last.

    Args:
        rate: Frames per second of the stream.
        seconds: That are classified.
        classifier: By which.
    """

    def __init__(self, rate: int, seconds: float, classifier: Classifier) -> None:
        # a hair more than the shortest sound, which resampling may round down
        super().__init__(rate=rate, wanted=MEL.rate, frames=round(seconds * MEL.rate) + 1)
        self._classifier = classifier
        self._found = _NOTHING

    def look(self) -> None:
        self._found = self._classify()

    def answer(self) -> tuple[float, float, float, float]:
        return self._found

    def _classify(self) -> tuple[float, float, float, float]:
        run = self._classifier.begin(MEL.rate, 1)
        run.feed(self.sound[None])
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
