"""Items from rows of a table or from file names: a loader is a table of patterns."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from antiphon_models.datasets.annotations import key_of
from antiphon_models.datasets.layouts.walking import files_below, relative
from antiphon_models.datasets.records import TEST, TRAIN, VALID, Item
from antiphon_models.datasets.splitting import split_of

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
