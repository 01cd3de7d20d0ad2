"""Records of a data set's loader: its items, each with files, split and sharing group."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TRAIN, VALID, TEST = "train", "valid", "test"
SPLITS = (TRAIN, VALID, TEST)


@dataclass(frozen=True, slots=True)
class Item:
    """A recording, piece or clip.

    Attributes:
        files: Its files, relative to the data set's folder, with "/"; the first is the sound or score.
        group: The value that items of different splits must not share: an artist, a song, a player.
        split: One of `SPLITS`; "" where it is in no split.
        digest: "md5:…" or "sha1:…" of its first file, where the data set states it.
        fault: Its known fault; "" for none.
        tempo: Beats a minute; 0 where it is not known.
        key: "A minor"; "" where it is not known.
        annotations: By kind ("beats", "chords", "keys", "sections"), its annotation files, which
            `annotations.annotations_of` reads.
    """

    name: str
    files: tuple[str, ...]
    group: str = ""
    split: str = ""
    labels: tuple[str, ...] = ()
    digest: str = ""
    fault: str = ""
    tempo: float = 0.0
    key: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    stems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetListing:
    """Listing of a data set.

    Attributes:
        part: The part present: "fma_small".
        published: Number of items published in that part; 0 where it is not known.
        shared_by: What a group consists of: "artist".
        absent: Missing lists, and the information missing with them.
    """

    items: tuple[Item, ...]
    part: str = ""
    published: int = 0
    shared_by: str = "song"
    split_by: str = ""
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """A data set that can be read.

    `tree`: its folder layout, in a line. `listing`: lists the items of a folder. Raises FileError where the layout is
    another one.
    """

    name: str
    title: str
    tree: str
    listing: Callable[[Path], DatasetListing]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check.

    Attributes:
        part: Part of the data set, as `DatasetListing.part`.
        published: Number of published items, as `DatasetListing.published`.
        notes: Notes and absent lists of the `DatasetListing`.
        splits: Number of complete items per split that are not known to be faulty; "" for those in no split.
        annotated: Number of those items with a tempo, a key, beats, chords, …, stems.
    """

    name: str
    path: str
    part: str
    items: int
    published: int
    shared_by: str
    split_by: str
    notes: tuple[str, ...]
    files: int
    missing: tuple[str, ...]
    damaged: Mapping[str, str] = field(default_factory=dict)
    faulty: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    annotated: Mapping[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not self.missing and not self.damaged
