"""Recordings with genres or tags: FMA, GTZAN, tagging sets, the Million Song Dataset; any folder of folders."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from antiphon.api import FileError
from antiphon_models.datasets import tables
from antiphon_models.datasets.examination import SCORES, SOUND
from antiphon_models.datasets.layouts.rules import (
    assign_splits,
    files_below,
    first_folder,
    item_of_group,
    layout_error,
    made_by,
    relative,
    split_of,
)
from antiphon_models.datasets.records import SPLITS, TEST, TRAIN, VALID, DatasetListing, Item

SIZES = {"fma_small": 8_000, "fma_medium": 25_000, "fma_large": 106_574, "fma_full": 106_574}
"""Published numbers of tracks by size; each includes the smaller ones."""
_FMA_SPLITS = {"training": TRAIN, "validation": VALID, "test": TEST}
_SHORT = {98565, 98567, 98569, 99134, 108925, 133297}
"""Clips of the small set that are much shorter than 30 s, or empty (the data set's issues 4, 8 and 41)."""
_UNREADABLE = set(tomllib.loads(Path(__file__).with_name("fma_unreadable.toml").read_text())["tracks"])
"""Clips of the large set that failed to decode (the data set's issue 49)."""


def fma(root: Path) -> DatasetListing:
    """Lists the largest FMA part present; `fma_metadata/tracks.csv` adds genres, splits and missing tracks."""
    part = next((name for name in reversed(SIZES) if (root / name).is_dir()), "")
    if not part:
        raise layout_error(root, "fma", "there is none of the folders fma_small, fma_medium, fma_large and fma_full")
    table = root / "fma_metadata" / "tracks.csv"
    digests = tables.digests(root / part / "checksums", "sha1")
    if table.is_file():
        items = tuple(_fma_listed(part, table, digests))
        absent: tuple[str, ...] = ()
    else:
        items = tuple(
            _fma_item(part, int(path.stem), "", "", (), digests)
            for path in files_below(root / part, ".mp3")
            if path.stem.isdigit()
        )
        absent = ("there is no fma_metadata/tracks.csv: what is missing, splits and genres are not known",)
    return DatasetListing(
        items, part, SIZES[part], "artist", "published with the data set, by artist" if not absent else "", absent
    )


def _fma_listed(part: str, table: Path, digests: Mapping[str, str]) -> list[Item]:
    groups, names, _, *rows = tables.plain_rows(table)
    columns = {pair: place for place, pair in enumerate(zip(groups, names, strict=False))}
    split, subset = columns[("set", "split")], columns[("set", "subset")]
    genre, artist = columns[("track", "genre_top")], columns[("artist", "id")]
    within = {name.removeprefix("fma_") for name in list(SIZES)[: list(SIZES).index(part) + 1]}
    if part == "fma_full":
        within.add("large")
    return [
        _fma_item(
            part,
            int(row[0]),
            row[artist],
            _FMA_SPLITS.get(row[split], ""),
            (row[genre],) if row[genre] else (),
            digests,
        )
        for row in rows
        if row[subset] in within
    ]


def _fma_item(
    part: str, track: int, artist: str, split: str, labels: tuple[str, ...], digests: Mapping[str, str]
) -> Item:
    place = f"{track // 1000:03}/{track:06}.mp3"
    fault = ""
    if part != "fma_full" and track in _SHORT:
        fault = "its clip is far shorter than 30 s, or empty (issues 4, 8 and 41 of the data set)"
    elif part == "fma_large" and track in _UNREADABLE:
        fault = "reported as unreadable (issue 49 of the data set)"
    return Item(f"{track:06}", (f"{part}/{place}",), artist, split, labels, digests.get(place, ""), fault)


CLIPS = 100
"""Clips per genre."""
FOLDERS = ("genres", "genres_original", "Data/genres_original", "gtzan_genre/genres", ".")
_SUFFIXES = (".wav", ".au")
_FILTERED: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("gtzan_filtered.toml").read_text())
"""Clips of each genre by split, as "0-2 5"."""
GENRES = tuple(_FILTERED)
SPEECH_CLIPS = 64
"""Number of clips of music, and of speech."""


def gtzan(root: Path) -> DatasetListing:
    """Lists GTZAN's thousand clips, in wav or au; those outside the filtered split are marked faulty."""
    place = next((root / name for name in FOLDERS if any((root / name / genre).is_dir() for genre in GENRES)), None)
    clips = place is not None and any(True for genre in GENRES for _ in files_below(place / genre, *_SUFFIXES))
    if place is None or not clips:
        raise layout_error(
            root, "gtzan", "there is no genres/blues, nor genres_original/blues, with blues.00000.au or .wav"
        )
    suffix = _suffix(place)
    items = []
    for genre, parts in _FILTERED.items():
        splits = {n: split for split, ranges in parts.items() for n in _numbers(ranges)}
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


