"""Scores and performances in MIDI: Lakh, its piano rolls, MAESTRO, Groove, MuseData, VGMIDI, OpenMSX, POP909."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.annotations import key_of, tempo_in
from antiphon_models.datasets.layouts.rules import (
    ItemRules,
    assign_splits,
    files_below,
    first_folder,
    item_of_group,
    layout_error,
    made_by,
    relative,
    split_of,
)
from antiphon_models.datasets.records import SPLITS, TEST, TRAIN, DatasetListing, Item

LAKH = {"lmd_full": 176_581, "lmd_matched": 115_190, "clean_midi": 17_257}
"""Number of files per part, from the most selective part on."""
ROLLS = {"lpd_5_cleansed": 21_425, "lpd_5_matched": 115_160, "lpd_5_full": 174_154}
MAESTRO_PIECES = {"v1": 1_184, "v2": 1_282, "v3": 1_276}
GROOVE_PIECES, MUSEDATA_PIECES, VGMIDI_PIECES, POP_SONGS, OPENMSX_SONGS = 1_150, 783, 200, 909, 31
_MIDI = (".mid", ".midi")
_POP_LISTS = {"beats": "beat_midi.txt", "chords": "chord_midi.txt", "keys": "key_audio.txt"}


def lakh(root: Path) -> DatasetListing:
    """The Lakh MIDI dataset (Raffel, 2016): a file's name is the MD5 digest of its bytes, but for clean_midi."""
    place = first_folder(root, list(LAKH))
    if place is None:
        raise layout_error(root, "lakh", "there is none of the folders lmd_full, lmd_matched and clean_midi")
    items = []
    for path in files_below(place, *_MIDI):
        named = place.name != "clean_midi"
        group = path.parent.name if place.name != "lmd_full" else path.stem
        digest = f"md5:{path.stem}" if named else ""
        items.append(item_of_group(relative(path, place), (relative(path, root),), group, digest=digest))
    shared = {"lmd_full": "file", "lmd_matched": "track", "clean_midi": "artist"}[place.name]
    return assign_splits(items, shared, LAKH[place.name], place.name)


def rolls(root: Path) -> DatasetListing:
    """The Lakh Pianoroll dataset (Dong et al., 2018): archives of arrays, by track of the Million Song Dataset."""
    found = [(name, place) for name in ROLLS for top in ("lpd_5/", "lpd/", "") if (place := root / top / name).is_dir()]
    if not found:
        raise layout_error(root, "lpd", "there is none of lpd_5/lpd_5_cleansed, lpd_5_matched and lpd_5_full")
    name, place = found[0]
    paths = files_below(place, ".npz")
    items = (item_of_group(path.stem, (relative(path, root),), path.parent.name) for path in paths)
    return assign_splits(items, "track", ROLLS[name], name)


def maestro(root: Path) -> DatasetListing:
    """MAESTRO (Hawthorne et al., 2019), any version: performances of piano pieces, with sound or MIDI alone."""
    found = [
        p
        for kind in ("csv", "json")
        for p in (*sorted(root.glob(f"maestro-v*.{kind}")), *sorted(root.glob(f"maestro-v*/maestro-v*.{kind}")))
    ]
    if not found:
        raise layout_error(root, "maestro", "there is no maestro-v3.0.0.csv or .json, nor one of v1 or v2")
    table = found[0]
    rows = tables.rows(table) if table.suffix == ".csv" else tables.json_rows(table)
    items, sound = _performances(
        rows, root, table.parent, "{midi_filename}", "{canonical_composer}: {canonical_title}", "{canonical_composer}"
    )
    notes = () if sound else ("there is no sound: the part with MIDI alone",)
    published = MAESTRO_PIECES.get(table.stem.removeprefix("maestro-").split(".")[0], 0)
    return DatasetListing(items, table.stem, published, "piece", "published with the data set, by piece", notes=notes)


def groove(root: Path) -> DatasetListing:
    """The Groove MIDI dataset (Gillick et al., 2019): performances of drummers, with sound or without."""
    top = first_folder(root, ["groove", "."]) or root
    if not (top / "info.csv").is_file():
        raise layout_error(root, "groove", "there is no groove/info.csv")
    rows = [{**row, "style": row["style"].split("/")[0]} for row in tables.rows(top / "info.csv")]
    items, _ = _performances(rows, root, top, "{id}", "{drummer}", "{style}", "{beat_type}", tempo="{bpm}")
    return DatasetListing(items, "", GROOVE_PIECES, "drummer", "published with the data set, by performance")


