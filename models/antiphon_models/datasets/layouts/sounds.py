"""Recordings of instruments and single sounds.

Instruments: IRMAS, Medley-solos-DB, Slakh with its stems, GuitarSet, notes of NSynth. Sounds: those of Freesound, in
its loop data set (Ramires et al., ISMIR 2020) or of a search.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.rules import (
    SPLIT_NAMES,
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

IRMAS_TRAINING, IRMAS_TEST, MEDLEY_CLIPS, SLAKH_TRACKS, BABY_TRACKS, GUITAR_TAKES = 6_705, 2_874, 21_571, 2_100, 20, 360
"""Published numbers of items."""
IRMAS = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic guitar",
    "gel": "electric guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
"""Instruments by folder name."""
_IRMAS_PARTS = tuple(f"IRMAS-TestingData-Part{part}" for part in (1, 2, 3))
_IRMAS_CLIP = rf"(?P<label>{'|'.join(IRMAS)})/(?P<name>.*?(?P<song>\d+)__\d+|[^/]+)"
"""Pattern of published file names with the song's number; any other file is a song by itself."""
_MEDLEY = "Medley-solos-DB"
_MEDLEY_RULES = ItemRules(
    "{uuid4}",
    ("{sounds}/Medley-solos-DB_{subset}-{instrument_id}_{uuid4}.wav",),
    "{song_id}",
    "{subset}",
    ("{instrument}",),
)
_SLAKH_SPLITS = ("train", "validation", "test", "omitted")
_SLAKH_VALUE = re.compile(r"^(?:  (S\d+):|    (inst_class|integrated_loudness|midi_saved): (.*)|UUID: (.*))$")
_GUITAR_TAKE = r"(?P<name>(?P<player>\d+)_(?P<style>[A-Za-z]+)\d*-(?P<tempo>\d+)-[A-G][b#]?_(?:comp|solo))"
_GUITAR_SOUNDS = {
    "audio_mono-mic": "mic",
    "audio_mono-pickup_mix": "mix",
    "audio_hex-pickup_original": "hex",
    "audio_hex-pickup_debleeded": "hex_cln",
}
_STYLES = {"BN": "bossa nova", "Funk": "funk", "Jazz": "jazz", "Rock": "rock", "SS": "singer-songwriter"}


def irmas(root: Path) -> DatasetListing:
    """IRMAS (Bosch et al., ISMIR 2012): three seconds with a lead instrument; the test part labels all instruments."""
    training = next((root / top for top in ("IRMAS-TrainingData", ".") if (root / top / "cel").is_dir()), None)
    training = training or first_folder(root, ["IRMAS-TrainingData"])
    parts = [part for part in _IRMAS_PARTS if (root / part).is_dir()]
    if training is None and not parts:
        raise layout_error(
            root, "irmas", "there is no IRMAS-TrainingData with the folders cel to voi, nor a testing part"
        )
    items = []
    for found in matches(root, training, _IRMAS_CLIP, ".wav") if training else ():
        name = found["name"] if found["song"] else f"{found['label']}/{found['name']}"
        items.append(Item(name, (found["path"],), found["song"] or name, TRAIN, (IRMAS[found["label"]],)))
    for part in parts:
        for found in matches(root, root / part, r"(?:.*/)?(?P<name>(?P<song>[^/]+?)(?:-\d+)?)", ".wav"):
            marks = Path(found["path"]).with_suffix(".txt").as_posix()
            there = tables.lines(root / marks) if (root / marks).is_file() else ()
            labels = tuple(IRMAS.get(mark, mark) for mark in there)
            items.append(Item(f"{part}/{found['name']}", (found["path"], marks), found["song"], TEST, labels))
    absent = [] if training else ["there is no IRMAS-TrainingData"]
    absent += [f"there is no {part}" for part in _IRMAS_PARTS if part not in parts]
    published = IRMAS_TRAINING * bool(training) + IRMAS_TEST * (len(parts) == len(_IRMAS_PARTS))
    return DatasetListing(
        tuple(items), "", published, "recording", "published with the data set; none is for validation", tuple(absent)
    )


