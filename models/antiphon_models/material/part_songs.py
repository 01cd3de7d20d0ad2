"""Reads songs in labelled parts, with bars, key and chords: POP909, JSB, and the bands of freedoom and openttd-openmsx.

    for song in songs(DATA, "train", ("pop909", "jsb")):
        melody = song.parts["melody"]

The last two are packages of Debian (BSD-3 and GPL-2), unpacked: `dpkg-deb -x freedoom_….deb DATA/freedoom`. GPL songs
are for training and measuring only: no pattern of them may be in shipped files. Missing keys are estimated.
"""

import math
import struct
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES, FileError
from antiphon.api.backends.analysis import import_librosa
from antiphon.api.backends.files import MidiSong, MidiTrack, read_midi
from antiphon.api.backends.signal import KEY_NAMES, KEY_PROFILES, named_note
from antiphon_models.material import sounds


def key_of(weights: NDArray[np.floating]) -> int:
    """Key whose profile correlates best with pitch class weights `[12]`: C to B major, then minor."""
    return int(np.nanargmax([np.corrcoef(profile, weights)[0, 1] for profile in KEY_PROFILES]))


def key_of_sound(sound: NDArray[np.float32], rate: int) -> str:
    """Key of a mono sound, as "A minor", by librosa's constant-Q chroma."""
    librosa = import_librosa()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of short sounds' lowest octaves
        return KEY_NAMES[key_of(librosa.feature.chroma_cqt(y=sound, sr=rate).mean(axis=1))]


PARTS = ("melody", "chords", "bass", "drums", "pad")
SOURCES = ("pop909", "jsb", "freedoom", "openttd-openmsx")
POP_SPLITS = {"train": "123456", "valid": "7", "test": "89"}
"""Last digits of POP909's song numbers per split. Numbers that end in 0 are unused."""
_DRUMS = 10
_BASSES, _PADS = range(32, 40), (*range(48, 56), *range(88, 96))
"""General MIDI programs: basses; strings, voices and pads."""
_TRIADS = np.array(
    [np.roll([1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0], n) for n in range(12)]
    + [np.roll([1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0], n) for n in range(12)],
    np.float64,
)


class PartNote(NamedTuple):
    """A note of a part.

    `start`: beats from the song's first annotated beat, or from its beginning. `pitch`: MIDI number; of drums the
    instrument. `velocity`: above 0 to 1.
    """

    start: float
    end: float
    pitch: int
    velocity: float = 0.7


