"""Classifier graph run by onnxruntime, imported when one is opened."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon.api.backends.files import read_ordinary
from antiphon.api.backends.models import ModelError, check_onnx
from antiphon.api.backends.runtime import missing_modules, shorten
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
