"""NSynth (Engel et al., 2017): single notes of a thousand instruments."""

from __future__ import annotations

from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.walking import relative, unlike
from antiphon_models.datasets.records import SPLITS, DatasetListing, Item

NOTES = {"train": 289_205, "valid": 12_678, "test": 4_096}
"""As published."""


def listing(root: Path) -> DatasetListing:
    """The parts that are there, each a split: instruments for training are in no other."""
    parts = [split for split in SPLITS if (root / f"nsynth-{split}" / "examples.json").is_file()]
    if not parts:
        raise unlike(root, "nsynth", "there is no nsynth-train/examples.json, nor one of valid or test")
    items = tuple(
        Item(
            name,
            (relative(root / f"nsynth-{split}" / "audio" / f"{name}.wav", root),),
            str(about.get("instrument_str")),
            split,
            (str(about.get("instrument_family_str")),),
        )
        for split in parts
        for name, about in sorted(tables.json_object(root / f"nsynth-{split}" / "examples.json").items())
    )
    absent = tuple(f"there is no nsynth-{split}" for split in SPLITS if split not in parts)
    return DatasetListing(
        items,
        ", ".join(f"nsynth-{split}" for split in parts),
        sum(NOTES[split] for split in parts),
        "instrument",
        "published with the data set, by instrument for training",
        absent,
    )
