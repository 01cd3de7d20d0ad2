"""Labels of the shipped classifiers, and where the performer's own are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.api import Register
from antiphon.api.backends.files import data_folder

if TYPE_CHECKING:
    from antiphon.api.backends.analysis import Analysis

UNKNOWN = "unknown"
SHIPPED = ("genre", "instruments", "tags")
"""Shipped classifiers available to the node."""
GENRES = (
    "pop", "rock", "metal", "hip hop", "house", "electronic", "jazz", "blues", "classical", "folk", "country",
    "funk/soul", "disco", "world",
)  # fmt: skip
"""Genre names, in order of priority between equal probabilities."""


MAX_CLASSIFIERS = 200
"""Maximum own classifiers; the first by name are used."""


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


def register_own(register: Register) -> None:
    """Registers an analysis for each folder; its content is read on first use."""
    for folder in own_folders():
        register(folder.name, partial(_own, folder), "A classifier of the performer's own.")


def _own(folder: Path) -> Analysis:
    from antiphon_classify.own import OwnClassifier

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
