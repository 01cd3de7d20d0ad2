"""A classifier as two files in a folder: its graph (ONNX), and what is to be known of it (JSON).

The graph takes excerpts of log-mel spectrograms, `[n, frames, bands]` in dB, and gives a probability for each label,
`[n, labels]`; all that lies between is inside. `antiphon pipeline` writes such folders, and those in the performer's
folder `classifiers` are analyses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.mel import MelSettings
from antiphon.errors import FileError
from antiphon.runtime import paths
from antiphon.runtime.shortening import shorten

F32 = NDArray[np.float32]
MODEL, DETAILS = "model.onnx", "classifier.json"
INPUT, OUTPUT = "excerpts", "probabilities"
"""The names in the graph."""
VERSION = 1
"""Of the JSON's keys."""
LARGEST_MODEL, LARGEST_DETAILS = 1 << 28, 1 << 20
"""Bytes of the files."""
MOST_LABELS, LONGEST_LABEL, MOST_FRAMES = 10_000, 200, 100_000
TOGETHER = 64
"""Excerpts that are computed at once."""
_MEL_RANGES = {"rate": (4000, 192_000), "window": (64, 16_384), "hop": (16, 16_384), "bands": (4, 512)}


@dataclass(frozen=True, slots=True)
class ClassifierDetails:
    """What the JSON says.

    Attributes:
        name: Of the classifier.
        framework: What it was trained with.
        labels: In the order of the graph's answers.
        mel: Of the spectrograms that it takes.
        frames: Of an excerpt.
        digest: Of the graph's file, blake2b of 20 bytes.
        about: All else: where it comes from, for people.
    """

    name: str
    framework: str
    labels: tuple[str, ...]
    mel: MelSettings
    frames: int
    digest: str
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Of an excerpt."""
        return ((self.frames - 1) * self.mel.hop + self.mel.window) / self.mel.rate

    def content(self) -> bytes:
        """The JSON file."""
        whole = {**self.about, **asdict(self), "version": VERSION}
        del whole["about"]
        return (json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def classifiers_folder() -> Path:
    """The performer's own classifiers, a folder each; it may not exist."""
    return paths.data() / "classifiers"


def digest_of(content: bytes) -> str:
    """As `ClassifierDetails.digest` has it."""
    return hashlib.blake2b(content, digest_size=20).hexdigest()


def read_details(folder: Path) -> ClassifierDetails:
    """Reads a classifier's JSON.

    Args:
        folder: The classifier's.

    Returns:
        What it says, checked.

    Raises:
        FileError: The file is missing, or says what cannot be.
    """
    path = folder / DETAILS
    content = _content(path, LARGEST_DETAILS)
    try:
        found = json.loads(content)
        mel = MelSettings(**{one.name: found["mel"][one.name] for one in fields(MelSettings)})
        known = {one.name for one in fields(ClassifierDetails)} | {"version"}
        details = ClassifierDetails(
            name=found["name"], framework=found["framework"], labels=tuple(found["labels"]), mel=mel,
            frames=found["frames"], digest=found["digest"],
            about={key: value for key, value in found.items() if key not in known},
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refusal(path, f"{type(error).__name__}: {error}") from None
    if found.get("version") != VERSION:
        raise _refusal(path, f"its version is {found.get('version')!r}, and {VERSION} is read")
    if reason := _fault(details):
        raise _refusal(path, reason)
    return details


class ClassifierFile:
    """A classifier's folder: what it says, and its graph, which onnxruntime computes on one thread of the CPU.

    Args:
        folder: The classifier's.

    Raises:
        FileError: Its JSON is missing, or says what cannot be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.details = folder, read_details(folder)

    @cached_property
    def session(self) -> Any:
        """The graph; `FileError` where it or onnxruntime is missing, or it is another one than the JSON names."""
        path = self.folder / MODEL
        content = _content(path, LARGEST_MODEL)
        if digest_of(content) != self.details.digest:
            raise FileError(f"{path} is not the file that {DETAILS} names by its digest: install the classifier again")
        return open_session(path, content)

    def probabilities(self, excerpts: F32) -> F32:
        """What the classifier gives for excerpts.

        Args:
            excerpts: float32 `[n, frames, bands]` in dB, n at least 1.

        Returns:
            float32 `[n, labels]`.

        Raises:
            FileError: The graph does not give that.
        """
        return compute(self.session, excerpts, len(self.details.labels), self.folder / MODEL)


def open_session(path: Path, content: bytes) -> Any:
    """onnxruntime's session for a graph; `FileError` if there is none to be had. path: of the file, for messages."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise FileError(f"{path} needs onnxruntime, which is not installed: pip install 'antiphon[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has some ten kinds, none of them documented
        raise FileError(f"{path} cannot be loaded by onnxruntime: {_sentence(error)}") from None


def compute(session: Any, excerpts: F32, labels: int, path: Path) -> F32:
    """Runs a session, some excerpts at a time; see `ClassifierFile.probabilities`."""
    parts = []
    for first in range(0, len(excerpts), TOGETHER):
        some = np.ascontiguousarray(excerpts[first : first + TOGETHER], np.float32)
        try:
            (answer,) = session.run(None, {session.get_inputs()[0].name: some})
        except Exception as error:  # see open_session; a graph with two outputs too
            raise FileError(f"{path} cannot compute {list(some.shape)}: {_sentence(error)}") from None
        if getattr(answer, "shape", None) != (len(some), labels) or not np.isfinite(answer).all():
            raise FileError(f"{path} does not give a probability for each of its {labels} labels")
        parts.append(np.asarray(answer, np.float32))
    return np.concatenate(parts)


def _fault(details: ClassifierDetails) -> str:
    texts = (details.name, details.framework, details.digest, *details.labels)
    if not all(isinstance(text, str) and 0 < len(text) <= LONGEST_LABEL and text.isprintable() for text in texts):
        return f"names and labels are texts of 1 to {LONGEST_LABEL} characters"
    if not 2 <= len(details.labels) <= MOST_LABELS or len(set(details.labels)) != len(details.labels):
        return f"it has {len(details.labels)} labels; 2 to {MOST_LABELS} are allowed, each once"
    mel = details.mel
    for key, (low, high) in _MEL_RANGES.items():
        if not _is_whole(getattr(mel, key), low, high):
            return f"mel.{key} is {getattr(mel, key)!r}; {low} to {high} is allowed"
    if not (_is_number(mel.low) and _is_number(mel.high) and 0 <= mel.low < mel.high <= mel.rate / 2):
        return f"mel.low is {mel.low!r} and mel.high {mel.high!r}; low is below high, and high at most half of rate"
    if not _is_whole(details.frames, 1, MOST_FRAMES):
        return f"frames is {details.frames!r}; 1 to {MOST_FRAMES} is allowed"
    return ""


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _content(path: Path, most: int) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise FileError(f"cannot read {path}: {paths.why(error)}") from None
    if len(content) > most:
        raise FileError(f"{path} has more than {most} bytes: it is of no classifier")
    return content


def _refusal(path: Path, reason: str) -> FileError:
    return FileError(f"{path} is not of a classifier: {shorten(reason, 200)}")


def _sentence(error: Exception) -> str:
    return shorten(" ".join(str(error).split()), 200) or type(error).__name__
