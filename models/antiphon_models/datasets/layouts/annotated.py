"""Recordings with tempo, key, beats, chords or sections; scores and performances in MIDI.

Recordings: GiantSteps, Ballroom, Beatles and the others of Isophonics. MIDI: Lakh, its piano rolls, MAESTRO, Groove,
MuseData, VGMIDI, OpenMSX, POP909.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.annotations import JAMS, jams_rows, key_of, tempo_in
from antiphon_models.datasets.layouts.rules import (
    ItemRules,
    assign_splits,
    files_below,
    first_folder,
    item_of_group,
    layout_error,
    made_by,
    matches,
    relative,
    split_of,
)
from antiphon_models.datasets.records import SPLITS, TEST, TRAIN, DatasetListing, Item

KEY_TRACKS, TEMPO_TRACKS, BALLROOM_TRACKS = 604, 664, 698
"""Published numbers of items."""
SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff")
_LISTS = {"beats": "beat", "chords": "chordlab", "keys": "keylab", "sections": "seglab"}
"""Folders of Isophonics by kind of annotation."""
_DANCE = r"(?P<dance>[A-Z][^/]+)/(?P<name>(?P<album>.+?)(?:-\d\d)?)"


def giantsteps_key(root: Path) -> DatasetListing:
    """GiantSteps key (Knees et al., ISMIR 2015), or GS+ (Faraldo, 2017): two minutes of dance music and its key."""
    for top in ("annotations/key", "annotations/giantsteps", "keys_gs+", "keys"):
        if keys := list(files_below(root / top, ".key", ".txt")):
            break
    else:
        raise layout_error(root, "giantsteps-key", "there is no annotations/key/1004923.LOFI.key, nor keys_gs+/….txt")
    items = []
    for path in keys:
        line = next(iter(tables.lines(path)), "")
        key = key_of(line)
        files = (f"audio/{path.stem}.mp3", relative(path, root))
        fault = "" if key else f"its key is not one: {line[:40] or 'an empty file'}"
        items.append(item_of_group(path.stem, files, path.stem, (key,) if key else (), key=key, fault=fault))
    return assign_splits(items, "track", KEY_TRACKS if "annotations" in top else 600)


def giantsteps_tempo(root: Path) -> DatasetListing:
    """GiantSteps tempo (Knees et al., ISMIR 2015; revised by Schreiber and Müller, 2018), with the genre of each."""
    tops = [top for top in (root, *sorted(root.glob("giantsteps-tempo-dataset*"))) if top.is_dir()]
    versions = [top / name for name in ("annotations_v2", "annotations") for top in tops]
    for version in versions:
        if files := [
            path for name in ("tempo", "giantsteps", "jams") for path in files_below(version / name, ".bpm", ".jams")
        ]:
            break
    else:
        raise layout_error(root, "giantsteps-tempo", "there is no annotations_v2/tempo/28952.LOFI.bpm, nor jams/….jams")
    items = []
    for path in {path.stem: path for path in reversed(files)}.values():
        jams = tables.json_object(path) if path.suffix == JAMS else {}
        genres = [str(row.get("value")) for row in jams_rows(jams, "genre")]
        if (genre := path.parents[1] / "genre" / f"{path.stem}.genre").is_file():
            genres = tables.lines(genre)
        tempo = tempo_in(path)
        files_of = (f"audio/{path.stem}.mp3", relative(path, root))
        fault = "" if tempo else "it has no tempo: its annotators did not agree on one"
        items.append(item_of_group(path.stem, files_of, path.stem, tuple(genres[:1]), tempo=tempo, fault=fault))
    return assign_splits(sorted(items, key=lambda item: item.name), "track", TEMPO_TRACKS, version.name)


def ballroom(root: Path) -> DatasetListing:
    """Ballroom (Gouyon et al., 2006): dances with their tempo; beats by Krebs, Böck and Widmer (2013)."""
    sounds = first_folder(root, ["BallroomData", "B_1.0/audio/BallroomData", "B_1.0/audio", "audio"]) or root
    tracks = list(matches(root, sounds, _DANCE, ".wav"))
    if not tracks:
        raise layout_error(root, "ballroom", "there is no BallroomData/Waltz/Media-105901.wav")
    lists = {path.name: path for path in files_below(root, ".beats", ".bpm")}
    rules = ItemRules("{name}", ("{path}",), "{album}", labels=("{dance}",), tempo="{tempo}")
    items = []
    for track in tracks:
        beats, tempo = (lists.get(f"{track['name']}{suffix}") for suffix in (".beats", ".bpm"))
        annotations = {"beats": relative(beats, root)} if beats else {}
        one = rules.item({**track, "tempo": f"{tempo_in(tempo):g}" if tempo else ""})
        items.append(replace(one, files=(*one.files, *annotations.values()), annotations=annotations))
    absent = [
        f"there is no {what}: {word} are not known"
        for suffix, what, word in (
            (".bpm", "BallroomAnnotations/ballroomGroundTruth", "tempos"),
            (".beats", "BallroomAnnotations with .beats", "beats"),
        )
        if not any(name.endswith(suffix) for name in lists)
    ]
    return assign_splits(items, "album", BALLROOM_TRACKS, absent=absent)


def isophonics(root: Path) -> DatasetListing:
    """Isophonics (Mauch et al., 2009): chords, keys, sections and beats of the Beatles, Queen and others."""
    top = first_folder(root, ["annotations", "."]) or root
    found: dict[str, dict[str, str]] = {}
    for kind, folder in _LISTS.items():
        for path in files_below(top / folder, ".lab", ".txt"):
            name = path.relative_to(top / folder).with_suffix("").as_posix()
            found.setdefault(name, {})[kind] = relative(path, root)
    if not found:
        raise layout_error(
            root, "isophonics", "there is no annotations/chordlab/ARTIST/ALBUM/TRACK.lab, nor seglab or beat"
        )
    audio = root / "audio"
    # below audio by artist and album, or by album
    sounds = {
        place.with_suffix("").as_posix(): place
        for path in files_below(audio, *SOUNDS)
        if (place := path.relative_to(audio))
    }
    items = []
    for name, lists in sorted(found.items()):
        own = sounds.get(name, sounds.get(name.partition("/")[2], Path(f"{name}.wav")))
        files = ((Path("audio") / own).as_posix(),) if sounds else ()
        album = name.rpartition("/")[0]
        items.append(item_of_group(name, (*files, *lists.values()), album, annotations=lists))
    return assign_splits(items, "album", absent=() if sounds else ("there is no sound in audio/: annotations alone",))


LAKH = {"lmd_full": 176_581, "lmd_matched": 115_190, "clean_midi": 17_257}
"""Number of files per part, from the most selective part on."""
ROLLS = {"lpd_5_cleansed": 21_425, "lpd_5_matched": 115_160, "lpd_5_full": 174_154}
MAESTRO_PIECES = {"v1": 1_184, "v2": 1_282, "v3": 1_276}
GROOVE_PIECES, MUSEDATA_PIECES, VGMIDI_PIECES, POP_SONGS, OPENMSX_SONGS = 1_150, 783, 200, 909, 31
_MIDI = (".mid", ".midi")
_POP_LISTS = {"beats": "beat_midi.txt", "chords": "chord_midi.txt", "keys": "key_audio.txt"}


def lakh(root: Path) -> DatasetListing:
    """The Lakh MIDI dataset (Raffel, 2016): a file's name is its MD5 digest, except in clean_midi."""
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
    """Items of a table with columns for MIDI and sound files, and whether sound is present."""
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
    """OpenMSX, the music of OpenTTD, as unpacked from Debian's package: songs of bands with drums and bass."""
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
