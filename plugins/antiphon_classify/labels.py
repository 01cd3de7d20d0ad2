"""Labels of the shipped classifiers."""

from antiphon.api.backends.models import ModelError, manifest_entry

UNKNOWN = "unknown"
SHIPPED = ("genre", "instruments", "tags")
"""Shipped classifiers available to the node."""
GENRES = (
    "pop", "rock", "metal", "hip hop", "house", "electronic", "jazz", "blues", "classical", "folk", "country",
    "funk/soul", "disco", "world",
)  # fmt: skip
"""Genre names, in order of priority between equal probabilities."""


def shipped_labels() -> tuple[str, ...]:
    """Distinct labels of `genre`, `instruments` and `tags`, `UNKNOWN` first; without a manifest the genres."""
    found = [UNKNOWN, *GENRES]
    try:
        for name in ("classify-instruments", "musicnn-msd", "musicnn-mtt"):
            found += [str(label).lower() for label in manifest_entry(name)["labels"]]
    except ModelError:  # the analyses state the reason
        pass
    return tuple(dict.fromkeys(found))