def medley_solos(root: Path) -> DatasetListing:
    """Medley-solos-DB (Lostanlen and Cella, ISMIR 2016): three seconds of one instrument alone."""
    table = next((p for top in ("annotation", ".") if (p := root / top / f"{_MEDLEY}_metadata.csv").is_file()), None)
    if table is None:
        raise layout_error(root, "medley-solos", f"there is no annotation/{_MEDLEY}_metadata.csv")
    sounds = first_folder(root, ["audio", _MEDLEY, "."]) or root
    rows = tables.rows(table)
    items = tuple(_MEDLEY_RULES.item({**row, "sounds": relative(sounds, root)}) for row in rows)
    return DatasetListing(items, "", MEDLEY_CLIPS, "song", "published with the data set, by song")


def slakh(root: Path) -> DatasetListing:
    """Slakh (Manilow et al., WASPAA 2019): mixtures of rendered MIDI with the sound and score of each part."""
    top = first_folder(root, ["slakh2100_flac_redux", "slakh2100_flac", "babyslakh_16k"]) or root
    split = any((top / name).is_dir() for name in _SLAKH_SPLITS)
    tracks = sorted(top.glob("*/Track*" if split else "Track*"))
    if not tracks:
        raise layout_error(
            root, "slakh", "there is no slakh2100_flac_redux/train/Track00001, nor babyslakh_16k/Track00001"
        )
    absent = [f"there is no folder {name}" for name in _SLAKH_SPLITS[:3] if split and not (top / name).is_dir()]
    return DatasetListing(
        tuple(_slakh_track(place, root, split=split) for place in tracks if place.is_dir()),
        top.name if top != root else "",
        SLAKH_TRACKS if split else BABY_TRACKS,
        "MIDI file",
        "published with the data set" if split else made_by("MIDI file"),
        tuple(absent),
    )


def _slakh_track(place: Path, root: Path, *, split: bool) -> Item:
    """Builds a track's item; stems that were not rendered have no loudness in the metadata, and no sound."""
    about = place / "metadata.yaml"
    source, part = place.name, ""
    parts: dict[str, dict[str, str]] = {}
    for line in tables.lines(about, stripped=False) if about.is_file() else ():
        if found := _SLAKH_VALUE.match(line):
            source = found[4] or source
            part = found[1] or part
            if found[2]:
                parts.setdefault(part, {})[found[2]] = found[3].strip()
    suffix = ".flac" if (place / "mix.flac").is_file() else ".wav"
    suffix = ".flac" if split and not (place / "mix.wav").is_file() else suffix
    stems = {
        relative(place / f"stems/{name}{suffix}", root): found.get("inst_class", "")
        for name, found in parts.items()
        if "integrated_loudness" in found
    }
    scores = [f"MIDI/{name}.mid" for name, found in parts.items() if found.get("midi_saved") == "true"]
    files = [relative(place / name, root) for name in (f"mix{suffix}", "metadata.yaml", "all_src.mid", *scores)]
    folder = place.parent.name
    return Item(
        f"{folder}/{place.name}" if split else place.name,
        (files[0], *stems, *files[1:]),
        source,
        SPLIT_NAMES.get(folder, "") if split else split_of(source),
        tuple(dict.fromkeys(stems.values())),
        fault="left out by the authors: its MIDI file is in another split too" if folder == "omitted" else "",
        stems=stems,
    )


