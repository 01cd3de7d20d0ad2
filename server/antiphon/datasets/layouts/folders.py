"""Any folder of folders: each folder is a class, and holds sounds or scores."""

from __future__ import annotations

import re
from pathlib import Path

from antiphon.datasets.examination import SCORES, SOUND
from antiphon.datasets.layouts.walking import files_below, relative, unlike
from antiphon.datasets.records import DatasetListing, Item
from antiphon.datasets.splitting import made_by, split_of

_CLIP = re.compile(r"([ ._-]*(clip|part|seg|segment)?[ ._-]*\(?\d{1,5}\)?)+$", re.IGNORECASE)
"""What tells the clips of a song apart: a number at the end of their names."""


def listing(root: Path) -> DatasetListing:
    """Classes are the folders at the top. A song is a folder below one, else a name without the numbers at its end."""
    items = []
    for path in files_below(root, *sorted(SOUND | SCORES)):
        place = path.relative_to(root)
        if len(place.parts) < 2:
            continue
        stem = _CLIP.sub("", path.stem) or path.stem
        group = "/".join(place.parts[:2]) if len(place.parts) > 2 else f"{place.parts[0]}/{stem}"
        items.append(Item(place.as_posix(), (relative(path, root),), group, split_of(group), (place.parts[0],)))
    if not items:
        raise unlike(root, "folder", "there are no folders with sounds or MIDI files in it")
    return DatasetListing(tuple(items), "", 0, "song", made_by("song, or the folder below a class"))
