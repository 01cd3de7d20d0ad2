"""Labels of the shipped classifiers."""

from pathlib import Path

from antiphon.api.backends.files import data_folder

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
