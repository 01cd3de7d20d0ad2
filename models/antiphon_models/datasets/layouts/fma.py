"""FMA: clips or whole tracks of the Free Music Archive in four sizes (Defferrard et al., ISMIR 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.walking import files_below, unlike
from antiphon_models.datasets.records import TEST, TRAIN, VALID, DatasetListing, Item

SIZES = {"fma_small": 8_000, "fma_medium": 25_000, "fma_large": 106_574, "fma_full": 106_574}
"""Tracks of each, as published; each holds those before it."""
_SPLITS = {"training": TRAIN, "validation": VALID, "test": TEST}
_SHORT = {98565, 98567, 98569, 99134, 108925, 133297}
"""Clips of the small set that are much shorter than 30 s, or empty (the data set's issues 4, 8 and 41)."""
_UNREADABLE = {
    2624, 3284, 8669, 10116, 11583, 12838, 13529, 14116, 14180, 20814, 22554, 23429, 23430, 23431, 25173, 25174,
    25175, 25176, 25180, 29345, 29346, 29352, 29356, 33411, 33413, 33414, 33417, 33418, 33419, 33425, 35725, 39363,
    41745, 42986, 43753, 50594, 50782, 53668, 54569, 54582, 61480, 61822, 63422, 63997, 72656, 72980, 73510, 80553,
    82699, 84503, 84504, 84522, 84524, 86656, 86659, 86661, 86664, 87057, 90244, 90245, 90247, 90248, 90250, 90252,
    90253, 90442, 90445, 91206, 92479, 94052, 94234, 95253, 96203, 96207, 96210, 98105, 98562, 101265, 101272,
    101275, 102241, 102243, 102247, 102249, 102289, 106409, 106412, 106415, 106628, 108920, 109266, 110236, 115610,
    117441, 127928, 129207, 129800, 130328, 130748, 130751, 131545, 133641, 133647, 134887, *range(140449, 140473),
    142614, 144518, 144619, 145056, 146056, 147419, 147424, *range(148786, 148796), 151920, 155051,
}  # fmt: skip
"""Clips of the large set that a user could not decode (the data set's issue 49)."""


def listing(root: Path) -> DatasetListing:
    """The largest part that is there; with `fma_metadata/tracks.csv` also genres, splits and what is missing."""
    part = next((name for name in reversed(SIZES) if (root / name).is_dir()), "")
    if not part:
        raise unlike(root, "fma", "there is none of the folders fma_small, fma_medium, fma_large and fma_full")
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
