"""The performer's own classifiers: each folder in the data folder's `classifiers` is an analysis.

`antiphon pipeline run FILE --steps deploy` puts them there. A folder that holds something else is no analysis; the
reason is stated where it is asked for by its name. The node `classify` plays them too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity
from antiphon_classify import features
from antiphon_classify.classifier_session import ClassifierFile

RESULT_LABELS = 20
"""Number of most likely labels in a result."""


class OwnClassifier(Analysis):
    """A classifier folder as an analysis: the most probable label, averaged over the sound's excerpts.

    Raises FileError: it holds no classifier.
    """

    channels = 1

    def __init__(self, folder: Path) -> None:
        self.file = ClassifierFile(folder)
        self.rate = self.file.details.mel.rate  # type: ignore[misc]
        # another graph is another version, so that catalogues compute it again
        self.version = 2 + int(self.file.details.digest[:7], 16)  # type: ignore[misc]
        name, labels = folder.name, ", ".join(self.file.details.labels[:20])
        self.quantities = (  # type: ignore[misc]
            Quantity(name, "text", doc=f"The most probable of its labels: {labels}."),
            Quantity(f"{name}_confidence", "number", doc="The mean probability of that label, 0 to 1."),
            Quantity(f"{name}_probabilities", "vector", doc="Of all labels, in their order."),
            Quantity(f"{name}_labels", "labels", doc=f"The most probable first, at most {RESULT_LABELS}."),
        )

    @property
    def labels(self) -> Sequence[str]:
        return self.file.details.labels

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return OwnClassifierRun(self.file)


class OwnClassifierRun(AnalysisRun):
    """Run of one sound, in contiguous excerpts without a remainder, as in the step evaluate."""

    def __init__(self, file: ClassifierFile) -> None:
        self._file, self._frames = file, file.details.frames
        self._mel = features.stream(file.details.mel)
        self._held = np.zeros((0, file.details.mel.bands), np.float32)
        self._total, self._excerpts, self._samples = np.zeros(len(file.details.labels)), 0, 0

    def feed(self, block: Samples) -> None:
        self._samples += block.shape[1]
        self._held = np.concatenate([self._held, self._mel.push(np.asarray(block[0], np.float32))])
        if len(self._held) >= self._file.details.together * self._frames:
            self._classify()

    def result(self) -> Mapping[str, Any]:
        features.check_length(self._samples, self._file.details.mel)
        self._held = np.concatenate([self._held, self._mel.end()])
        self._classify()
        if not self._excerpts:
            # as short sounds are in training
            self._held = self._held[np.arange(self._frames) % len(self._held)]
            self._classify()
        probabilities = self._total / self._excerpts
        order = np.argsort(-probabilities, kind="stable")[:RESULT_LABELS]
        ranked = [(self._file.details.labels[n], float(probabilities[n])) for n in order]
        name = self._file.folder.name
        return {
            name: ranked[0][0],
            f"{name}_confidence": ranked[0][1],
            f"{name}_probabilities": probabilities,
            f"{name}_labels": ranked,
        }

    def _classify(self) -> None:
        count = len(self._held) // self._frames
        if count:
            taken, self._held = self._held[: count * self._frames], self._held[count * self._frames :]
            excerpts = taken.reshape(count, self._frames, -1)
            self._total += self._file.probabilities(excerpts).sum(axis=0, dtype=np.float64)
            self._excerpts += count