def gtzan_speech(root: Path) -> DatasetListing:
    """Lists GTZAN's music and speech set, as folders of wav or of the published au files."""
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


TRACKS, SUBSET_TRACKS = 1_000_000, 10_000
"""Tracks of the whole set, and of the subset."""
SEPARATOR = "<SEP>"
_SPLIT_LISTS = ("{}_x_msd_id.txt", "{}.txt", "{}_msd_id.txt")


def million_song(root: Path) -> DatasetListing:
    """Lists the tracks present; AdditionalFiles adds expected tracks, artists, and wrong song matches."""
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


MTAT_CLIPS, CAL500_SONGS, CAL10K_SONGS, OPENMIC_CLIPS = 25_863, 502, 10_870, 20_000
"""Published numbers of items."""
_MTAT_EMPTY = {
    "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
    "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
}
"""Files of MagnaTagATune that are empty as published."""
_MTAT_VALID, _MTAT_TEST = "c", "def"
JAMENDO = {"": 55_609, "genre": 55_215, "instrument": 25_135, "moodtheme": 18_486}
"""Published number of tracks by kind of tags; "" for all kinds."""
RELEVANT = 0.5
"""OpenMIC likelihood at and above which an instrument counts as present."""


def jamendo(root: Path, kind: str = "") -> DatasetListing:
    """MTG-Jamendo (Bogdanov et al., 2019): tracks with tags, in the first of its five published splits, by artist."""
    stem = f"autotagging_{kind}" if kind else "autotagging"
    place = f"data/{stem}.tsv"
    top = next((root / top for top in (".", "mtg-jamendo-dataset", "metadata") if (root / top / place).is_file()), root)
    if not (top / place).is_file():
        raise layout_error(root, "jamendo", f"there is no {place}, beside data/splits and the sounds as 48/948.mp3")
    names = ["audio", "audios", "raw_30s/audio", "audio-low", "raw_30s/audio-low", "."]
    sounds = first_folder(root, names) or root
    ending = ".low.mp3" if sounds.name.endswith("low") else ".mp3"
    splits, absent = {}, []
    for name, split in (("train", TRAIN), ("validation", VALID), ("test", TEST)):
        path = top / f"data/splits/split-0/{stem}-{name}.tsv"
        if path.is_file():
            splits.update({row[0]: split for row in tables.plain_rows(path, "\t")[1:]})
        else:
            absent.append(f"there is no data/splits/split-0/{path.name}: that split is not known")
    digests = tables.digests(top / "data/download/raw_30s_audio_sha256_tracks.txt", "sha256")
    items = tuple(
        Item(
            track,
            (relative(sounds / f"{path.removesuffix('.mp3')}{ending}", root),),
            artist,
            splits.get(track, ""),
            tuple(tag.split("---", 1)[-1] if kind else tag for tag in tags),
            digests.get(path, "") if ending == ".mp3" else "",
        )
        for track, artist, _, path, _, *tags in tables.plain_rows(top / place, "\t")[1:]
    )
    return DatasetListing(items, stem, JAMENDO[kind], "artist", "published with the data set, by artist", tuple(absent))


def magnatagatune(root: Path) -> DatasetListing:
    """MagnaTagATune (Law et al., ISMIR 2009), split by folder: 0 to b train, c valid, d to f test."""
    table = root / "annotations_final.csv"
    if not table.is_file():
        raise layout_error(root, "magnatagatune", "there is no annotations_final.csv")
    sounds = first_folder(root, ["mp3", "mp3s", "."]) or root
    about = root / "clip_info_final.csv"
    artists = {row["clip_id"]: row.get("artist", "") for row in tables.rows(about, "\t")} if about.is_file() else {}
    items = []
    for row in tables.rows(table, "\t"):
        clip, place = row.pop("clip_id", ""), row.pop("mp3_path", "")
        if not place:
            raise FileError(
                f"{table} has a row without mp3_path: its columns are separated by tabs, the last is mp3_path"
            )
        split = VALID if place[0] in _MTAT_VALID else TEST if place[0] in _MTAT_TEST else TRAIN
        tags = tuple(tag for tag, value in row.items() if value == "1")
        group = artists.get(clip, "")
        fault = "published empty" if place in _MTAT_EMPTY else ""
        items.append(Item(clip or place, (relative(sounds / place, root),), group, split, tags, fault=fault))
    absent = () if artists else ("there is no clip_info_final.csv: artists are not known",)
    return DatasetListing(tuple(items), "", MTAT_CLIPS, "artist", "the usual one, by folder", absent)