class PartChord(NamedTuple):
    """A chord. start, end: in beats.  label: as "C:maj7"; "N" for none."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class PartSong:
    """A song in parts.

    Attributes:
        name: Such as "pop909 017".
        split: "train", "valid" or "test".
        meter: Beats per bar.
        first: The beat on which the first whole bar begins.
        tempo: Tempo in BPM, in the middle of the song.
        key: C to B major are 0 to 11, minor keys 12 to 23.
        parts: Sorted notes of the present parts, by the names in `PARTS`.
        programs: General MIDI instruments by part, where the source has them.
    """

    name: str
    split: str
    meter: int
    first: int
    tempo: float
    key: int
    parts: Mapping[str, list[PartNote]]
    chords: list[PartChord]
    annotated: bool = False
    programs: Mapping[str, int] = field(default_factory=dict)


def songs(data: Path, split: str, sources: Sequence[str] = SOURCES, limit: int = 0) -> Iterator[PartSong]:
    """Songs of a split, from the sources present in the folder `data`.

    `split`: "train", "valid" or "test". `sources`: members of `SOURCES`. `limit`: maximum songs of each source, evenly
    chosen; 0 for all.
    """
    reading = {"pop909": _pop909, "jsb": _jsb, "freedoom": _freedoom, "openttd-openmsx": _openmsx}
    for source in sources:
        if (data / source).is_dir():
            yield from reading[source](data / source, split, limit)


@dataclass(frozen=True)
class PopSong:
    """Annotated song of POP909.

    Attributes:
        beats: `[n]`, seconds.
        meter: Beats per bar.
        first: The beat on which the first whole bar begins.
        labels: (start in seconds, end in seconds, label).
        grid: Seconds and indices of its beats, with some before and after.
        key: Such as "Gb:maj".
    """

    beats: NDArray[np.float64]
    meter: int
    first: int
    tracks: Mapping[str, list[PartNote]]
    labels: list[tuple[float, float, str]]
    grid: tuple[NDArray[np.float64], NDArray[np.float64]]
    key: str


def read_pop(folder: Path) -> PopSong | None:
    """Reads a song of POP909; None where its beats, melody or piano are missing."""
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    beats = table[:, 0]
    downs = np.nonzero(table[:, 2] == 1)[0]
    if len(downs) < 2:
        return None
    count, step = len(beats), float(np.median(np.diff(beats)))
    times = np.concatenate((beats[0] + step * np.arange(-8, 0), beats, beats[-1] + step * np.arange(1, 17)))
    numbers = np.arange(-8.0, count + 16.0)
    file = read_midi(folder / f"{folder.name}.mid", overlap="queue")

    # in whole ticks and microseconds: another order of rounding falls otherwise between two places of the grid, and the
    # tables that ship could not be counted again to the same bytes
    ticks = np.array([0, *(round(at * file.ticks) for at, _ in file.tempo)])
    tempos = np.array([500_000, *(round(6e7 / bpm) for _, bpm in file.tempo)])
    seconds = np.concatenate(([0.0], np.cumsum(np.diff(ticks) * tempos[:-1] * 1e-6 / file.ticks)))

    def beat(quarters: float) -> float:
        at = round(quarters * file.ticks)
        n = int(np.searchsorted(ticks, at, side="right")) - 1
        second = seconds[n] + (at - ticks[n]) * int(tempos[n]) * 1e-6 / file.ticks
        # the players' grid is a twelfth of a beat and finer only by rounding of ticks
        return round(float(np.interp(second, times, numbers)) * 24.0) / 24.0

    tracks = {track.name.strip(): _notes(track, beat) for track in file.tracks[1:]}
    if not tracks.get("MELODY") or not tracks.get("PIANO"):
        return None
    rows = [line.split() for line in (folder / "chord_midi.txt").read_text().splitlines()]
    labels = [(float(start), float(end), label) for start, end, label in rows]
    key = (folder / "key_audio.txt").read_text().split()[2]
    return PopSong(beats, int(np.median(np.diff(downs))), int(downs[0]), tracks, labels, (times, numbers), key)


def _notes(track: MidiTrack, beat: Callable[[float], float]) -> list[PartNote]:
    starts = ((beat(note.start), note) for note in track.notes)
    return sorted(PartNote(s, max(beat(n.end), s + 1.0 / 24.0), n.number, n.velocity) for s, n in starts)


def _pop909(root: Path, split: str, limit: int) -> Iterator[PartSong]:
    for folder in sounds.songs(root.parent, POP_SPLITS[split], limit):
        song = read_pop(folder)
        if song is None:
            continue
        parts = {"melody": song.tracks["MELODY"], "chords": song.tracks["PIANO"]}
        if song.tracks.get("BRIDGE"):
            parts["pad"] = song.tracks["BRIDGE"]
        edges = [
            (round(float(np.interp(s, *song.grid))), round(float(np.interp(e, *song.grid))), label)
            for s, e, label in song.labels
        ]
        chords = [PartChord(start, end, label) for start, end, label in edges if end > start]
        tempo = float(60.0 / np.median(np.diff(song.beats)))
        tonic, _, mode = song.key.partition(":")
        key = named_note(tonic) % 12 + 12 * mode.startswith("min")
        yield PartSong(f"pop909 {folder.name}", split, song.meter, song.first, tempo, key, parts, chords, True)


def _jsb(root: Path, split: str, limit: int) -> Iterator[PartSong]:
    """Chorales: soprano as melody, alto and tenor as chords, bass. They are in sixteenths, and all count as 4/4."""
    chorales = sounds.chorales(root.parent)[split]
    for number in range(len(chorales))[:: max(1, len(chorales) // limit) if limit else 1][: limit or None]:
        steps = [step for step in chorales[number] if len(step) == 4]
        voices = [tie_notes([step[voice] for step in steps]) for voice in range(4)]
        parts = {"melody": voices[0], "chords": sorted(voices[1] + voices[2]), "bass": voices[3]}
        yield _build_estimated_song(f"jsb {split} {number:03}", split, 4, 80.0, parts, {})


def tie_notes(pitches: Sequence[int]) -> list[PartNote]:
    """Converts a voice in sixteenths to notes; equal ones are tied within a quarter, -1 is a rest."""
    notes: list[PartNote] = []
    for n, pitch in enumerate(pitches):
        if pitch >= 0 and notes and notes[-1].pitch == pitch and notes[-1].end == n / 4 and n % 4:
            notes[-1] = notes[-1]._replace(end=(n + 1) / 4)
        elif pitch >= 0:
            notes.append(PartNote(n / 4, (n + 1) / 4, int(pitch)))
    return notes


def _openmsx(root: Path, split: str, limit: int) -> Iterator[PartSong]:
    files = sorted(path for path in root.rglob("*.mid") if _split(path.stem) == split)
    for path in sounds.evenly_spaced_items(files, limit):
        yield from _band(f"openttd-openmsx {path.stem}", split, path)


def _freedoom(root: Path, split: str, limit: int) -> Iterator[PartSong]:
    lumps = {name: content for wad in sorted(root.rglob("*.wad")) for name, content in midi_lumps(wad)}
    names = [Path(name) for name in sorted(lumps) if _split(name) == split]
    with tempfile.TemporaryDirectory() as folder:
        for name in sounds.evenly_spaced_items(names, limit):
            path = Path(folder) / f"{name}.mid"
            path.write_bytes(lumps[str(name)])
            yield from _band(f"freedoom {name}", split, path)


def midi_lumps(wad: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the distinct MIDI files in a WAD archive of the Doom engine."""
    content, seen = wad.read_bytes(), set()
    count, at = struct.unpack_from("<ii", content, 4)
    for place, size, name in struct.iter_unpack("<ii8s", content[at : at + 16 * count]):
        lump = content[place : place + size]
        if lump[:4] == b"MThd" and lump not in seen:
            seen.add(lump)
            yield name.rstrip(b"\0").decode("ascii", "replace"), lump


