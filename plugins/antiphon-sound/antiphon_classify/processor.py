"""Node `classify`: passes the sound, and reports its most likely label."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from antiphon.api import FileHearing, FileUse, Param, StreamSpec, UsageError, Value
from antiphon.api.backends.workers import WorkerReporter, WorkerSpec
from antiphon_classify.labels import SHIPPED, UNKNOWN, labels_mark, live_classifiers, live_labels

LABELS = live_labels()
HOP = 0.5
"""Hop of the worker in seconds, which is also its deadline."""


class Classify(WorkerReporter):
    """Passes sound unchanged; each second the worker classifies the last seconds with the code for files."""

    params = (
        Param("by", "choice", "genre", choices=(*SHIPPED, *live_classifiers()), restart=True, doc="The classifier."),
        Param("seconds", "float", 6.0, 3.0, 15.0, "s", restart=True, doc="Length of the sound that is classified."),
        Param("label", "choice", UNKNOWN, choices=LABELS, readonly=True, doc="The most likely; or unknown."),
        Param("confidence", default=0.0, low=0.0, high=1.0, readonly=True, doc="The probability of the most likely."),
        Param("second", "choice", UNKNOWN, choices=LABELS, readonly=True, doc="The second most likely."),
        Param("third", "choice", UNKNOWN, choices=LABELS, readonly=True, doc="The third most likely."),
    )

    on_files = FileUse(hears="antiphon_classify.processor:hear", beside=("report",))
    reports: ClassVar[Mapping[str, float]] = {"label": 0.0, "confidence": 0.0, "second": 0.0, "third": 0.0}

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        return self.answering("classify", "antiphon_classify.worker:LiveClassifier", spec, HOP, slots=4)

    def config(self) -> str:
        return f"{self.settings['by']} {self.settings['seconds']:g} {labels_mark()}"


def hear(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """Returns the quantities of the classifier over the whole file, as `FileUse.hears` of `classify`."""
    from antiphon_classify.classification import classify

    by = str(values.get("by", SHIPPED[0]))
    try:
        found = classify(by, path)
    except UsageError as error:  # its length; it is passed nevertheless
        return FileHearing(said=str(error))
    likely = ", ".join(f"{label} {probability:.2f}" for label, probability in (found.pop("labels") or ())[:3])
    said = f"{UNKNOWN} ({likely})" if found.get(by) == UNKNOWN and likely else likely or UNKNOWN
    return FileHearing(said=f"{by} {said}", report=found)
