"""Recordings with many tags: MTG-Jamendo, MagnaTagATune, CAL500, CAL10k, OpenMIC."""

from pathlib import Path

from antiphon.api import FileError
from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.rules import (
    assign_splits,
    files_below,
    first_folder,
    item_of_group,
    layout_error,
    relative,
)
from antiphon_models.datasets.records import TEST, TRAIN, VALID, DatasetListing, Item

MTAT_CLIPS, CAL500_SONGS, CAL10K_SONGS, OPENMIC_CLIPS = 25_863, 502, 10_870, 20_000
"""As published."""
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
"""OpenMIC's likelihood from which an instrument counts as present."""


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
    """OpenMIC-2018 (Humphrey, Durand and McFee, ISMIR 2018): ten seconds each, twenty instruments, some marked."""
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
