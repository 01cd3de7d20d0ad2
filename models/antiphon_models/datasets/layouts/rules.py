"""Items from rows of a table or from file names: a loader is a table of patterns."""

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
"""Prefix of `DatasetListing.split_by` where no split is published."""
_VALID, _TEST = 8, 9  # of ten parts; those before are for training


def split_of(group: str) -> str:
    """Split of a group by its digest, 8:1:1, the same on every machine and for any other content of the data set."""
    part = int.from_bytes(hashlib.blake2b(group.encode("utf-8", "surrogateescape"), digest_size=8).digest()) % TENTHS
    return {_VALID: VALID, _TEST: TEST}.get(part, TRAIN)


def made_by(shared_by: str) -> str:
    """Sentence for a split made by `shared_by`."""
    return f"{MADE_HERE}: eight, one and one of ten by a digest of the {shared_by}"


def item_of_group(name: str, files: tuple[str, ...], group: str, labels: tuple[str, ...] = (), **known: Any) -> Item:
    """An item whose split follows from its group."""
    return Item(name, files, group, split_of(group), labels, **known)


def assign_splits(
    items: Iterable[Item], shared_by: str, published: int = 0, part: str = "", absent: Sequence[str] = (), by: str = ""
) -> DatasetListing:
    """Listing of items split by group; `by`: the digest's source, where `shared_by` does not say it in one word."""
    return DatasetListing(tuple(items), part, published, shared_by, made_by(by or shared_by), tuple(absent))


# ---- Finds files below a folder, in order, and the folder that holds them

MAX_FILES = 2_000_000
"""Maximum files of one data set; the largest has 300,000."""


def files_below(folder: Path, *suffixes: str) -> Iterator[Path]:
    """Files of known suffixes below a folder, sorted; hidden ones and links to folders are left out.

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
    """The error for a folder that is laid out otherwise."""
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
    """Item patterns, where "{column}" stands for a value of the row, or of a named group of the file's name.

    Attributes:
        group: What items of two splits must not share.
        split: One of `SPLIT_NAMES`, else it is in none; "" where splits are made here, by the group.
        labels: Of the item; those that are empty are left out.
        tempo: In beats a minute.
        annotations: Files by what is in them; see `Item`.
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
        """The item of a row. Raises `KeyError`: the row lacks a column."""
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

    All of the path below `place`, without its suffix, has to match `pattern`.
    """
    wanted = re.compile(pattern)
    for path in files_below(place, *suffixes):
        if found := wanted.fullmatch(path.relative_to(place).with_suffix("").as_posix()):
            yield {**{name: value or "" for name, value in found.groupdict().items()}, "path": relative(path, root)}
