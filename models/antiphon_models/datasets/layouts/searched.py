"""Sounds of a search at Freesound, as `antiphon dataset fetch` writes them."""

from __future__ import annotations

from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.walking import unlike
from antiphon_models.datasets.records import DatasetListing, Item
from antiphon_models.datasets.splitting import made_by, split_of

SOUNDS = "sounds.json"
"""What is known of each sound, by its number."""


def listing(root: Path) -> DatasetListing:
    """The sounds of `SOUNDS`, in splits by owner. The licence of each is a label too: "licence:URL"."""
    if not (root / SOUNDS).is_file():
        raise unlike(root, "freesound", f"there is no {SOUNDS}, which `antiphon dataset fetch` writes")
    known = tables.json_object(root / SOUNDS)
    items = []
    for number in sorted(known, key=lambda key: (len(key), key)):
        about = known[number] if isinstance(known[number], dict) else {}
        owner = str(about.get("username") or number)
        tags = [
            *(about.get("queries") or ()),
            *(about.get("tags") or ()),
            f"licence:{about.get('license') or 'unknown'}",
        ]
        labels = tuple(dict.fromkeys(str(tag) for tag in tags))
        items.append(Item(number, (f"audio/{number}.mp3",), owner, split_of(owner), labels))
    return DatasetListing(tuple(items), "", 0, "owner", made_by("owner"))
