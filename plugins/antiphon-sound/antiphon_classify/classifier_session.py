"""Classifiers of the performer's own: their files, checked before they are read, and a run of one over a sound.

Each folder in the data folder's `classifiers` is an analysis. `antiphon pipeline run FILE --steps deploy` puts them
there. A folder that holds something else is no analysis; the reason is stated where it is asked for by its name. The
node `classify` plays them too.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError, Samples
from antiphon.api.backends.analysis import MEL, Analysis, AnalysisRun, MelSettings, Quantity
from antiphon.api.backends.files import read_ordinary
from antiphon.api.backends.models import ModelError, check_onnx
from antiphon.api.backends.runtime import missing_modules, shorten
from antiphon_classify import features

# ---- Classifier in a folder of two files: its graph (ONNX), and its metadata (JSON).
#
# The graph takes excerpts of log-mel spectrograms, `[n, frames, bands]` in dB, and gives a probability for each label,
# `[n, labels]`; all that lies between is inside. `antiphon pipeline` writes such folders, and those in the performer's
# folder `classifiers` are analyses.

MODEL, DETAILS = "model.onnx", "classifier.json"
INPUT, OUTPUT = "excerpts", "probabilities"
"""Names of the graph's input and output."""
VERSION = 1
"""Format version of the JSON."""
LARGEST_MODEL, LARGEST_DETAILS = 1 << 28, 1 << 20
"""Maximum size of the files in bytes."""
MAX_LABELS, MAX_LABEL, MAX_FRAMES = 10_000, 200, 100_000
MAX_VALUES = 1 << 22
"""Maximum values of an excerpt, 16 MB: ten minutes in 64 bands have 1.7 million."""
_AT_ONCE, _MAX_AT_ONCE = 1 << 24, 64
"""Maximum values and excerpts per batch."""
_MEL_RANGES = {"rate": (4000, 192_000), "window": (64, 16_384), "hop": (16, 16_384), "bands": (4, 512)}


@dataclass(frozen=True, slots=True)
class ClassifierDetails:
    """Metadata of a classifier, the content of its JSON file."""

    name: str
    framework: str
    labels: tuple[str, ...]
    mel: MelSettings
    frames: int  # frames of an excerpt
    digest: str  # digest of the graph's file, blake2b of 20 bytes
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length of an excerpt in seconds."""
        return ((self.frames - 1) * self.mel.hop + self.mel.window) / self.mel.rate

    @property
    def batch_size(self) -> int:
        """Number of excerpts computed at once, which bounds the memory."""
        return max(1, min(_MAX_AT_ONCE, _AT_ONCE // (self.frames * self.mel.bands)))

    def content(self) -> bytes:
        """The JSON file as bytes."""
        whole = {**self.about, **asdict(self), "version": VERSION}
        del whole["about"]
        return (json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def digest_of(content: bytes) -> str:
    """Digest of a classifier's two files, as `ClassifierDetails.digest`."""
    return hashlib.blake2b(content, digest_size=20).hexdigest()


def read_details(folder: Path) -> ClassifierDetails:
    """Metadata of a classifier. Raises FileError: the file is missing or invalid."""
    path = folder / DETAILS
    content = read_ordinary(path, LARGEST_DETAILS, "a classifier's description")
    try:
        found = json.loads(content)
        given = {"features": MEL, **found["mel"]}  # a classifier of an older version says no feature
        mel = MelSettings(**{one.name: given[one.name] for one in fields(MelSettings)})
        known = {one.name for one in fields(ClassifierDetails)} | {"version"}
        details = ClassifierDetails(
            name=found["name"],
            framework=found["framework"],
            labels=tuple(found["labels"]),
            mel=mel,
            frames=found["frames"],
            digest=found["digest"],
            about={key: value for key, value in found.items() if key not in known},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refusal(path, f"{type(error).__name__}: {error}") from None
    if found.get("version") != VERSION:
        raise _refusal(path, f"its version is {found.get('version')!r}, and {VERSION} is read")
    if reason := _fault(details):
        raise _refusal(path, reason)
    return details


def _fault(details: ClassifierDetails) -> str:
    texts = (details.name, details.framework, details.digest, *details.labels)
    if not all(isinstance(text, str) and 0 < len(text) <= MAX_LABEL and text.isprintable() for text in texts):
        return f"names and labels are texts of 1 to {MAX_LABEL} characters"
    if not 2 <= len(details.labels) <= MAX_LABELS or len(set(details.labels)) != len(details.labels):
        return f"it has {len(details.labels)} labels; 2 to {MAX_LABELS} are allowed, each once"
    mel = details.mel
    for key, (low, high) in _MEL_RANGES.items():
        if not _is_whole(getattr(mel, key), low, high):
            return f"mel.{key} is {getattr(mel, key)!r}; {low} to {high} is allowed"
    if not (_is_number(mel.low) and _is_number(mel.high) and 0 <= mel.low < mel.high <= mel.rate / 2):
        return f"mel.low is {mel.low!r} and mel.high {mel.high!r}; low is below high, and high at most half of rate"
    if mel.features not in features.FEATURES:
        return f"mel.features is {mel.features!r}; it is one of {', '.join(features.FEATURES)}"
    if fault := features.fault(mel):
        return f"mel.features is {mel.features}, with {fault}"
    if not _is_whole(details.frames, 1, MAX_FRAMES):
        return f"frames is {details.frames!r}; 1 to {MAX_FRAMES} is allowed"
    if details.frames * mel.bands > MAX_VALUES:
        return f"an excerpt has {details.frames} frames of {mel.bands} bands; {MAX_VALUES} numbers are allowed"
    return ""


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refusal(path: Path, reason: str) -> FileError:
    return FileError(f"{path} is not of a classifier: {shorten(reason, 200)}")


# ---- Classifier graph run by onnxruntime, imported when one is opened; and the analyses of the performer's own ones

F32 = NDArray[np.float32]


class ClassifierFile:
    """A classifier folder: its metadata, and its graph, run by onnxruntime on one CPU thread.

    Raises FileError: its JSON is missing or invalid.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.details = folder, read_details(folder)

    @cached_property
    def session(self) -> Any:
        """Loads the graph.

        Raises FileError: the graph or onnxruntime is missing, or the graph is not the one that the JSON names.
        """
        path = self.folder / MODEL
        content = read_ordinary(path, LARGEST_MODEL, "a classifier")
        if digest_of(content) != self.details.digest:
            raise FileError(f"{path} is not the file that {DETAILS} names by its digest: install the classifier again")
        return open_session(path, content)

    def probabilities(self, excerpts: F32) -> F32:
        """Probabilities of the labels for excerpts.

        `excerpts`: float32 `[n, frames, bands]` in dB, n at least 1. Returns float32 `[n, labels]`. Raises FileError:
        the graph's output has another form.
        """
        details = self.details
        return compute(self.session, excerpts, len(details.labels), self.folder / MODEL, details.batch_size)


def open_session(path: Path, content: bytes) -> Any:
    """Opens an onnxruntime session of a graph. path: of the file, for messages. Raises FileError on failure."""
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
        if len(self._held) >= self._file.details.batch_size * self._frames:
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
