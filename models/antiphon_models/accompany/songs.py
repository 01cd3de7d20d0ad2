"""POP909 as this plugin uses it: melody, piano, chords and keys of a song, in beats. For training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api.files import MidiTrack, read_midi
from antiphon_accompany.chords import parse
from antiphon_accompany.notes import BeatNote
from antiphon_models.material.sounds import songs as folders

TRAIN, TUNE, TEST = "123456", "7", "89"
"""Last digits of the songs' numbers. Those that end in 0 are not used."""


@dataclass(frozen=True)
class AnnotatedSong:
    """A song. Beats count from its first annotated beat.

    beats: `[n]`, seconds.  meter: beats in a bar.  first: the beat the first whole bar begins on.  chords: `[n]`,
    each beat's (see `chords`; -1 other, -2 none).  labels: (from second, to second, label) as annotated.
    """

    name: str
    beats: NDArray[np.float64]
    meter: int
    first: int
    melody: list[BeatNote]
    piano: list[BeatNote]
    chords: NDArray[np.int64]
    labels: list[tuple[float, float, str]]
    key: int

    @property
    def tempo(self) -> float:
        """Beats a minute, in the middle."""
        return float(60.0 / np.median(np.diff(self.beats)))


def songs(data: Path, digits: str, limit: int = 0) -> Iterator[AnnotatedSong]:
    """Songs whose number ends in one of `digits`, at most `limit` (0: all), evenly chosen."""
    for place in folders(data, digits, limit):
        song = read(place)
        if song is not None:
            yield song


def read(folder: Path) -> AnnotatedSong | None:
    """One song; None where its beats or melody are missing."""
    name = folder.name
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    beats = table[:, 0]
    downs = np.nonzero(table[:, 2] == 1)[0]
    if len(downs) < 2:
        return None
    meter = int(np.median(np.diff(downs)))
    count = len(beats)
    step = float(np.median(np.diff(beats)))
    times = np.concatenate((beats[0] + step * np.arange(-8, 0), beats, beats[-1] + step * np.arange(1, 17)))
    numbers = np.arange(-8.0, count + 16.0)
    file = read_midi(folder / f"{name}.mid", overlap="queue")

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
    labels = []
    for line in (folder / "chord_midi.txt").read_text().splitlines():
        from_, to, text = line.split()
        labels.append((float(from_), float(to), text))
    chords = np.full(count, -2)
    for start, end, text in labels:
        chords[round(np.interp(start, times, numbers)) : max(0, round(np.interp(end, times, numbers)))] = parse(text)
    key = parse((folder / "key_audio.txt").read_text().split()[2])
    return AnnotatedSong(name, beats, meter, int(downs[0]), tracks["MELODY"], tracks["PIANO"], chords, labels, key)


def _notes(track: MidiTrack, beat: Callable[[float], float]) -> list[BeatNote]:
    notes: list[BeatNote] = []
    for note in track.notes:
        first = beat(note.start)
        notes.append(BeatNote(first, max(beat(note.end), first + 1.0 / 24.0), note.number, note.velocity))
    return sorted(notes)
