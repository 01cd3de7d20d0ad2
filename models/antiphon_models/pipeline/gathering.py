"""Step gather: the items of a data set as one list, deterministic for the same files."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from antiphon.api import FileError
from antiphon.api.backends.files import write_atomic
from antiphon_models.datasets.examination import SOUND
from antiphon_models.datasets.layouts import listing_of
from antiphon_models.datasets.layouts.rules import MADE_HERE, split_of
from antiphon_models.pipeline.settings import PipelineSettings

ITEMS = "items.jsonl"
"""File name of the list, a JSON object per line, by name."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """A sound to process.

    Attributes:
        path: Path of its file, relative to the data set's folder.
        split: "train", "valid", "test" or "".
    """

    name: str
    path: str
    group: str
    split: str
    labels: tuple[str, ...]


def gather(settings: PipelineSettings) -> list[SourceItem]:
    """Lists the sounds without known faulty ones, and writes the list.

    Raises `FileError`: the folder is laid out otherwise, holds no sound, or the list cannot be written.
    """
    listing = listing_of(settings.gather.dataset, settings.gather.path)
    alone = settings.gather.group == "none"
    dealt = alone and listing.split_by.startswith(MADE_HERE)
    items = sorted(
        (
            SourceItem(
                item.name,
                file,
                item.name if alone else item.group,
                split_of(item.name) if dealt else item.split,
                item.labels,
            )
            for item in listing.items
            if not item.fault
            for file in [file for file in item.files if Path(file).suffix.lower() in SOUND][:1]
        ),
        key=lambda item: item.name,
    )
    if not items:
        raise FileError(f"{settings.gather.path} holds no sound of {settings.gather.dataset}")
    lines = "".join(
        json.dumps({"name": i.name, "path": i.path, "group": i.group, "split": i.split, "labels": i.labels}) + "\n"
        for i in items
    )
    write_atomic(settings.out / ITEMS, lines.encode())
    return items


def read_items(settings: PipelineSettings) -> list[SourceItem]:
    """List written by `gather`. Raises `FileError`: it is missing or damaged."""
    path = settings.out / ITEMS
    try:
        found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return [SourceItem(i["name"], i["path"], i["group"], i["split"], tuple(i["labels"])) for i in found]
    except FileNotFoundError:
        raise FileError(f"there is no {path}: run the step gather first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} cannot be read: run the step gather again ({error})") from None


def shard_of(name: str, shards: int) -> int:
    """Shard of an item, by its name alone: additions change no other shard."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()) % shards
