"""Any folder of folders: each folder is a class, and holds sounds or scores."""

import re
from pathlib import Path

from antiphon_models.datasets.examination import SCORES, SOUND
from antiphon_models.datasets.layouts.rules import assign_splits, files_below, item_of_group, layout_error, relative
from antiphon_models.datasets.records import DatasetListing

_NON_CLASS_NAMES = re.compile(
    r"(audio|sound|wav|mp3|flac|file|data|dataset|sample|clip|recording|train|training|test|testing|valid|validation|"
    r"eval|dev|fold|split)s?([ _-]?\d+)?|.*(training|testing|validation)[ _-]?(data|set)?([ _-]?(part)?[ _-]?\d+)?",
    re.IGNORECASE,
)
"""Folder names that are no classes: formats, splits, parts."""
_TABLES = (".csv", ".tsv", ".json", ".jams")
_CLIP = re.compile(r"([ ._-]*(clip|part|seg|segment)?[ ._-]*\(?\d{1,5}\)?)+$", re.IGNORECASE)
"""Clip number at the end of a file name of a song."""


def listing(root: Path) -> DatasetListing:
    """Items with the top folders as classes.

    A song is a folder below one, else a name without the numbers at its end,
    unless that is the class's own name.
    """
    items = []
    for path in files_below(root, *sorted(SOUND | SCORES)):
        place = path.relative_to(root)
        if len(place.parts) < 2:
            continue
        stem = _CLIP.sub("", path.stem) or path.stem
        if stem.casefold() == place.parts[0].casefold():  # kick/kick1.wav is a kick, not a part of the song "kick"
            stem = path.stem
        group = "/".join(place.parts[:2]) if len(place.parts) > 2 else f"{place.parts[0]}/{stem}"
        items.append(item_of_group(place.as_posix(), (relative(path, root),), group, (place.parts[0],)))
    if not items:
        raise layout_error(root, "folder", "there are no folders with sounds or MIDI files in it")
    classes = sorted({item.labels[0] for item in items})
    table = next((relative(path, root) for path in files_below(root, *_TABLES)), "")
    holds_classes = len(classes) == 1 and all(item.name.count("/") > 1 for item in items)
    if holds_classes or all(_NON_CLASS_NAMES.fullmatch(name) for name in classes) or (len(classes) == 1 and table):
        beside = f", and {table} may hold the labels" if table else ""
        raise layout_error(
            root,
            "folder",
            f"the names of folders are the classes, and {', '.join(classes[:3])} is none{beside}; "
            "put the sounds of each class into a folder of its name, or take a name of `antiphon dataset list`",
        )
    return assign_splits(items, "song", by="song, or the folder below a class")
