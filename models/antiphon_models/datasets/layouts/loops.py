"""The Freesound Loop Dataset (Ramires et al., ISMIR 2020)."""

from __future__ import annotations

from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.walking import files_below, first_folder, relative, unlike
from antiphon_models.datasets.records import DatasetListing, Item
from antiphon_models.datasets.splitting import made_by, split_of

LOOPS = 9_455
"""As published."""


def listing(root: Path) -> DatasetListing:
    """The loops of metadata.json, or those that are there; a sound's number begins the name of its file."""
    top = first_folder(root, ["FSL10K", "."]) or root
    sounds = first_folder(top, ["audio/wav", "audio/original", "audio"])
    if sounds is None:
        raise unlike(root, "fsld", "there is no FSL10K/audio/wav")
    there: dict[str, Path] = {}
    for path in files_below(sounds, ".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3"):
        there.setdefault(path.name.split("_")[0].split(".")[0], path)
    table = top / "metadata.json"
    known = tables.json_object(table) if table.is_file() else {}
    items = []
    for number in sorted(known or there, key=lambda key: (len(key), key)):
        about = known.get(number, {})
        owner = str(about.get("username", "")) if isinstance(about, dict) else ""
        tags = tuple(str(tag) for tag in about.get("tags", ())) if isinstance(about, dict) else ()
        place = there.get(number, sounds / f"{number}.wav")
        items.append(Item(number, (relative(place, root),), owner or number, split_of(owner or number), tags))
    absent = () if known else ("there is no metadata.json: owners, tags, licences and what is missing are not known",)
    return DatasetListing(tuple(items), "", LOOPS, "owner", made_by("owner"), absent)