def cal500(root: Path) -> DatasetListing:
    """CAL500 (Turnbull et al., 2008): songs with 174 tags each."""
    names = root / "songNames.txt"
    sounds = first_folder(root, ["CAL500_32kps", "CAL500_32kps/CAL500_32kps", "mp3"])
    if sounds is None:
        raise layout_error(root, "cal500", "there is no CAL500_32kps with mp3 files")
    absent = []
    if names.is_file():
        songs = [line.split()[0] for line in tables.lines(names)]
    else:
        songs = [path.stem for path in files_below(sounds, ".mp3")]
        absent.append("there is no songNames.txt: what is missing is not known")
    tags: list[tuple[str, ...]] = [()] * len(songs)
    vocabulary, annotations = root / "vocab.txt", root / "hardAnnotations.txt"
    if vocabulary.is_file() and annotations.is_file():
        words, marks = tables.lines(vocabulary), tables.plain_rows(annotations)
        if len(marks) != len(songs):
            raise FileError(
                f"{annotations} has {len(marks)} rows for {len(songs)} songs: one of the lists is not whole"
            )
        tags = [tuple(w for w, mark in zip(words, row, strict=False) if mark.strip() == "1") for row in marks]
    else:
        absent.append("there are no vocab.txt and hardAnnotations.txt: tags are not known")
    items = (
        item_of_group(song, (relative(sounds / f"{song}.mp3", root),), song.split("-")[0], labels)
        for song, labels in zip(songs, tags, strict=True)
    )
    return assign_splits(items, "artist", CAL500_SONGS, absent=absent)


def cal10k(root: Path) -> DatasetListing:
    """CAL10k (Tingle, Kim and Turnbull, 2010), published without sound: owners keep it by artist and title."""
    sounds = first_folder(root, ["mp3", "audio", "."]) or root
    items = [
        item_of_group(relative(path, sounds), (relative(path, root),), path.parent.name)
        for path in files_below(sounds, ".mp3", ".flac", ".ogg", ".wav")
        if path.parent != sounds
    ]
    if not items:
        raise layout_error(root, "cal10k", "there is no mp3/ARTIST/TITLE.mp3")
    absent = ("tags are not read: the data set's own lists were not at hand when this was written",)
    return assign_splits(items, "artist", CAL10K_SONGS, absent=absent)


def openmic(root: Path) -> DatasetListing:
    """OpenMIC-2018 (Humphrey, Durand and McFee, ISMIR 2018): ten-second clips, partly marked for 20 instruments."""
    top = first_folder(root, ["openmic-2018", "."]) or root
    table = top / "openmic-2018-aggregated-labels.csv"
    if not table.is_file():
        raise layout_error(root, "openmic", "there is no openmic-2018-aggregated-labels.csv")
    tags: dict[str, list[str]] = {}
    for row in tables.rows(table):
        present = tags.setdefault(row["sample_key"], [])
        if float(row["relevance"] or 0) >= RELEVANT:
            present.append(row["instrument"])
    splits: dict[str, str] = {}
    absent = []
    for split, name in ((TRAIN, "split01_train.csv"), (TEST, "split01_test.csv")):
        path = top / "partitions" / name
        if path.is_file():
            splits.update((line.split(",")[0], split) for line in tables.lines(path))
        else:
            absent.append(f"there is no partitions/{name}: that split is not known")
    items = tuple(
        Item(
            key,
            (relative(top / "audio" / key[:3] / f"{key}.ogg", root),),
            key.split("_")[0],
            splits.get(key, ""),
            tuple(labels),
        )
        for key, labels in sorted(tags.items())
    )
    return DatasetListing(items, "", OPENMIC_CLIPS, "track", "published with the data set", tuple(absent))


_NON_CLASS_NAMES = re.compile(
    r"(audio|sound|wav|mp3|flac|file|data|dataset|sample|clip|recording|train|training|test|testing|valid|validation|"
    r"eval|dev|fold|split)s?([ _-]?\d+)?|.*(training|testing|validation)[ _-]?(data|set)?([ _-]?(part)?[ _-]?\d+)?",
    re.IGNORECASE,
)
"""Folder names that are no classes: formats, splits, parts."""
_TABLES = (".csv", ".tsv", ".json", ".jams")
_CLIP = re.compile(r"([ ._-]*(clip|part|seg|segment)?[ ._-]*\(?\d{1,5}\)?)+$", re.IGNORECASE)
"""Clip number at the end of a file name of a song."""


def folders(root: Path) -> DatasetListing:
    """Lists items with the top-level folders as classes.

    A song is a folder below a class, else a file name without its trailing numbers, unless that is the class's own
    name.
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
