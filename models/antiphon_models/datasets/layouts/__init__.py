"""One loader per data set. `layout_of` finds a loader by name; `listing_of` lists a data set's items in a folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from antiphon.api import FileError, UsageError
from antiphon.api.backends.runtime import instead, short_repr
from antiphon_models.datasets.layouts import annotated, sounds, tagged
from antiphon_models.datasets.records import DatasetLayout, DatasetListing

_JAMENDO = "data/autotagging{}.tsv, data/splits/, audio/48/948.mp3"

_ROWS: tuple[tuple[str, str, str, Callable[[Path], DatasetListing]], ...] = (
    ("fma", "FMA: tracks with genres, in four sizes", "fma_small/000/000002.mp3, fma_metadata/tracks.csv", tagged.fma),
    ("gtzan", "GTZAN: a thousand clips of ten genres", "genres/blues/blues.00000.au (or .wav)", tagged.gtzan),
    ("gtzan-speech", "GTZAN's music and speech", "music_speech/music_wav/*.wav, speech_wav", tagged.gtzan_speech),
    ("magnatagatune", "MagnaTagATune: clips with tags", "annotations_final.csv, f/….mp3", tagged.magnatagatune),
    ("msd", "Million Song Dataset: features", "data/A/B/C/TRABC….h5, AdditionalFiles/", tagged.million_song),
    ("cal500", "CAL500: songs with 174 tags", "songNames.txt, vocab.txt, CAL500_32kps/*.mp3", tagged.cal500),
    ("cal10k", "CAL10k: songs of Pandora's tags", "mp3/ARTIST/TITLE.mp3", tagged.cal10k),
    ("fsld", "Freesound Loop Dataset", "FSL10K/metadata.json, FSL10K/audio/wav/*.wav", sounds.loops),
    ("lakh", "Lakh MIDI dataset", "lmd_full/0/….mid, lmd_matched/ or clean_midi/", annotated.lakh),
    ("lpd", "Lakh Pianoroll dataset", "lpd_5/lpd_5_cleansed/A/B/C/TRABC…/….npz", annotated.rolls),
    ("nsynth", "NSynth: notes of instruments", "nsynth-train/examples.json, nsynth-train/audio/", sounds.notes),
    ("maestro", "MAESTRO: piano performances", "maestro-v3.0.0.csv or .json, 2004/….midi", annotated.maestro),
    ("groove", "Groove: drummers in MIDI", "groove/info.csv, groove/drummer1/…", annotated.groove),
    ("musedata", "MuseData: classical scores", "MuseData/train, valid and test with .mid files", annotated.musedata),
    ("vgmidi", "VGMIDI: music of video games", "tagged/midi/*.mid, unlabelled/midi/*.mid", annotated.vgmidi),
    ("openmic", "OpenMIC-2018: instruments in clips", "openmic-2018-aggregated-labels.csv, audio/", tagged.openmic),
    ("openttd-openmsx", "OpenMSX: bands in MIDI, of Debian", "usr/…/openmsx/*.mid", annotated.openmsx),
    ("pop909", "POP909: pop songs as MIDI", "POP909/001/001.mid with beat_midi.txt", annotated.pop909),
    ("jamendo", "MTG-Jamendo: tracks with tags of all kinds", _JAMENDO.format(""), tagged.jamendo),
    *(
        (
            f"jamendo-{name}",
            f"MTG-Jamendo: tags of {what}",
            _JAMENDO.format(f"_{kind}"),
            partial(tagged.jamendo, kind=kind),
        )
        for name, kind, what in (
            ("genre", "genre", "genre"),
            ("instrument", "instrument", "instruments"),
            ("mood", "moodtheme", "mood"),
        )
    ),
    ("giantsteps-key", "GiantSteps: keys", "annotations/key/….key, audio/….mp3", annotated.giantsteps_key),
    ("giantsteps-tempo", "GiantSteps: tempos", "annotations_v2/tempo/….bpm, audio/….mp3", annotated.giantsteps_tempo),
    ("ballroom", "Ballroom: tempos and beats", "BallroomData/Waltz/*.wav, BallroomAnnotations/", annotated.ballroom),
    ("isophonics", "Beatles, Queen …: chords", "annotations/chordlab/ARTIST/ALBUM/….lab, audio/", annotated.isophonics),
    ("slakh", "Slakh: mixtures with stems", "slakh2100_flac_redux/train/Track00001/stems/S00.flac", sounds.slakh),
    ("irmas", "IRMAS: instruments", "IRMAS-TrainingData/cel/*.wav, IRMAS-TestingData-Part1/", sounds.irmas),
    (
        "medley-solos",
        "Medley-solos-DB: instruments",
        "annotation/Medley-solos-DB_metadata.csv, audio/",
        sounds.medley_solos,
    ),
    ("guitarset", "GuitarSet: chords and solos", "annotation/*.jams, audio_mono-mic/*_mic.wav", sounds.guitarset),
    ("freesound", "sounds of a search, by `antiphon dataset fetch`", "sounds.json, audio/1234.mp3", sounds.freesound),
    ("folder", "any folder of folders: a class each", "CLASS/NAME.wav", tagged.folders),
)
LAYOUTS = tuple(DatasetLayout(*row) for row in _ROWS)
SIGNS = {
    "fma": ("fma_metadata/tracks.csv",),
    "gtzan": ("*/blues/blues.00000.*", "*/jazz/jazz.00000.*", "gtzan_genre"),
    "magnatagatune": ("annotations_final.csv",),
    "fsld": ("FSL10K",),
    "nsynth": ("nsynth-*/examples.json",),
    "maestro": ("maestro-v*.csv", "maestro-v*.json", "maestro-v*/maestro-v*.csv"),
    "groove": ("info.csv", "groove/info.csv"),
    "openmic": ("openmic-2018-aggregated-labels.csv", "openmic-2018"),
    "openttd-openmsx": ("usr/share/games/openttd/baseset/openmsx",),
    "pop909": ("POP909/001", "[0-9][0-9][0-9]/beat_midi.txt"),
    "jamendo": ("data/autotagging*.tsv", "*/data/autotagging*.tsv"),
    "giantsteps-key": ("annotations/key/*.LOFI.key", "keys_gs+"),
    "giantsteps-tempo": ("giantsteps-tempo-dataset*", "annotations*/tempo/*.LOFI.bpm"),
    "ballroom": ("BallroomData", "B_1.0", "VienneseWaltz"),
    "isophonics": ("annotations/chordlab", "chordlab"),
    "slakh": ("Track*/metadata.yaml", "*/Track*/metadata.yaml", "*/*/Track*/metadata.yaml"),
    "irmas": ("IRMAS-T*",),
    "medley-solos": ("Medley-solos-DB_metadata.csv", "*/Medley-solos-DB_metadata.csv"),
    "guitarset": ("audio_mono-mic", "audio_mono-pickup_mix", "annotation/*_comp.jams"),
    "freesound": ("sounds.json",),
}
"""Glob patterns by data set, which match only in that data set's folder."""
NAMES = tuple(layout.name for layout in LAYOUTS)


def layout_of(name: str) -> DatasetLayout:
    """The loader of a data set. Raises `UsageError`: the name is unknown."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise UsageError(f"there is no data set {short_repr(name)}{instead(name, NAMES, 'the names are')}")


def listing_of(name: str, root: Path) -> DatasetListing:
    """Lists the items of a data set in a folder.

    Raises `FileError`: it is not a folder, or has another layout; if that is the layout of another data set, the
    message names it. `UsageError`: there is no such data set.
    """
    layout = layout_of(name)
    if not root.is_dir():
        raise FileError(f"{root} is not a folder: give the one that holds the data set, laid out as {layout.tree}")
    looks = [other for other, signs in SIGNS.items() if any(any(root.glob(sign)) for sign in signs)]
    meant = f"; did you mean {' or '.join(looks[:2])}?" if looks else ""
    if looks and layout.listing is tagged.folders:
        raise FileError(f"{root} is not laid out as folder is: its folders are those of a known data set{meant}")
    try:
        return layout.listing(root)
    except (KeyError, ValueError) as error:
        raise FileError(f"a table in {root} is not that of {name}: column or value {error}") from None
    except FileError as error:
        raise FileError(f"{error}{meant if name not in looks else ''}") from None
