"""Node `classify`: passes the sound, and reports its most likely label."""

from collections.abc import Mapping
from typing import ClassVar

from antiphon.api import Param, StreamSpec
from antiphon.api.backends.workers import WorkerReporter, WorkerSpec
from antiphon_classify.labels import SHIPPED, UNKNOWN, labels_mark, live_classifiers, live_labels

LABELS = live_labels()
HOP = 0.5
"""Hop of the worker in seconds, which is also its deadline."""


class Classify(WorkerReporter):
    """Passes every bit; each second the worker classifies the last seconds, by the code that classifies files."""

    params = (
        Param("by", "choice", "genre", choices=(*SHIPPED, *live_classifiers()), restart=True, doc="The classifier."),
        Param("seconds", "float", 6.0, 3.0, 15.0, "s", restart=True, doc="Length of the sound that is classified."),
        Param("label", "choice", UNKNOWN, choices=LABELS, readonly=True, doc="The most likely; or unknown."),
        Param("confidence", default=0.0, low=0.0, high=1.0, readonly=True, doc="The probability of the most likely."),
        Param("second", "choice", UNKNOWN, choices=LABELS, readonly=True, doc="The second most likely."),
        Param("third", "choice", UNKNOWN, choices=LABELS, readonly=True, doc="The third most likely."),
    )

    reports: ClassVar[Mapping[str, float]] = {"label": 0.0, "confidence": 0.0, "second": 0.0, "third": 0.0}

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        return self.answering("classify", "antiphon_classify.worker:LiveClassifier", spec, HOP, slots=4)

    def config(self) -> str:
        return f"{self.settings['by']} {self.settings['seconds']:g} {labels_mark()}"