def _split(name: str) -> str:
    tenth = zlib.crc32(name.encode()) % 10
    return "train" if tenth < 7 else "valid" if tenth < 8 else "test"


def _band(name: str, split: str, path: Path) -> Iterator[PartSong]:
    """Yields the song of a General MIDI file, by its channels; none if it is unreadable or has no melody."""
    try:
        file = read_midi(path, overlap="end")
    except FileError:
        return
    parts, programs = _by_channel(file)
    if parts.get("melody"):
        meter = int(file.meters[0][1]) if file.meters else 4
        yield _build_estimated_song(
            name, split, max(2, min(7, meter)), file.tempo[len(file.tempo) // 2][1], parts, programs
        )


def _by_channel(file: MidiSong) -> tuple[dict[str, list[PartNote]], dict[str, int]]:
    """Assigns channels to parts: drums and bass by number and program, the melody by the highest monophonic line."""
    channels: dict[int, list[PartNote]] = {}
    program: dict[int, int] = {}
    for track in file.tracks:
        for note in track.notes:
            channels.setdefault(note.channel, []).append(PartNote(note.start, note.end, note.number, note.velocity))
        for change in track.controls:
            if change.kind == "program":
                program.setdefault(change.channel, change.number)
        if track.program is not None and track.notes:
            program.setdefault(track.notes[0].channel, track.program)
    lines: dict[int, float] = {}
    for channel, notes in channels.items():
        notes.sort()
        if channel != _DRUMS and program.get(channel, 0) not in _BASSES:
            single = fmean([float(b.start >= a.end - 0.1) for a, b in pairwise(notes)] or [0.0])
            lines[channel] = single + fmean(n.pitch for n in notes) / 48 + min(1.0, len(notes) / 200)
    best = max(lines, key=lambda channel: lines[channel], default=-1)
    parts: dict[str, list[PartNote]] = {}
    programs: dict[str, int] = {}
    for channel, notes in channels.items():
        kind = program.get(channel, 0)
        part = "melody" if channel == best else "pad" if kind in _PADS else "chords"
        part = part if channel in lines else "drums" if channel == _DRUMS else "bass"
        parts.setdefault(part, []).extend(notes)
        programs.setdefault(part, kind)
    return {part: sorted(notes) for part, notes in parts.items()}, programs


def _build_estimated_song(
    name: str, split: str, meter: int, tempo: float, parts: Mapping[str, list[PartNote]], programs: Mapping[str, int]
) -> PartSong:
    """Builds a song with a key estimated by profiles, and chords as best-fitting triads per beat."""
    notes = [note for part, played in parts.items() if part != "drums" for note in played]
    beats = math.ceil(max(note.end for note in notes))
    classes = durations(notes, beats)
    chords: list[PartChord] = []
    for beat, row in enumerate(classes):
        fit = int(np.argmax(_TRIADS @ row))
        label = f"{SHARP_NAMES[fit % 12]}:{'min' if fit > 11 else 'maj'}" if row.any() else "N"
        if chords and chords[-1].label == label:
            chords[-1] = chords[-1]._replace(end=beat + 1)
        else:
            chords.append(PartChord(beat, beat + 1, label))
    return PartSong(name, split, meter, 0, tempo, key_of(classes.sum(axis=0)), parts, chords, False, programs)


def durations(notes: Iterable[PartNote], beats: int) -> NDArray[np.float64]:
    """Duration of each pitch class in each beat, in beats: `[beats, 12]`."""
    classes = np.zeros((beats, 12))
    for note in notes:
        for beat in range(max(0, int(note.start)), min(beats, math.ceil(note.end))):
            classes[beat, note.pitch % 12] += min(note.end, beat + 1.0) - max(note.start, beat)
    return classes