def guitarset(root: Path) -> DatasetListing:
    """GuitarSet (Xi et al., ISMIR 2018): six players, each piece as chords and as a solo."""
    folders = {name: ending for name, ending in _GUITAR_SOUNDS.items() if (root / name).is_dir()}
    takes = list(matches(root, root / "annotation", _GUITAR_TAKE, ".jams"))
    if not takes:
        raise layout_error(root, "guitarset", "there is no annotation/00_BN1-129-Eb_comp.jams")
    files = tuple(f"{name}/{{name}}_{ending}.wav" for name, ending in folders.items())
    annotations = dict.fromkeys(("beats", "chords", "keys"), "{path}")
    rules = ItemRules("{name}", files, "{player}", labels=("{style}",), tempo="{tempo}", annotations=annotations)
    items = tuple(rules.item({**take, "style": _STYLES.get(take["style"], take["style"])}) for take in takes)
    absent = () if folders else ("there is no sound, as audio_mono-mic has it: annotations alone",)
    return assign_splits(items, "player", GUITAR_TAKES, absent=absent)


LOOPS = 9_455
"""Published number of loops."""
NOTES = {"train": 289_205, "valid": 12_678, "test": 4_096}
"""Published number of notes by split."""
SOUNDS = "sounds.json"
"""File of `antiphon dataset fetch` with each sound's metadata, by its number."""


def loops(root: Path) -> DatasetListing:
    """Lists the loops of metadata.json, or those present; a file name begins with the sound's number."""
    top = first_folder(root, ["FSL10K", "."]) or root
    sounds = first_folder(top, ["audio/wav", "audio/original", "audio"])
    if sounds is None:
        raise layout_error(root, "fsld", "there is no FSL10K/audio/wav")
    there: dict[str, Path] = {}
    for path in files_below(sounds, ".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3"):
        there.setdefault(path.name.split("_")[0].split(".")[0], path)
    table = top / "metadata.json"
    known = tables.json_object(table) if table.is_file() else {}
    items = []
    for number in _sort_by_number(known or there):
        about = known[number] if isinstance(known.get(number), dict) else {}
        tags = tuple(str(tag) for tag in about.get("tags", ()))
        place = there.get(number, sounds / f"{number}.wav")
        items.append(item_of_group(number, (relative(place, root),), str(about.get("username", "")) or number, tags))
    absent = () if known else ("there is no metadata.json: owners, tags, licences and what is missing are not known",)
    return assign_splits(items, "owner", LOOPS, absent=absent)


def freesound(root: Path) -> DatasetListing:
    """Lists the sounds of `SOUNDS`, split by owner. The licence of each is also a label: "licence:URL"."""
    if not (root / SOUNDS).is_file():
        raise layout_error(root, "freesound", f"there is no {SOUNDS}, which `antiphon dataset fetch` writes")
    known = tables.json_object(root / SOUNDS)
    items = []
    for number in _sort_by_number(known):
        about = known[number] if isinstance(known[number], dict) else {}
        licence = f"licence:{about.get('license') or 'unknown'}"
        tags = [*(about.get("queries") or ()), *(about.get("tags") or ()), licence]
        labels = tuple(dict.fromkeys(str(tag) for tag in tags))
        items.append(item_of_group(number, (f"audio/{number}.mp3",), str(about.get("username") or number), labels))
    return assign_splits(items, "owner")


def _sort_by_number(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=lambda number: (len(number), number))


def notes(root: Path) -> DatasetListing:
    """NSynth (Engel et al., 2017): the parts present; each is a split with its own instruments."""
    parts = [split for split in SPLITS if (root / f"nsynth-{split}" / "examples.json").is_file()]
    if not parts:
        raise layout_error(root, "nsynth", "there is no nsynth-train/examples.json, nor one of valid or test")
    items = tuple(
        Item(
            name,
            (relative(root / f"nsynth-{split}" / "audio" / f"{name}.wav", root),),
            str(about.get("instrument_str")),
            split,
            (str(about.get("instrument_family_str")),),
        )
        for split in parts
        for name, about in sorted(tables.json_object(root / f"nsynth-{split}" / "examples.json").items())
    )
    absent = tuple(f"there is no nsynth-{split}" for split in SPLITS if split not in parts)
    part = ", ".join(f"nsynth-{split}" for split in parts)
    by = "published with the data set, by instrument for training"
    return DatasetListing(items, part, sum(NOTES[split] for split in parts), "instrument", by, absent)
