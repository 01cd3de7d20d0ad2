"""Compares a folder with the expected content."""

from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from antiphon.api import FileError
from antiphon_models.datasets.annotations import annotations_of
from antiphon_models.datasets.examination import find_file_fault
from antiphon_models.datasets.layouts import layout_of, listing_of
from antiphon_models.datasets.records import Item, Report

Progress: TypeAlias = Callable[[int, int, str], None]
"""Progress callback with items done, the total, and a name."""


def check(name: str, path: Path, progress: Progress | None = None, *, thorough: bool = False) -> Report:
    """Checks a data set of `layouts.NAMES` in its folder.

    `thorough` decodes every sound, and compares digests where the data set has them.

    Raises `FileError`: there is no such folder, or it is laid out otherwise. `UsageError`: there is no such data set.
    """
    layout = layout_of(name)
    listing = listing_of(name, path)
    if not listing.items:
        raise FileError(f"{path} holds no item of {name}; it should look like {layout.tree}")
    missing: list[str] = []
    damaged: dict[str, str] = {}
    faulty = {item.name: item.fault for item in listing.items if item.fault}
    splits: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    annotated: Counter[str] = Counter()
    places: defaultdict[str, set[str]] = defaultdict(set)
    files = 0
    for number, item in enumerate(listing.items, 1):
        whole = True
        for place, file in enumerate(item.files):
            target = path / file
            if not target.is_file():
                missing.append(file)
                whole = False
                continue
            files += 1
            if wrong := find_file_fault(target, item.digest if place == 0 else "", thorough=thorough):
                damaged[file] = wrong
                whole = False
        if whole and thorough and (wrong := _annotation_error(path, item)):
            damaged[next(iter(item.annotations.values()))] = wrong
            whole = False
        if whole and not item.fault:
            known = {"tempo": item.tempo, "key": item.key, "stems": item.stems, **item.annotations}
            annotated.update(kind for kind, value in known.items() if value)
            splits[item.split] += 1
            labels.update(item.labels)
            if item.split and item.group:
                places[item.group].add(item.split)
        if progress is not None:
            progress(number, len(listing.items), item.name)
    return Report(
        name, str(path), listing.part, len(listing.items), listing.published, listing.shared_by, listing.split_by,
        (*listing.absent, *listing.notes), files, tuple(missing), damaged, faulty, dict(splits),
        dict(labels.most_common()),
        tuple(sorted(group for group, found in places.items() if len(found) > 1)), dict(annotated),
    )  # fmt: skip


def _annotation_error(path: Path, item: Item) -> str:
    """Reason why an item's annotations cannot be read; "" if they can."""
    try:
        annotations_of(path, item)
    except FileError as error:
        return str(error)
    return ""
