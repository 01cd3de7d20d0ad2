"""Labels of the shipped classifiers, and the folder of the performer's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from antiphon.api import AntiphonError
from antiphon.api.backends.files import data_folder

if TYPE_CHECKING:
    from antiphon.api.backends.analysis import Analysis

UNKNOWN = "unknown"
SHIPPED = ("genre", "instruments", "tags")
"""Shipped classifiers that the node can use."""
GENRES = (
    "pop", "rock", "metal", "hip hop", "house", "electronic", "jazz", "blues", "classical", "folk", "country",
    "funk/soul", "disco", "world",
)  # fmt: skip
"""Genre names, in order of priority between equal probabilities."""


MAX_CLASSIFIERS = 200
"""Maximum number of own classifiers; the first ones by name are used."""
MAX_LABELS = 1000
"""Maximum number of reported labels of an own classifier; the node cannot use one with more."""


def classifiers_folder() -> Path:
    """Folder of the performer's own classifiers, with a subfolder for each."""
    return data_folder() / "classifiers"


def own_folders() -> list[Path]:
    """Folders of the performer's own classifiers, by name."""
    try:
        folders = sorted(path for path in classifiers_folder().iterdir() if path.is_dir() and path.name[0] != ".")
    except OSError:
        return []
    return folders[:MAX_CLASSIFIERS]


def own_analyses() -> Mapping[str, Callable[[], Analysis]]:
    """The factory of an analysis for each folder, by name; its content is read on first use."""
    return {folder.name: partial(_own, folder) for folder in own_folders()}


def _own(folder: Path) -> Analysis:
    from antiphon_classify.classifier_session import OwnClassifier

    return OwnClassifier(folder)


def shipped_labels() -> tuple[str, ...]:
    """Distinct labels of `genre`, `instruments` and `tags`, `UNKNOWN` first; without a manifest the genres."""
    from antiphon.api.backends.models import ModelError, manifest_entry

    found = [UNKNOWN, *GENRES]
    try:
        for name in ("classify-instruments", "musicnn-msd", "musicnn-mtt"):
            found += [str(label).lower() for label in manifest_entry(name)["labels"]]
    except ModelError:  # the analyses state the reason
        pass
    return tuple(dict.fromkeys(found))


@cache
def live_classifiers() -> Mapping[str, tuple[str, ...]]:
    """Own classifiers available to the node, by name with their labels, as first found by this process."""
    from antiphon_classify.classifier_session import ClassifierFile

    found: dict[str, tuple[str, ...]] = {}
    count = 0
    for folder in own_folders():
        try:
            labels = ClassifierFile(folder).details.labels
        except AntiphonError:  # `analyse --only` states the reason
            continue
        if folder.name not in SHIPPED and count + len(labels) <= MAX_LABELS:
            found[folder.name], count = labels, count + len(labels)
    return found


@cache
def live_labels() -> tuple[str, ...]:
    """Distinct labels reported by the node: of the shipped classifiers, then of the own ones."""
    own = (label for labels in live_classifiers().values() for label in labels)
    return tuple(dict.fromkeys((*shipped_labels(), *own)))


def labels_mark() -> str:
    """Checksum of `live_labels`: a worker with another one reports no names."""
    return f"{crc32(chr(0).join(live_labels()).encode()):x}"
