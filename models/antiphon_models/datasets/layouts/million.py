"""The Million Song Dataset: one file of features a track, and text lists of the benchmarks' splits."""

from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.rules import files_below, first_folder, layout_error, made_by, relative, split_of
from antiphon_models.datasets.records import SPLITS, DatasetListing, Item

TRACKS, SUBSET_TRACKS = 1_000_000, 10_000
"""Tracks of the whole set, and of the subset."""
SEPARATOR = "<SEP>"
_SPLIT_LISTS = ("{}_x_msd_id.txt", "{}.txt", "{}_msd_id.txt")


def listing(root: Path) -> DatasetListing:
    """Tracks present; with AdditionalFiles also expected tracks, artists, and wrong song matches."""
    data = first_folder(root, ["MillionSongSubset/data", "MillionSongSubset", "data", "."]) or root
    subset = "subset" in data.as_posix().lower() or (root / "AdditionalFiles/subset_unique_tracks.txt").is_file()
    names = _lines(root, "subset_unique_tracks.txt" if subset else "unique_tracks.txt")
    artists = {row[0]: row[2] for line in names if len(row := line.split(SEPARATOR)) >= 4}
    there = {path.stem: path for path in files_below(data, ".h5")}
    if not there:
        raise layout_error(root, "msd", "there is no A/B/C/TRABC….h5, in data/ or MillionSongSubset/")
    errors = [line for line in _lines(root, "sid_mismatches.txt") if line.startswith("ERROR: <SO")]
    wrong = {line.split("<", 1)[1].split(" ")[1].split(">")[0] for line in errors}
    splits = _splits(root)
    lacking = "there is no AdditionalFiles/unique_tracks.txt: artists, and what is missing, are not known"
    items = []
    for track in sorted(artists or there):
        place = there.get(track, data / track[2] / track[3] / track[4] / f"{track}.h5")
        artist = artists.get(track, "")
        split = splits.get(track, "") if splits else split_of(artist or track)
        fault = "matched to a wrong song (sid_mismatches.txt)" if track in wrong else ""
        items.append(Item(track, (relative(place, root),), artist, split, fault=fault))
    pickles = sorted(path.name for path in root.rglob("*") if path.suffix in (".cP", ".pkl"))
    notes = (
        (f"{', '.join(pickles)}: not opened, since a pickle can run code; save the lists as text",) if pickles else ()
    )
    by = "text lists of a benchmark" if splits else made_by("artist")
    part, published = ("subset", SUBSET_TRACKS) if subset else ("", TRACKS)
    return DatasetListing(tuple(items), part, published, "artist", by, () if artists else (lacking,), notes)


def _lines(root: Path, name: str) -> list[str]:
    """Lines of a list, in AdditionalFiles or beside it; empty without the file."""
    path = next((place for place in (root / "AdditionalFiles" / name, root / name) if place.is_file()), None)
    return tables.lines(path) if path else []


def _splits(root: Path) -> dict[str, str]:
    folders = [folder for folder in (root, root / "splits", root / "MSD_split_for_tagging") if folder.is_dir()]
    lists = {
        split: path
        for split in SPLITS
        for folder in folders
        for pattern in _SPLIT_LISTS
        if (path := folder / pattern.format(split)).is_file()
    }
    return {track: split for split, path in lists.items() for track in tables.lines(path)}
