"""Reads recordings with known beats: the user's, with beat files beside them, and loops of known length in beats."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from antiphon.api import AntiphonError, UsageError
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.files import MIDI_SUFFIXES, READ_SUFFIXES, MidiTimes, read_midi, read_sound
from antiphon_follow.evidence import RATE
from antiphon_models.datasets.annotations import AnnotatedBeat, read_beats
from antiphon_models.follow.songs import PlayedSong
from antiphon_models.material import table_beside
from antiphon_models.material.sounds import resample_mono

FILES_DOC = (
    "your performances, sound or MIDI, each with its beats beside it, NAME.beats, .csv or .txt: lines of seconds, and "
    "the beat of the bar where it is known; or a MIDI file whose tempo map has them"
)
LOOPS: dict[str, int] = table_beside(__file__)["loops"]
"""Sonic Pi's loops of drums and percussion, and the beats of each."""
LOOP_SECONDS, TRUMPET_BEATS = 30.0, 8
"""Seconds for which a loop is repeated; beats of the trumpet among librosa's examples, a loop at 90 bpm."""
_BESIDE = (".beats", ".csv", ".txt", "_annotations.txt")


def beats_beside(path: Path) -> Path | None:
    """The file of a performance's beats, beside the performance."""
    return next((found for end in _BESIDE if (found := path.with_name(path.stem + end)).is_file()), None)


def files_in(folder: Path) -> tuple[Path, ...]:
    """Performances in a folder and its subfolders: files with beats beside them, and MIDI files with a tempo map."""
    played = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (*READ_SUFFIXES, *MIDI_SUFFIXES))
    return tuple(path for path in played if beats_beside(path) or (_is_midi(path) and _mapped(path)))


def _is_midi(path: Path) -> bool:
    return path.suffix.lower() in MIDI_SUFFIXES


def _mapped(path: Path) -> bool:
    try:
        return len(read_midi(path).tempo) > 1
    except AntiphonError:
        return False


def recordings(data: Path) -> Iterator[tuple[str, PlayedSong]]:
    """Yields loops of `data`, repeated for half a minute, and a solo trumpet."""
    for name, beats in LOOPS.items():
        path = data / "sonicpi" / f"loop_{name}.flac"
        if path.is_file():
            yield "drum loops", _repeated(path, beats)
    for path in (data / "tracks").glob("trumpet*.ogg"):
        yield "a trumpet", _repeated(path, TRUMPET_BEATS)


def _repeated(path: Path, beats: int) -> PlayedSong:
    sound = read_sound(path)
    times = math.ceil(LOOP_SECONDS * sound.rate / sound.samples.shape[1])
    period = sound.samples.shape[1] / sound.rate / beats
    mono = ListeningMix().take(np.tile(sound.samples, (1, times)))
    place = np.arange(beats * times)
    return PlayedSong(
        path.stem, np.zeros((0, 4)), place * period, place % 4 == 0, resample_mono(mono, sound.rate, RATE)
    )


def own_songs(files: tuple[Path, ...], say: Callable[[str], None]) -> Iterator[tuple[str, PlayedSong]]:
    """Yields files, named by folder below their common parent; reports and leaves out those that cannot be measured."""
    base = Path(os.path.commonpath([path.absolute().parent for path in files]))
    for path in files:
        within = path.absolute().relative_to(base)
        try:
            yield within.parts[0] if len(within.parts) > 1 else "", own_song(path, within.with_suffix("").as_posix())
        except AntiphonError as error:
            say(f"{within} is left out: {error}")


def own_song(path: Path, name: str) -> PlayedSong:
    """Reads a performance and its beats. Raises FileError or UsageError: either is unreadable, or without beats."""
    annotation = beats_beside(path)
    if annotation is None and not _is_midi(path):
        raise UsageError(f"{path.name} has no beats beside it; wanted are {FILES_DOC}")
    beats = read_beats(annotation) if annotation is not None else _beats_by_tempo_map(path)
    if len(beats) < 2:
        raise UsageError(f"{path.name} has {len(beats)} beats, which is no tempo; give it two or more")
    times, downs = np.array([beat.time for beat in beats]), np.array([beat.position == 1 for beat in beats])
    if not _is_midi(path):
        sound = read_sound(path)
        mono = ListeningMix().take(sound.samples)
        return PlayedSong(name, np.zeros((0, 4)), times, downs, resample_mono(mono, sound.rate, RATE))
    song = read_midi(path)
    notes = [
        (song.seconds(note.start), note.number, note.velocity, 0.1) for track in song.tracks for note in track.notes
    ]
    if not notes:
        raise UsageError(f"{path.name} holds no notes, so there is nobody to follow")
    return PlayedSong(name, np.array(sorted(notes)), times, downs)


def _beats_by_tempo_map(path: Path) -> list[AnnotatedBeat]:
    """Beats of a MIDI file by its tempo map, bars by its time signatures."""
    song = read_midi(path)
    times, meters, found = MidiTimes(song.tempo), song.meters or ((0.0, 4.0),), list[AnnotatedBeat]()
    for beat in range(int(song.length) + 1):
        begin, meter = [one for one in meters if one[0] <= beat or one == meters[0]][-1]
        found.append(AnnotatedBeat(times.seconds(beat), int((beat - begin) % meter) + 1))
    return found
