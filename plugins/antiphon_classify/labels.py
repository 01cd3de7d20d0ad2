"""The labels of the classifiers that ship."""

from __future__ import annotations

from antiphon.api.backends.models import ModelError, manifest_entry

UNKNOWN = "unknown"
SHIPPED = ("genre", "instruments", "tags")
"""The classifiers that ship and that the node plays."""
GENRES = (
    "pop", "rock", "metal", "hip hop", "house", "electronic", "jazz", "blues", "classical", "folk", "country",
    "funk/soul", "disco", "world",
)  # fmt: skip
"""Of equally likely ones the first is named."""


def shipped_labels() -> tuple[str, ...]:
    """All labels of `genre`, `instruments` and `tags`, each once, first `UNKNOWN`; without a manifest the genres."""
    found = [UNKNOWN, *GENRES]
    try:
        for name in ("classify-instruments", "musicnn-msd", "musicnn-mtt"):
            found += [str(label).lower() for label in manifest_entry(name)["labels"]]
    except ModelError:  # the analyses state the reason
        pass
    return tuple(dict.fromkeys(found))
