"""Small trees in the layouts of real data sets, with sounds of a few frames and scores of one note."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import mido
import numpy as np
import soundfile

RATE = 8000


def sound(path: Path, frames: int = 800) -> None:
    """A short sound, in the format that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.sin(np.arange(frames) / 5)
    kinds = {".au": "AU", ".mp3": "MP3", ".ogg": "OGG", ".flac": "FLAC"}
    soundfile.write(path, wave, RATE, format=kinds.get(path.suffix, "WAV"))


def score(path: Path, note: int = 60) -> None:
    """A MIDI file of one note."""
    path.parent.mkdir(parents=True, exist_ok=True)
    track = mido.MidiTrack([mido.Message("note_on", note=note), mido.Message("note_off", note=note, time=480)])
    file = mido.MidiFile()
    file.tracks.append(track)
    file.save(path)


def table(path: Path, rows: Iterable[Iterable[object]], separator: str = ",") -> None:
    """A table, its names first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


def fma(root: Path) -> None:
    """Four tracks of three artists, one of them a known fault."""
    table(
        root / "fma_metadata/tracks.csv",
        [
            ["", "set", "set", "track", "artist"],
            ["", "split", "subset", "genre_top", "id"],
            ["track_id", "", "", "", ""],
            [2, "training", "small", "Rock", 1],
            [5, "validation", "small", "Folk", 2],
            [10, "test", "small", "Rock", 3],
            [98565, "training", "small", "Rock", 1],
            [200, "training", "medium", "Rock", 4],
        ],
    )
    digests = []
    for number in (2, 5, 10, 98565):
        place = f"{number // 1000:03}/{number:06}.mp3"
        sound(root / "fma_small" / place)
        digests.append(f"{hashlib.sha1((root / 'fma_small' / place).read_bytes()).hexdigest()}  {place}")
    (root / "fma_small/checksums").write_text("\n".join(digests))


def gtzan(root: Path) -> None:
    """The first clips of each genre, in au."""
    sound(root / "one.au", 10)
    for genre in ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"):
        (root / "genres" / genre).mkdir(parents=True)
        for number in range(100):
            (root / "genres" / genre / f"{genre}.{number:05}.au").hardlink_to(root / "one.au")


def gtzan_speech(root: Path) -> None:
    """Two recordings of each."""
    for place in ("music/bach", "music/jazz", "speech/news", "speech/fire"):
        sound(root / "music_speech" / f"{place}.au")


def magnatagatune(root: Path) -> None:
    """Four clips, one published empty."""
    places = [
        "0/a-b-1-0-29.mp3",
        "c/a-b-2-0-29.mp3",
        "f/d-e-1-0-29.mp3",
        "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    ]
    table(
        root / "annotations_final.csv",
        [["clip_id", "guitar", "calm", "mp3_path"], *([n, n % 2, 1, place] for n, place in enumerate(places))],
        "\t",
    )
    table(root / "clip_info_final.csv", [["clip_id", "artist"], [0, "a"], [1, "a"], [2, "d"], [3, "n"]], "\t")
    for place in places:
        sound(root / place)
    (root / places[-1]).write_bytes(b"")


def msd(root: Path) -> None:
    """Three tracks of the subset, one matched to a wrong song, with a benchmark's lists."""
    tracks = ["TRAAAAW128F429D538", "TRAAABD128F429CF47", "TRAAADZ128F9348C2E"]
    lines = [f"{track}<SEP>SO{track[2:]}<SEP>artist {n % 2}<SEP>title" for n, track in enumerate(tracks)]
    for place in ("AdditionalFiles", "splits"):
        (root / place).mkdir(parents=True)
    (root / "AdditionalFiles/subset_unique_tracks.txt").write_text("\n".join(lines))
    (root / "AdditionalFiles/sid_mismatches.txt").write_text(f"ERROR: <SOX {tracks[2]}> a - b  !=  c - d\n")
    for split, track in zip(("train", "valid", "test"), tracks, strict=True):
        (root / f"splits/{split}_x_msd_id.txt").write_text(track)
    for track in tracks:
        path = root / "MillionSongSubset/data" / track[2] / track[3] / track[4] / f"{track}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(32))


def cal500(root: Path) -> None:
    """Two songs with three tags."""
    songs = ["2pac-trapped", "abba-sos"]
    for song in songs:
        sound(root / "CAL500_32kps" / f"{song}.mp3")
    (root / "songNames.txt").write_text("\n".join(songs))
    (root / "vocab.txt").write_text("calm\nfast\nloud")
    (root / "hardAnnotations.txt").write_text("0,1,1\n1,0,0\n")


