"""Recordings with tempo, key, beats, chords or sections: GiantSteps, Ballroom, Beatles and the others of Isophonics."""

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
    matches,
    relative,
)
from antiphon_models.datasets.records import DatasetListing

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