def _performances(
    rows: Sequence[dict[str, str]], root: Path, top: Path, name: str, group: str, *labels: str, tempo: str = ""
) -> tuple[tuple[Item, ...], bool]:
    """The items of a table with columns for the files of MIDI and sound, and whether there is sound."""
    sound = any(True for _ in files_below(top, ".wav"))
    place = f"{relative(top, root)}/".removeprefix("./")
    midi = ItemRules(name, (place + "{midi_filename}",), group, "{split}", labels, tempo)
    both = replace(midi, files=(*midi.files, place + "{audio_filename}"))
    return tuple((both if sound and row.get("audio_filename") else midi).item(row) for row in rows), sound


def musedata(root: Path) -> DatasetListing:
    """MuseData as Boulanger-Lewandowski, Bengio and Vincent (2012) split it: folders train, valid and test."""
    top = first_folder(root, ["MuseData", "."]) or root
    if not any((top / split).is_dir() for split in SPLITS):
        raise layout_error(root, "musedata", "there is no MuseData/train, valid and test with MIDI files")
    items = tuple(
        Item(f"{split}/{path.stem}", (relative(path, root),), path.stem, split)
        for split in SPLITS
        for path in files_below(top / split, *_MIDI)
    )
    absent = tuple(f"there is no folder {split}" for split in SPLITS if not (top / split).is_dir())
    return DatasetListing(items, "", MUSEDATA_PIECES, "piece", "published: by folder", absent)


def vgmidi(root: Path) -> DatasetListing:
    """VGMIDI (Ferreira and Whitehead, ISMIR 2019): piano arrangements of music of video games, some with a mood."""
    places = [place for part in ("labelled", "unlabelled") if (place := first_folder(root, [f"{part}/midi", part]))]
    if not places:
        raise layout_error(root, "vgmidi", "there is no labelled/midi, nor unlabelled/midi")
    splits = {
        Path(field).stem: split
        for split in (TRAIN, TEST)
        for table in sorted(root.glob(f"labelled/*{split}*.csv"))
        for row in tables.plain_rows(table)
        for field in row
        if field.lower().endswith(_MIDI)
    }
    items = []
    for place in places:
        part = place.name if place.parent == root else place.parent.name
        for path in files_below(place, *_MIDI):
            game = path.stem.rsplit("_", 1)[0]
            split = splits.get(path.stem, "") if splits else split_of(game)
            items.append(Item(f"{part}/{path.stem}", (relative(path, root),), game, split, (part,)))
    by = "published with the data set" if splits else made_by("game")
    return DatasetListing(tuple(items), "", VGMIDI_PIECES if len(places) == 1 else 0, "game", by)


def openmsx(root: Path) -> DatasetListing:
    """OpenMSX, the music of OpenTTD, as Debian's package has it, unpacked: songs of bands with drums and bass."""
    found = sorted(root.rglob("openmsx/*.mid"))
    if not found:
        raise layout_error(root, "openttd-openmsx", "there is no openmsx/*.mid")
    return assign_splits(
        (item_of_group(path.stem, (relative(path, root),), path.stem) for path in found), "song", OPENMSX_SONGS
    )


def pop909(root: Path) -> DatasetListing:
    """POP909 (Wang et al., ISMIR 2020): songs as melody, second melody and piano, with beats, chords and keys."""
    top = first_folder(root, ["POP909", "."]) or root
    numbers = [f"{number:03}" for number in range(1, POP_SONGS + 1)]
    if not any((top / number).is_dir() for number in numbers):
        raise layout_error(root, "pop909", "there is no POP909/001/001.mid")
    return assign_splits((_pop_song(root, top / number) for number in numbers), "song", POP_SONGS)


def _pop_song(root: Path, folder: Path) -> Item:
    number, tempo = folder.name, folder / "tempo.txt"  # the tempo was published later, with phrases
    lists = {kind: relative(folder / name, root) for kind, name in _POP_LISTS.items()}
    path = root / lists["keys"]
    keys = {key_of(line.split()[-1]) for line in tables.lines(path)} if path.is_file() else set()
    return item_of_group(
        number,
        (relative(folder / f"{number}.mid", root), *lists.values()),
        number,
        tempo=tempo_in(tempo) if tempo.is_file() else 0.0,
        key=keys.pop() if len(keys) == 1 else "",
        annotations=lists,
    )
