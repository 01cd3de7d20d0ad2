"""One loader for each data set. `layout_of` finds one by its name."""

from __future__ import annotations

from antiphon.datasets.layouts import fma, folders, gtzan, loops, million, notes, scores, searched, tagged
from antiphon.datasets.records import DatasetLayout
from antiphon.errors import UsageError
from antiphon.runtime.shortening import short_repr

LAYOUTS = (
    DatasetLayout(
        "fma",
        "FMA: tracks with genres, in four sizes",
        "fma_small/000/000002.mp3, fma_metadata/tracks.csv",
        fma.listing,
    ),
    DatasetLayout(
        "gtzan", "GTZAN: a thousand clips of ten genres", "genres/blues/blues.00000.au (or .wav)", gtzan.listing
    ),
    DatasetLayout(
        "gtzan-speech", "GTZAN's music and speech", "music_speech/music_wav/*.wav, speech_wav", gtzan.speech_listing
    ),
    DatasetLayout(
        "magnatagatune", "MagnaTagATune: clips with tags", "annotations_final.csv, f/….mp3", tagged.magnatagatune
    ),
    DatasetLayout("msd", "Million Song Dataset: features", "data/A/B/C/TRABC….h5, AdditionalFiles/", million.listing),
    DatasetLayout(
        "cal500", "CAL500: songs with 174 tags", "songNames.txt, vocab.txt, CAL500_32kps/*.mp3", tagged.cal500
    ),
    DatasetLayout("cal10k", "CAL10k: songs of Pandora's tags", "mp3/ARTIST/TITLE.mp3", tagged.cal10k),
    DatasetLayout("fsld", "Freesound Loop Dataset", "FSL10K/metadata.json, FSL10K/audio/wav/*.wav", loops.listing),
    DatasetLayout("lakh", "Lakh MIDI dataset", "lmd_full/0/….mid, lmd_matched/ or clean_midi/", scores.lakh),
    DatasetLayout("lpd", "Lakh Pianoroll dataset", "lpd_5/lpd_5_cleansed/A/B/C/TRABC…/….npz", scores.rolls),
    DatasetLayout(
        "nsynth", "NSynth: notes of instruments", "nsynth-train/examples.json, nsynth-train/audio/", notes.listing
    ),
    DatasetLayout("maestro", "MAESTRO: piano performances", "maestro-v3.0.0.csv, 2004/….midi", scores.maestro),
    DatasetLayout("groove", "Groove: drummers in MIDI", "groove/info.csv, groove/drummer1/…", scores.groove),
    DatasetLayout(
        "musedata", "MuseData: classical scores", "MuseData/train, valid and test with .mid files", scores.musedata
    ),
    DatasetLayout(
        "vgmidi", "VGMIDI: music of video games", "labelled/midi/*.mid, unlabelled/midi/*.mid", scores.vgmidi
    ),
    DatasetLayout(
        "openmic", "OpenMIC-2018: instruments in clips", "openmic-2018-aggregated-labels.csv, audio/", tagged.openmic
    ),
    DatasetLayout("pop909", "POP909: pop songs as MIDI", "POP909/001/001.mid with beat_midi.txt", scores.pop909),
    DatasetLayout(
        "freesound", "sounds of a search, by `antiphon dataset fetch`", "sounds.json, audio/1234.mp3", searched.listing
    ),
    DatasetLayout("folder", "any folder of folders: a class each", "CLASS/NAME.wav", folders.listing),
)
NAMES = tuple(layout.name for layout in LAYOUTS)


def layout_of(name: str) -> DatasetLayout:
    """The loader of a data set.

    Raises:
        UsageError: There is none of this name.
    """
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise UsageError(f"there is no data set {short_repr(name)}; the names are {', '.join(NAMES)}")
