"""Classifier graph run by onnxruntime, imported when one is opened; and the analyses of the performer's own ones.

Each folder in the data folder's `classifiers` is an analysis. `antiphon pipeline run FILE --steps deploy` puts them
there. A folder that holds something else is no analysis; the reason is stated where it is asked for by its name. The
node `classify` plays them too.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError, Samples
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity
from antiphon.api.backends.files import read_ordinary
from antiphon.api.backends.models import ModelError, check_onnx
from antiphon.api.backends.runtime import missing_modules, shorten
from antiphon_classify import features
from antiphon_classify.classifier_file import DETAILS, LARGEST_MODEL, MODEL, digest_of, read_details

F32 = NDArray[np.float32]


class ClassifierFile:
    """A classifier folder: its metadata, and its graph, run by onnxruntime on one CPU thread.

    Raises FileError: its JSON is missing, or says what cannot be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.details = folder, read_details(folder)

    @cached_property
    def session(self) -> Any:
        """Loads the graph.

        Raises FileError: the graph or onnxruntime is missing, or it is another one than the JSON names.
        """
        path = self.folder / MODEL
        content = read_ordinary(path, LARGEST_MODEL, "a classifier")
        if digest_of(content) != self.details.digest:
            raise FileError(f"{path} is not the file that {DETAILS} names by its digest: install the classifier again")
        return open_session(path, content)

    def probabilities(self, excerpts: F32) -> F32:
        """Probabilities of the labels for excerpts.

        `excerpts`: float32 `[n, frames, bands]` in dB, n at least 1. Returns float32 `[n, labels]`. Raises FileError:
        the graph does not give that.
        """
        details = self.details
        return compute(self.session, excerpts, len(details.labels), self.folder / MODEL, details.together)


def open_session(path: Path, content: bytes) -> Any:
    """onnxruntime session of a graph; `FileError` if it fails. path: of the file, for messages."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise FileError(missing_modules(str(path), "onnxruntime")) from None
    try:
        check_onnx(content)
    except ModelError as error:
        raise FileError(f"{path}: {error}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has some ten kinds, none of them documented
        raise FileError(f"{path} cannot be loaded by onnxruntime: {_sentence(error)}") from None


def compute(session: Any, excerpts: F32, labels: int, path: Path, together: int = 64) -> F32:
    """Runs a session in batches; see `ClassifierFile.probabilities`."""
    parts = []
    for first in range(0, len(excerpts), together):
        some = np.ascontiguousarray(excerpts[first : first + together], np.float32)
        try:
            (answer,) = session.run(None, {session.get_inputs()[0].name: some})
        except Exception as error:  # see open_session; a graph with two outputs too
            raise FileError(f"{path} cannot compute {list(some.shape)}: {_sentence(error)}") from None
        if getattr(answer, "shape", None) != (len(some), labels) or not np.isfinite(answer).all():
            raise FileError(f"{path} does not give a probability for each of its {labels} labels")
        parts.append(np.asarray(answer, np.float32))
    return np.concatenate(parts)


def _sentence(error: Exception) -> str:
    return shorten(" ".join(str(error).split()), 200) or type(error).__name__


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
