"""GTZAN's genres, with the split that leaves its known faults out, and its set of music and speech."""

from pathlib import Path

from antiphon_models.datasets.layouts.rules import (
    assign_splits,
    files_below,
    first_folder,
    item_of_group,
    layout_error,
    relative,
)
from antiphon_models.datasets.records import SPLITS, DatasetListing, Item

CLIPS = 100
"""Clips per genre."""
FOLDERS = ("genres", "genres_original", "Data/genres_original", "gtzan_genre/genres", ".")
_SUFFIXES = (".wav", ".au")
# Clips of each genre for training, validation and test, after Kereliuk, Sturm and Larsen (2015): by artist, without
# the repetitions, wrong labels and distortions that Sturm (2013) found.
_FILTERED = {
    "blues": ("29-49 73-97", "0-11 50-60", "12-28 61-72 98 99"),
    "classical": ("30-33 43-48 50-67 80-99", "0-10 68-76", "11-29 34-41 49 77-79"),
    "country": ("19-26 28 29 65-99", "0-7 9-18 27 41 42 45 49", "30-40 43 44 46-48 50 51 53-64"),
    "disco": (
        "5 15-20 22-37 39-45 47 49 53 54 56 57 59 61 70 73 74 89",
        "0 2-4 6-14 46 48 52 67 68 72 75 90 95",
        "1 21 58 62-66 69 76-88 91-94 96 97 99",
    ),
    "hiphop": ("2-25 28 29 31-38 41 42 55-61 77-80", "81-98", "0 26 27 30 40 43-45 51-54 62-75 99"),
    "jazz": ("0 1 11-24 41 47-72", "2-10 25-32", "73-99"),
    "metal": (
        "2 3 5 21 24 35 46-57 59-66 69 71 72 79 80 84 86 89-99",
        "0 1 6-11 16-20 36 37 68 76 77 81 82",
        "12-15 22 23 25-33 38 39 67 70 73-75 78 83 85 87 88",
    ),
    "pop": (
        "2-9 11 12 16-20 23-29 31-36 38-42 44 46 49 50 80 97-99",
        "10 53 55 58-62 81 83-86",
        "0 1 13 14 43 63-66 69-79 82 88-96",
    ),
    "reggae": (
        "0-2 4 6 9 11 12 14-32 42-45 49-51 54-60 63 69",
        "61 62 70 72 74 76-78 85 92-99",
        "34-40 46-48 52 53 64-68 71 79 82-84 87-90",
    ),
    "rock": ("0-9 16-26 57-70 91-99", "38 49-56 71-85", "10-15 27-37 39-48 86-90"),
}
GENRES = tuple(_FILTERED)
SPEECH_CLIPS = 64
"""Clips of music, and of speech."""


def listing(root: Path) -> DatasetListing:
    """The thousand clips, in wav or au; those outside the filtered split are marked faulty."""
    place = next((root / name for name in FOLDERS if any((root / name / genre).is_dir() for genre in GENRES)), None)
    clips = place is not None and any(True for genre in GENRES for _ in files_below(place / genre, *_SUFFIXES))
    if place is None or not clips:
        raise layout_error(
            root, "gtzan", "there is no genres/blues, nor genres_original/blues, with blues.00000.au or .wav"
        )
    suffix = _suffix(place)
    items = []
    for genre, parts in _FILTERED.items():
        splits = {n: split for split, ranges in zip(SPLITS, parts, strict=True) for n in _numbers(ranges)}
        for number in range(CLIPS):
            name = f"{genre}.{number:05}"
            file = relative(place / genre / f"{name}{suffix}", root)
            fault = (
                "" if number in splits else "left out of the fault-filtered split: a repetition, or wrong or distorted"
            )
            items.append(Item(name, (file,), name, splits.get(number, ""), (genre,), fault=fault))
    gone = [genre for genre in GENRES if not (place / genre).is_dir()]
    return DatasetListing(
        tuple(items),
        place.name if place != root else "",
        len(items),
        "clip",
        "published: fault-filtered, by artist (Kereliuk, Sturm and Larsen 2015)",
        (f"a part of the data set: there is no folder {', '.join(gone)}",) if gone else (),
        notes=("jazz.00054 cannot be read in copies that were made to wav for Kaggle",),
    )


def speech_listing(root: Path) -> DatasetListing:
    """The set of music and speech, as folders of wav or of the au files of the publication."""
    items = []
    for label in ("music", "speech"):
        place = first_folder(
            root, [f"{top}{folder}" for top in ("", "music_speech/") for folder in (f"{label}_wav", label)]
        )
        if place is None:
            raise layout_error(
                root, "gtzan-speech", f"there is no music_speech/{label}_wav, nor {label} with .au files"
            )
        for path in files_below(place, *_SUFFIXES):
            items.append(item_of_group(f"{label}/{path.stem}", (relative(path, root),), path.stem, (label,)))
    return assign_splits(items, "recording", 2 * SPEECH_CLIPS, by="name")


def _suffix(place: Path) -> str:
    """Most frequent suffix of the clips."""
    counts = {suffix: sum(1 for genre in GENRES for _ in files_below(place / genre, suffix)) for suffix in _SUFFIXES}
    return max(counts, key=lambda suffix: counts[suffix])


def _numbers(ranges: str) -> set[int]:
    """Numbers of a text such as "0-2 5"."""
    ends = (part.split("-") for part in ranges.split())
    return {number for end in ends for number in range(int(end[0]), int(end[-1]) + 1)}
