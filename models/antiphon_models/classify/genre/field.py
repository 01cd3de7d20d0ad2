"""Recorded music with genres: the tests of GTZAN and FMA, or any folder whose folders are named by genre."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from antiphon.api import AntiphonError, FileError, UsageError
from antiphon.api.backends.files import SOUND_FORMATS
from antiphon_models.classify.genre.material import LABELS
from antiphon_models.datasets.layouts import layout_of
from antiphon_models.datasets.records import TEST, Item
from antiphon_models.learning.evaluation import EvaluationRequest, MetricValue
from antiphon_models.learning.user_commands import analysis_of_file
from antiphon_models.material.tables import table_beside

ACCEPTED: dict[str, dict[str, tuple[str, ...]]] = table_beside(__file__)
"""By data set and its genre what is right; its other genres are strangers, for which "unknown" is right."""
MATERIAL = ("esc10", "freedoom", "jsb", "openttd-openmsx", "pop909", "singing", "sonicpi", "tracks")
"""Folders of data that other evaluations and trainings use."""
UNNAMED = Path("data")
"""The folder where none is named by --data."""
FOLDER = "folder"
"""Sounds in folders that are named by their genre."""


@dataclass(frozen=True, slots=True)
class FieldSet:
    """A data set on this machine.

    `layout`: "gtzan", "fma", or FOLDER. `items`: items of its test, without known faults.
    """

    layout: str
    root: Path
    items: tuple[Item, ...]


def dataset_in(root: Path) -> FieldSet | None:
    """GTZAN or FMA, where `root` is one of them: the test of the split, without faulty clips; else all sounds of
    folders named by genre, where one of them at least is a genre that is known.
    """
    for name in ACCEPTED:
        try:
            listing = layout_of(name).listing(root)
        except FileError:
            continue
        items = tuple(item for item in listing.items if item.split == TEST and item.labels and not item.fault)
        return FieldSet(name, root, items)
    folders = [path for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
    if not any(accepted_genres(FOLDER, path.name) for path in folders):
        return None
    files = [file for path in folders for file in sorted(path.rglob("*")) if file.suffix.lower() in SOUND_FORMATS]
    names = [file.relative_to(root) for file in files]
    return FieldSet(FOLDER, root, tuple(Item(str(name), (name.as_posix(),), labels=name.parts[:1]) for name in names))


def check(root: Path) -> None:
    """Raises `UsageError` for a folder that was named, and has neither genres nor the data of other evaluations: what
    would be measured instead, songs made by rules, says nothing of it.
    """
    if root != UNNAMED and not any((root / name).is_dir() for name in MATERIAL):
        raise UsageError(
            f"{root} has no folder that is named by a genre ({', '.join(LABELS[:3])}, …), and is not GTZAN or FMA; "
            "sort the sounds into such folders, or leave --data out for songs made by rules"
        )


def accepted_genres(layout: str, genre: str) -> tuple[str, ...]:
    """Our genres that are right for one of a data set; none where it is a stranger."""
    if layout != FOLDER:
        return ACCEPTED[layout].get(genre, ())
    wanted = _plain(genre)
    known = {_plain(name): right for table in reversed(ACCEPTED.values()) for name, right in table.items()}
    return known.get(wanted, tuple(label for label in LABELS[:-1] if _plain(label) == wanted))


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def scores(found: FieldSet, ask: EvaluationRequest) -> Iterator[MetricValue]:
    """Figures of the analysis `genre`, clip by clip; a file that cannot be read is named and left out."""
    every = max(1, len(found.items) // ask.limit) if ask.limit else 1
    count, group = len(found.items[::every]), f"recordings of {found.root.absolute().name}"
    if found.layout == FOLDER:
        strange = sorted({name for item in found.items for name in item.labels if not accepted_genres(FOLDER, name)})
        last = f"; strangers are of {', '.join(strange)}" if strange else ""
        ask.say(f"{count} files of {found.root}, their genres by their folders{last}")
    else:
        ask.say(f"{found.layout}: {count} clips of its test, without known faults")
    for item in found.items[::every]:
        path = found.root / item.files[0]
        try:
            values, reason = analysis_of_file(path, "genre"), "it is silent"
        except AntiphonError as error:
            values, reason = {"genre": None}, str(error)
        if values["genre"] is None:
            ask.say(f"{item.name} is left out: {reason}")
            continue
        right = accepted_genres(found.layout, item.labels[0])
        if not right:
            yield MetricValue("genre", "strangers unknown", item.name, float(values["genre"] == "unknown"), group)
            continue
        top = [label for label, _ in values["genres"]]
        yield MetricValue("genre", "accuracy", item.name, float(values["genre"] in right), group)
        yield MetricValue("genre", "top 3", item.name, float(any(label in right for label in top)), group)
