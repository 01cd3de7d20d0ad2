"""Performances with known beats: POP909's pianists, as played and with other tempos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64
from antiphon.api.backends.files import MidiNote, MidiTimes, MidiTrack, read_midi
from antiphon_follow.evidence import RATE
from antiphon_models.material.fluidsynth import FLUID, FluidSettings, play_tracks

KINDS = ("as played", "swells", "steps", "ritardandi")
SWELL, SWELL_BEATS = 0.12, 32
STEP, STEP_BEATS = 1.15, 48
SLOW, SLOW_BEATS, BETWEEN = 0.7, 8, 64
"""Depth and beats of swells, factor and beats of every second section, and end factor and beats of a ritardando; then
the beats between two of them."""
AFTER = (0.9, 1.05)
"""Tempo factors after ritardandi, alternating."""
LEAD = 0.5
"""Seconds before a performance's first note."""


@dataclass(frozen=True, slots=True)
class PlayedSong:
    """A performance. `notes` `[n, 4]`: seconds, number, velocity, length; `beats`: s; `downs`: mask of downbeats.

    `sound`: mono at the follower's rate, for a recording without notes.
    """

    name: str
    notes: F64
    beats: F64
    downs: F64
    sound: F32 | None = None

    def first_seconds(self, seconds: float) -> PlayedSong:
        """Its first `seconds`."""
        before = self.beats < seconds
        return PlayedSong(self.name, self.notes[self.notes[:, 0] < seconds], self.beats[before], self.downs[before])

    def tracks(self, bpm: float = 120.0) -> list[MidiTrack]:
        """Its notes for `write_midi` at a tempo."""
        beat = 60.0 / bpm
        return [
            MidiTrack("piano", tuple(MidiNote(at / beat, max(length, 0.02) / beat, int(number), velocity)
                                     for at, number, velocity, length in self.notes), 0)
        ]  # fmt: skip


def performance(folder: Path, parts: tuple[str, ...] = ("PIANO",)) -> PlayedSong:
    """Named parts of a song and its beats, starting shortly before the first note, as some pianists rest for bars."""
    song = read_midi(folder / f"{folder.name}.mid")
    times = MidiTimes(song.tempo)
    rows = [
        (times.seconds(note.start), note.number, note.velocity, times.seconds(note.end) - times.seconds(note.start))
        for track in song.tracks
        if track.name in parts
        for note in track.notes
    ]
    table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    notes = np.array(sorted(rows), np.float64).reshape(-1, 4)
    begin = notes[0, 0] - LEAD if len(notes) else 0.0
    notes[:, 0] -= begin
    table = table[table[:, 0] >= begin]
    return PlayedSong(folder.name, notes, table[:, 0] - begin, table[:, 2] == 1.0)


def factors(kind: str, beats: int) -> F64:
    """Tempo of each beat relative to the played one: "as played", "swells", "steps" or "ritardandi"."""
    place, made = np.arange(beats), np.ones(beats)
    if kind == "swells":
        return np.asarray(1.0 + SWELL * np.sin(2.0 * np.pi * place / SWELL_BEATS))
    if kind == "steps":
        made[(place // STEP_BEATS) % 2 == 1] = STEP
    elif kind == "ritardandi":
        for turn, first in enumerate(range(STEP_BEATS, beats, BETWEEN)):
            slower = made[first - 1] * np.linspace(1.0, SLOW, SLOW_BEATS)
            made[first : first + SLOW_BEATS] = slower[: beats - first]
            made[first + SLOW_BEATS :] = AFTER[turn % len(AFTER)]
    return made


def change_tempos(played: PlayedSong, kind: str) -> PlayedSong:
    """The same performance with the tempos of `factors`."""
    return scale_beat_tempos(played, factors(kind, len(played.beats) - 1))


def scale_beat_tempos(played: PlayedSong, tempos: F64) -> PlayedSong:
    """The same performance with the tempo of each beat multiplied by a factor."""
    old = played.beats
    new = old[0] + np.concatenate([[0.0], np.cumsum(np.diff(old) / tempos[: len(old) - 1])])

    def moved(at: F64) -> F64:
        inside = np.interp(at, old, new)
        return np.where(at > old[-1], new[-1] + at - old[-1], np.where(at < old[0], at, inside))

    notes = played.notes.copy()
    notes[:, 0], ends = moved(played.notes[:, 0]), moved(played.notes[:, 0] + played.notes[:, 3])
    notes[:, 3] = ends - notes[:, 0]
    return PlayedSong(played.name, notes, new, played.downs)


def sound_of(tracks: list[MidiTrack]) -> F32:
    """Mono sound of tracks at 120 bpm by FluidR3, at the follower's rate, with peak 0.5."""
    made = play_tracks(tracks, FLUID, RATE, FluidSettings(0.5, True)).mean(axis=1)
    return np.asarray(0.5 * made / max(1e-6, float(np.abs(made).max())), np.float32)
