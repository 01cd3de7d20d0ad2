"""Classifier in a folder of two files: its graph (ONNX), and its metadata (JSON).

The graph takes excerpts of log-mel spectrograms, `[n, frames, bands]` in dB, and gives a probability for each label,
`[n, labels]`; all that lies between is inside. `antiphon pipeline` writes such folders, and those in the performer's
folder `classifiers` are analyses.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon.api.backends.analysis import MEL, MelSettings
from antiphon.api.backends.files import read_ordinary
from antiphon.api.backends.runtime import shorten
from antiphon_classify import features

MODEL, DETAILS = "model.onnx", "classifier.json"
INPUT, OUTPUT = "excerpts", "probabilities"
"""Names of the graph's input and output."""
VERSION = 1
"""Format version of the JSON."""
LARGEST_MODEL, LARGEST_DETAILS = 1 << 28, 1 << 20
"""Maximum bytes of the files."""
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
    def together(self) -> int:
        """Batch size: excerpts computed at once, so that memory is bounded."""
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