def cal10k(root: Path) -> None:
    """Two artists."""
    for place in ("Abba/SOS.mp3", "Abba/Waterloo.mp3", "Zappa/Peaches.mp3"):
        sound(root / "mp3" / place)


def fsld(root: Path) -> None:
    """Two loops of one owner, one of another."""
    about = {
        n: {"username": user, "tags": ["drum"], "license": "CC0"} for n, user in (("12", "a"), ("34", "a"), ("56", "b"))
    }
    for number in about:
        sound(root / "FSL10K/audio/wav" / f"{number}_{about[number]['username']}.wav")
    (root / "FSL10K/metadata.json").write_text(json.dumps(about))


def lakh(root: Path) -> None:
    """Two files that bear the digests of their bytes."""
    for note in (60, 62):
        score(root / "one.mid", note)
        name = hashlib.md5((root / "one.mid").read_bytes()).hexdigest()
        (root / "lmd_full" / name[0]).mkdir(parents=True, exist_ok=True)
        (root / "one.mid").rename(root / "lmd_full" / name[0] / f"{name}.mid")


def lpd(root: Path) -> None:
    """Two archives of one track."""
    for name in ("aa", "bb"):
        path = root / "lpd_5/lpd_5_cleansed/A/A/A/TRAAAGR128F425B14B" / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, rolls=np.zeros(4))


def nsynth(root: Path) -> None:
    """A note of each split."""
    for split, name in (("train", "bass_synthetic_033-050-100"), ("valid", "organ_electronic_007-050-100")):
        sound(root / f"nsynth-{split}/audio/{name}.wav")
        about = {name: {"instrument_str": name[:-8], "instrument_family_str": name.split("_")[0], "pitch": 50}}
        (root / f"nsynth-{split}/examples.json").write_text(json.dumps(about))


def maestro(root: Path) -> None:
    """Two performances of one piece, one of another; MIDI alone."""
    top = root / "maestro-v3.0.0"
    head = ["canonical_composer", "canonical_title", "split", "year", "midi_filename", "audio_filename", "duration"]
    pieces = [("Bach", "Fugue", "train"), ("Bach", "Fugue", "train"), ("Liszt", "Sonata", "test")]
    rows = [[*piece, 2004, f"2004/{n}.midi", f"2004/{n}.wav", 60.0] for n, piece in enumerate(pieces)]
    table(top / "maestro-v3.0.0.csv", [head, *rows])
    for n in range(3):
        score(top / f"2004/{n}.midi", 60 + n)


def groove(root: Path) -> None:
    """Two performances of one drummer, in two splits, with sound."""
    head = ["drummer", "session", "id", "style", "bpm", "beat_type", "midi_filename", "audio_filename", "split"]
    rows = [
        ["drummer1", "s", f"drummer1/{n}", "funk/groove1", 138, "beat", f"d/{n}.mid", f"d/{n}.wav", split]
        for n, split in enumerate(("train", "test"))
    ]
    table(root / "groove/info.csv", [head, *rows])
    for n in range(2):
        score(root / f"groove/d/{n}.mid")
        sound(root / f"groove/d/{n}.wav")


def musedata(root: Path) -> None:
    """A piece of each split."""
    for split in ("train", "valid", "test"):
        score(root / "MuseData" / split / f"bach-{split}.mid")


def vgmidi(root: Path) -> None:
    """Two pieces of one game, one of another."""
    for name in ("labelled/midi/Zelda_Overworld", "labelled/midi/Zelda_Cave", "unlabelled/midi/Doom_E1M1"):
        score(root / f"{name}.mid")


def openmsx(root: Path) -> None:
    """Two songs."""
    for name in ("city_blues", "moo"):
        score(root / f"usr/share/games/openttd/baseset/openmsx/{name}.mid")


def openmic(root: Path) -> None:
    """Two clips of different tracks."""
    top = root / "openmic-2018"
    keys = ["000046_3840", "000135_483840"]
    head = ["sample_key", "instrument", "relevance", "num_responses"]
    table(top / "openmic-2018-aggregated-labels.csv", [head, *([key, "guitar", n, 3] for n, key in enumerate(keys))])
    (top / "partitions").mkdir()
    for split, key in zip(("train", "test"), keys, strict=True):
        (top / f"partitions/split01_{split}.csv").write_text(key + "\n")
        sound(top / "audio" / key[:3] / f"{key}.ogg")


