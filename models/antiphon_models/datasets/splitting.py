"""Splits for data sets without published ones: by the digest of a sharing group, so never within a song."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from antiphon_models.datasets.records import TEST, TRAIN, VALID, DatasetListing, Item

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
