"""FMA: clips or whole tracks of the Free Music Archive in four sizes (Defferrard et al., ISMIR 2017)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.rules import files_below, layout_error
from antiphon_models.datasets.records import TEST, TRAIN, VALID, DatasetListing, Item

SIZES = {"fma_small": 8_000, "fma_medium": 25_000, "fma_large": 106_574, "fma_full": 106_574}
"""Published numbers of tracks by size; each includes the smaller ones."""
_SPLITS = {"training": TRAIN, "validation": VALID, "test": TEST}
_SHORT = {98565, 98567, 98569, 99134, 108925, 133297}
"""Clips of the small set that are much shorter than 30 s, or empty (the data set's issues 4, 8 and 41)."""
_UNREADABLE = set(tomllib.loads(Path(__file__).with_name("fma_unreadable.toml").read_text())["tracks"])
"""Clips of the large set that failed to decode (the data set's issue 49)."""


def listing(root: Path) -> DatasetListing:
    """The largest part present; with `fma_metadata/tracks.csv` also genres, splits and missing tracks."""
    part = next((name for name in reversed(SIZES) if (root / name).is_dir()), "")
    if not part:
        raise layout_error(root, "fma", "there is none of the folders fma_small, fma_medium, fma_large and fma_full")
    table = root / "fma_metadata" / "tracks.csv"
    digests = tables.digests(root / part / "checksums", "sha1")
    if table.is_file():
        items = tuple(_listed(part, table, digests))
        absent: tuple[str, ...] = ()
    else:
        items = tuple(
            _item(part, int(path.stem), "", "", (), digests)
            for path in files_below(root / part, ".mp3")
            if path.stem.isdigit()
        )
        absent = ("there is no fma_metadata/tracks.csv: what is missing, splits and genres are not known",)
    return DatasetListing(
        items, part, SIZES[part], "artist", "published with the data set, by artist" if not absent else "", absent
    )


def _listed(part: str, table: Path, digests: Mapping[str, str]) -> list[Item]:
    groups, names, _, *rows = tables.plain_rows(table)
    columns = {pair: place for place, pair in enumerate(zip(groups, names, strict=False))}
    split, subset = columns[("set", "split")], columns[("set", "subset")]
    genre, artist = columns[("track", "genre_top")], columns[("artist", "id")]
    within = {name.removeprefix("fma_") for name in list(SIZES)[: list(SIZES).index(part) + 1]}
    if part == "fma_full":
        within.add("large")
    return [
        _item(part, int(row[0]), row[artist], _SPLITS.get(row[split], ""), (row[genre],) if row[genre] else (), digests)
        for row in rows
        if row[subset] in within
    ]


def _item(part: str, track: int, artist: str, split: str, labels: tuple[str, ...], digests: Mapping[str, str]) -> Item:
    place = f"{track // 1000:03}/{track:06}.mp3"
    fault = ""
    if part != "fma_full" and track in _SHORT:
        fault = "its clip is far shorter than 30 s, or empty (issues 4, 8 and 41 of the data set)"
    elif part == "fma_large" and track in _UNREADABLE:
        fault = "reported as unreadable (issue 49 of the data set)"
    return Item(f"{track:06}", (f"{part}/{place}",), artist, split, labels, digests.get(place, ""), fault)