def pop909(root: Path) -> None:
    """All songs, the shortest: one list for all, but for the keys."""
    score(root / "one.mid")
    (root / "one.txt").write_text("0.0 1.0 1.0\n")
    (root / "key.txt").write_text("0.25\t2.5\tGb:min\n")
    for number in range(1, 910):
        top = root / f"POP909/{number:03}"
        top.mkdir(parents=True)
        (top / f"{number:03}.mid").hardlink_to(root / "one.mid")
        for name in ("beat_midi.txt", "chord_midi.txt"):
            (top / name).hardlink_to(root / "one.txt")
        (top / "key_audio.txt").hardlink_to(root / "key.txt")


def folder(root: Path) -> None:
    """Two classes; two clips of one song, and an artist's folder."""
    for place in ("calm/song-01.wav", "calm/song-02.wav", "loud/band/one.wav", "loud/band/two.wav"):
        sound(root / place)


def freesound(root: Path) -> None:
    """Two sounds of a search."""
    for number in (12, 34):
        sound(root / f"audio/{number}.mp3")
    about = {"username": "owner", "license": "by", "tags": ["rain"], "queries": ["rain"]}
    (root / "sounds.json").write_text(json.dumps({"12": about, "34": {**about, "username": "another"}}))


def text(path: Path, content: str) -> None:
    """A list of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def jamendo(root: Path, kind: str = "") -> None:
    """Three tracks of two artists; the last has tags of two kinds."""
    stem = f"autotagging{kind}"
    head = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
    rows = [[f"track_{n}", f"artist_{n // 2}", "album_1", f"0{n}/{n}.mp3", 31.5, "genre---rock"] for n in range(3)]
    rows[2].append("instrument---flute")
    table(root / f"data/{stem}.tsv", [head, *rows], "\t")
    for name, part in (("train", rows[:2]), ("validation", []), ("test", rows[2:])):
        table(root / f"data/splits/split-0/{stem}-{name}.tsv", [head, *part], "\t")
    for row in rows:
        sound(root / f"audio/{row[3]}")


def giantsteps_key(root: Path) -> None:
    """Two tracks, one of which has no key."""
    for name, key in (("11.LOFI", "F# minor"), ("22.LOFI", "-")):
        sound(root / f"audio/{name}.mp3")
        text(root / f"annotations/key/{name}.key", f"{key}\n")


def giantsteps_tempo(root: Path) -> None:
    """A track with both versions of its annotations."""
    sound(root / "audio/11.LOFI.mp3")
    for version, tempo in (("annotations", "64"), ("annotations_v2", "128.5")):
        text(root / version / "tempo/11.LOFI.bpm", tempo)
        text(root / version / "genre/11.LOFI.genre", "techno")


def ballroom(root: Path) -> None:
    """Two dances of one album and one of another, one with beats."""
    for place in ("Waltz/Albums-One-01", "Tango/Albums-One-02", "Tango/Media-7"):
        sound(root / f"BallroomData/{place}.wav")
        text(root / f"BallroomAnnotations/ballroomGroundTruth/{place.split('/')[1]}.bpm", "87\n")
    text(root / "BallroomAnnotations/Media-7.beats", "0.5 1.1\n1.25 1.2\n2 New Point\n")


def isophonics(root: Path) -> None:
    """A song with all four lists, and one with chords."""
    for kind, song, lines in (
        ("beat", "1 First.txt", "0.5  4\n1.25  1\n2.0  New Point\n"),
        ("chordlab", "1 First.lab", "0.0 0.5 N\n0.5 2.0 A:min/b3\n"),
        ("chordlab", "2 Second.lab", "0.0 0.5 N\n"),
        ("keylab", "1 First.lab", "0.0\t0.5\tSilence\n0.5\t2.0\tKey\tA:minor\n"),
        ("seglab", "1 First.lab", "0.0\t2.0\t1\tverse 1 (a)\n"),
    ):
        text(root / f"annotations/{kind}/The Band/01_-_Album/{song}", lines)
    for song in ("1 First", "2 Second"):
        sound(root / f"audio/01_-_Album/{song}.wav")


def slakh(root: Path) -> None:
    """A track of two stems in the training split; one that was left out."""
    for split, track in (("train", "Track00001"), ("omitted", "Track00002")):
        top = root / f"slakh2100_flac_redux/{split}/{track}"
        parts = [("S00", "Bass", True), ("S01", "Drums", True), ("S02", "Sound Effects", False)]
        lines = [f"UUID: {track}", "stems:"]
        for name, kind, rendered in parts:
            lines += [
                f"  {name}:",
                f"    inst_class: {kind}",
                *(["    integrated_loudness: -12.5"] if rendered else []),
            ]
            lines.append(f"    midi_saved: {str(rendered).lower()}")
            if rendered:
                sound(top / f"stems/{name}.flac")
                score(top / f"MIDI/{name}.mid")
        sound(top / "mix.flac")
        score(top / "all_src.mid")
        text(top / "metadata.yaml", "\n".join(lines))


def irmas(root: Path) -> None:
    """Two excerpts of one recording, one of another; a test with two instruments."""
    for place in ("cel/008__[cel][nod][cla]0058__1", "cel/008__[cel][nod][cla]0058__2", "voi/[voi][pop_roc]2400__3"):
        sound(root / f"IRMAS-TrainingData/{place}.wav")
    sound(root / "IRMAS-TestingData-Part1/Part1/01 Song-8.wav")
    text(root / "IRMAS-TestingData-Part1/Part1/01 Song-8.txt", "gel\t\nvoi\t\n")


def medley_solos(root: Path) -> None:
    """A clip of each split."""
    rows = [(split, "flute", 3, n, f"uuid-{n}") for n, split in enumerate(("training", "validation", "test"))]
    head = ["subset", "instrument", "instrument_id", "song_id", "uuid4"]
    table(root / "annotation/Medley-solos-DB_metadata.csv", [head, *rows])
    for split, _, number, _, name in rows:
        sound(root / f"audio/Medley-solos-DB_{split}-{number}_{name}.wav")


def guitarset(root: Path) -> None:
    """A piece as chords and as a solo, of one player, recorded in two ways."""
    kinds = {
        "beat_position": [{"time": 0.5, "duration": 0, "value": {"position": 2}}],
        "chord": [{"time": 0.0, "duration": 2.0, "value": "G:maj"}],
        "key_mode": [{"time": 0.0, "duration": 4.0, "value": "G:minor"}],
    }
    for mode in ("comp", "solo"):
        name = f"03_SS3-119-G_{mode}"
        jams = {"annotations": [{"namespace": kind, "data": data} for kind, data in kinds.items()]}
        text(root / f"annotation/{name}.jams", json.dumps(jams))
        sound(root / f"audio_mono-mic/{name}_mic.wav")
        sound(root / f"audio_hex-pickup_debleeded/{name}_hex_cln.wav")


TREES: dict[str, tuple[Callable[[Path], None], dict[str, int]]] = {
    "fma": (fma, {"train": 1, "valid": 1, "test": 1}),
    "gtzan": (gtzan, {"train": 443, "valid": 197, "test": 290}),
    "gtzan-speech": (gtzan_speech, {}),
    "magnatagatune": (magnatagatune, {"train": 1, "valid": 1, "test": 1}),
    "msd": (msd, {"train": 1, "valid": 1}),
    "cal500": (cal500, {}),
    "cal10k": (cal10k, {}),
    "fsld": (fsld, {}),
    "lakh": (lakh, {}),
    "lpd": (lpd, {}),
    "nsynth": (nsynth, {"train": 1, "valid": 1}),
    "maestro": (maestro, {"train": 2, "test": 1}),
    "groove": (groove, {"train": 1, "test": 1}),
    "musedata": (musedata, {"train": 1, "valid": 1, "test": 1}),
    "vgmidi": (vgmidi, {}),
    "openttd-openmsx": (openmsx, {}),
    "openmic": (openmic, {"train": 1, "test": 1}),
    "pop909": (pop909, {}),
    "jamendo": (jamendo, {"train": 2, "test": 1}),
    "jamendo-genre": (partial(jamendo, kind="_genre"), {"train": 2, "test": 1}),
    "jamendo-instrument": (partial(jamendo, kind="_instrument"), {"train": 2, "test": 1}),
    "jamendo-mood": (partial(jamendo, kind="_moodtheme"), {"train": 2, "test": 1}),
    "giantsteps-key": (giantsteps_key, {}),
    "giantsteps-tempo": (giantsteps_tempo, {}),
    "ballroom": (ballroom, {}),
    "isophonics": (isophonics, {}),
    "slakh": (slakh, {"train": 1}),
    "irmas": (irmas, {"train": 3, "test": 1}),
    "medley-solos": (medley_solos, {"train": 1, "valid": 1, "test": 1}),
    "guitarset": (guitarset, {}),
    "freesound": (freesound, {}),
    "folder": (folder, {}),
}
"""By name, what makes the tree, and its published split; {} where none was published."""


def cut(path: Path) -> None:
    """Cuts the last bytes of a file off."""
    path.write_bytes(path.read_bytes()[:-3])
