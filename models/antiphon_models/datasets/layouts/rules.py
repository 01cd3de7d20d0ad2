"""Builds items from table rows or file names: a loader is a table of patterns."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon_models.datasets.annotations import key_of
from antiphon_models.datasets.records import TEST, TRAIN, VALID, DatasetListing, Item

# ---- Splits for data sets without published ones: by the digest of a sharing group, so never within a song

TENTHS = 10
MADE_HERE = "made here"
"""Prefix of `DatasetListing.split_by` where the data set has no published split."""
_VALID, _TEST = 8, 9  # of ten parts; those before are for training


def split_of(group: str) -> str:
    """Split of a group by its digest, 8:1:1; it is the same on every machine and whatever else the data set holds."""
    part = int.from_bytes(hashlib.blake2b(group.encode("utf-8", "surrogateescape"), digest_size=8).digest()) % TENTHS
    return {_VALID: VALID, _TEST: TEST}.get(part, TRAIN)


def made_by(shared_by: str) -> str:
    """Describes a split made by `shared_by`, as a sentence."""
    return f"{MADE_HERE}: eight, one and one of ten by a digest of the {shared_by}"


def item_of_group(name: str, files: tuple[str, ...], group: str, labels: tuple[str, ...] = (), **known: Any) -> Item:
    """An item whose split follows from its group."""
    return Item(name, files, group, split_of(group), labels, **known)


def assign_splits(
    items: Iterable[Item], shared_by: str, published: int = 0, part: str = "", absent: Sequence[str] = (), by: str = ""
) -> DatasetListing:
    """Lists items, split by group; `by`: the digest's source, where `shared_by` is not enough to say it."""
    return DatasetListing(tuple(items), part, published, shared_by, made_by(by or shared_by), tuple(absent))


# ---- Finds files below a folder, in order, and the folder that holds them

MAX_FILES = 2_000_000
"""Maximum files of a data set; the largest one known has 300,000."""


def files_below(folder: Path, *suffixes: str) -> Iterator[Path]:
    """Files with given suffixes below a folder, sorted; hidden files and links to folders are left out.

    Raises `FileError`: there are more than `MAX_FILES`.
    """
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                count += 1
                if count > MAX_FILES:
                    raise FileError(f"{folder} holds more than {MAX_FILES:,} files: give the data set's own folder")
                yield Path(place) / name


def first_folder(root: Path, names: Sequence[str]) -> Path | None:
    """The first of these folders that exists; "." is the data set's own."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def layout_error(root: Path, name: str, wanted: str) -> FileError:
    """Returns the error for a folder with another layout."""
    return FileError(f"{root} is not laid out as {name} is: {wanted}")


def relative(path: Path, root: Path) -> str:
    """A path below the data set's folder, with "/"."""
    return path.relative_to(root).as_posix()


SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALID,
    "validation": VALID,
    "val": VALID,
    "test": TEST,
    "testing": TEST,
}
"""Split names by the authors' spelling."""


@dataclass(frozen=True, slots=True)
class ItemRules:
    """Patterns of an item, where "{column}" stands for a value of the row, or of a named group of the file's name.

    Attributes:
        group: The value that items of different splits must not share.
        split: A key of `SPLIT_NAMES`, else the item is in no split; "" where the split is made here by group.
        labels: Labels of the item; empty ones are left out.
        tempo: Tempo in BPM.
        annotations: Files by kind of annotation; see `Item`.
    """

    name: str
    files: tuple[str, ...]
    group: str
    split: str = ""
    labels: tuple[str, ...] = ()
    tempo: str = ""
    key: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def item(self, values: Mapping[str, str]) -> Item:
        """Builds the item of a row. Raises `KeyError`: the row lacks a column."""
        group = self.group.format_map(values)
        split = SPLIT_NAMES.get(self.split.format_map(values).lower(), "") if self.split else split_of(group)
        annotations = {kind: pattern.format_map(values) for kind, pattern in self.annotations.items()}
        return Item(
            self.name.format_map(values),
            (*(pattern.format_map(values) for pattern in self.files), *dict.fromkeys(annotations.values())),
            group,
            split,
            tuple(label for pattern in self.labels if (label := pattern.format_map(values))),
            tempo=float(self.tempo.format_map(values) or 0) if self.tempo else 0.0,
            key=key_of(self.key.format_map(values)),
            annotations=annotations,
        )


def matches(root: Path, place: Path, pattern: str, *suffixes: str) -> Iterator[dict[str, str]]:
    """Named groups of the name of each matching file below a folder, and "path" relative to `root`.

    The whole path below `place`, without suffix, must match `pattern`.
    """
    wanted = re.compile(pattern)
    for path in files_below(place, *suffixes):
        if found := wanted.fullmatch(path.relative_to(place).with_suffix("").as_posix()):
            yield {**{name: value or "" for name, value in found.groupdict().items()}, "path": relative(path, root)}
