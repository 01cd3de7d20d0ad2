"""Sounds of Freesound, in its loop data set (Ramires et al., ISMIR 2020) or of a search; notes of NSynth."""

from collections.abc import Iterable
from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.rules import (
    assign_splits,
    files_below,
    first_folder,
    item_of_group,
    layout_error,
    relative,
)
from antiphon_models.datasets.records import SPLITS, DatasetListing, Item

LOOPS = 9_455
"""As published."""
NOTES = {"train": 289_205, "valid": 12_678, "test": 4_096}
"""As published."""
SOUNDS = "sounds.json"
"""File of `antiphon dataset fetch` with each sound's metadata, by its number."""


def loops(root: Path) -> DatasetListing:
    """The loops of metadata.json, or those present; a file name begins with the sound's number."""
    top = first_folder(root, ["FSL10K", "."]) or root
    sounds = first_folder(top, ["audio/wav", "audio/original", "audio"])
    if sounds is None:
        raise layout_error(root, "fsld", "there is no FSL10K/audio/wav")
    there: dict[str, Path] = {}
    for path in files_below(sounds, ".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3"):
        there.setdefault(path.name.split("_")[0].split(".")[0], path)
    table = top / "metadata.json"
    known = tables.json_object(table) if table.is_file() else {}
    items = []
    for number in _in_order(known or there):
        about = known[number] if isinstance(known.get(number), dict) else {}
        tags = tuple(str(tag) for tag in about.get("tags", ()))
        place = there.get(number, sounds / f"{number}.wav")
        items.append(item_of_group(number, (relative(place, root),), str(about.get("username", "")) or number, tags))
    absent = () if known else ("there is no metadata.json: owners, tags, licences and what is missing are not known",)
    return assign_splits(items, "owner", LOOPS, absent=absent)


def freesound(root: Path) -> DatasetListing:
    """The sounds of `SOUNDS`, in splits by owner. The licence of each is a label too: "licence:URL"."""
    if not (root / SOUNDS).is_file():
        raise layout_error(root, "freesound", f"there is no {SOUNDS}, which `antiphon dataset fetch` writes")
    known = tables.json_object(root / SOUNDS)
    items = []
    for number in _in_order(known):
        about = known[number] if isinstance(known[number], dict) else {}
        licence = f"licence:{about.get('license') or 'unknown'}"
        tags = [*(about.get("queries") or ()), *(about.get("tags") or ()), licence]
        labels = tuple(dict.fromkeys(str(tag) for tag in tags))
        items.append(item_of_group(number, (f"audio/{number}.mp3",), str(about.get("username") or number), labels))
    return assign_splits(items, "owner")


def _in_order(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=lambda number: (len(number), number))


def notes(root: Path) -> DatasetListing:
    """NSynth (Engel et al., 2017): the parts present, each a split with instruments of its own."""
    parts = [split for split in SPLITS if (root / f"nsynth-{split}" / "examples.json").is_file()]
    if not parts:
        raise layout_error(root, "nsynth", "there is no nsynth-train/examples.json, nor one of valid or test")
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
    part = ", ".join(f"nsynth-{split}" for split in parts)
    by = "published with the data set, by instrument for training"
    return DatasetListing(items, part, sum(NOTES[split] for split in parts), "instrument", by, absent)
