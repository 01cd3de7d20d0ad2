"""MIDI files in and out: notes in beats, and a tempo map.

    song = read(Path("melody.mid"))
    write(Path("out.mid"), [*song.tracks, Track("piano", notes)], song.tempo, song.ticks)

Only notes, names and first programs are kept of a track. mido is imported when a file is read or written.
"""

from __future__ import annotations

import importlib
import io
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from antiphon import paths
from antiphon.errors import FileError

SUFFIXES = (".mid", ".midi")
MAX_FILE = 2 << 20
"""Bytes of a file: 700,000 notes, which take mido 4 s and 130 MB. Ten times a long symphony."""
DEFAULT_BPM = 120.0
TICKS = 480
Tempo = Sequence[tuple[float, float]]
"""(beat, bpm) from there on, in order, the first at beat 0."""


@dataclass(frozen=True, slots=True)
class Note:
    """start, length: in beats (quarter notes).  number: 0 to 127.  velocity: above 0 to 1.  channel: 1 to 16."""

    start: float
    length: float
    number: int
    velocity: float = 0.8
    channel: int = 1

    @property
    def end(self) -> float:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Track:
    """notes: by start.  program: General MIDI's instrument, 0 to 127, the track begins with; None says nothing."""

    name: str = ""
    notes: tuple[Note, ...] = ()
    program: int | None = None


@dataclass(frozen=True, slots=True)
class Song:
    """A file as read. ticks: of a beat, in the file."""

    tracks: tuple[Track, ...]
    tempo: tuple[tuple[float, float], ...] = ((0.0, DEFAULT_BPM),)
    ticks: int = TICKS

    def seconds(self, beat: float) -> float:
        """When a beat comes, from the beginning on."""
        total, (last, bpm) = 0.0, self.tempo[0]
        for at, changed in self.tempo[1:]:
            if at >= beat:
                break
            total, last, bpm = total + (at - last) * 60.0 / bpm, at, changed
        return total + (beat - last) * 60.0 / bpm


def read(path: Path) -> Song:
    """The notes of a MIDI file, its tracks in order; `FileError` in one sentence for what is none.

    A note that is not ended lasts to the end of its track; one begun again while it sounds ends there.
    """
    mido = _mido()
    content = _content(path)
    try:
        made = mido.MidiFile(file=io.BytesIO(content), clip=True)
        if made.ticks_per_beat <= 0 or made.ticks_per_beat >= 1 << 15:
            raise ValueError("its time is in frames of film, not in beats")
        tempo: dict[int, float] = {}
        tracks = tuple(_track(track, made.ticks_per_beat, tempo) for track in made.tracks)
    except Exception as error:
        # of a damaged file mido raises whatever its innards do
        said = " ".join(str(error).split())[:100] or type(error).__name__
        raise FileError(f"{path.name} is not a MIDI file that can be read: {said}") from None
    changes = [(at / made.ticks_per_beat, bpm) for at, bpm in sorted(tempo.items())]
    if not changes or changes[0][0] > 0.0:
        changes.insert(0, (0.0, DEFAULT_BPM))
    return Song(tracks, tuple(changes), made.ticks_per_beat)


def write(path: Path, tracks: Iterable[Track], tempo: float | Tempo = DEFAULT_BPM, ticks: int = TICKS) -> None:
    """Writes a file of type 1, whole or not at all; `FileError` when it cannot.

    The first track holds the tempo and no notes: it is the first one given where that has none, else one more.
    tempo: bpm, or a map as `Song.tempo`.  ticks: of a beat; those of the file notes came from keep them exact.
    """
    mido = _mido()
    changes = [(0.0, float(tempo))] if isinstance(tempo, int | float) else list(tempo)
    first = [(round(at * ticks), mido.MetaMessage("set_tempo", tempo=_micros(bpm))) for at, bpm in changes]
    rest = [_messages(track, ticks) for track in tracks]
    if rest and not any(message.type == "note_on" for _, message in rest[0]):
        first = rest.pop(0) + first
    made = mido.MidiFile(type=1, ticks_per_beat=ticks)
    made.tracks += [_timed(messages) for messages in (first, *rest)]
    buffer = io.BytesIO()
    made.save(file=buffer)
    paths.write_atomic(path, buffer.getvalue())


@dataclass(slots=True)
class _Open:
    """Notes of a track while it is read. sounding: (channel, number) → (tick, velocity)."""

    ticks: int
    notes: list[Note] = field(default_factory=list)
    sounding: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def end(self, key: tuple[int, int], tick: int) -> None:
        begun = self.sounding.pop(key, None)
        if begun is not None:
            start, velocity = begun
            length = max(1, tick - start) / self.ticks
            self.notes.append(Note(start / self.ticks, length, key[1], velocity / 127, key[0]))


def _mido() -> Any:
    return importlib.import_module("mido")


def _track(track: Any, ticks: int, tempo: dict[int, float]) -> Track:
    """A track's notes; tempo changes in it go into `tempo`, by tick."""
    found, at, name, program = _Open(ticks), 0, "", None
    for message in track:
        at += message.time
        match message.type:
            case "note_on" | "note_off":
                key = (message.channel + 1, message.note)
                found.end(key, at)
                if message.type == "note_on" and message.velocity:
                    found.sounding[key] = (at, message.velocity)
            case "program_change" if program is None:
                program = message.program
            case "track_name" if not name:
                name = message.name
            case "set_tempo" if message.tempo:
                tempo[at] = 6e7 / message.tempo
    for key in list(found.sounding):
        found.end(key, at)
    return Track(name, tuple(sorted(found.notes, key=lambda n: (n.start, n.channel, n.number))), program)


def _messages(track: Track, ticks: int) -> list[tuple[int, Any]]:
    mido = _mido()
    channel = track.notes[0].channel - 1 if track.notes else 0
    found: list[tuple[int, Any]] = []
    if track.name:
        found.append(
            (0, mido.MetaMessage("track_name", name=track.name.encode("latin-1", "replace").decode("latin-1")))
        )
    if track.program is not None:
        found.append((0, mido.Message("program_change", program=track.program, channel=channel)))
    for note in track.notes:
        start = round(note.start * ticks)
        end = max(start + 1, round(note.end * ticks))
        where = {"note": note.number, "channel": note.channel - 1}
        velocity = min(127, max(1, round(note.velocity * 127)))
        found.append((start, mido.Message("note_on", velocity=velocity, **where)))
        found.append((end, mido.Message("note_off", velocity=64, **where)))
    return found


def _micros(bpm: float) -> int:
    """Microseconds of a beat, as far as a file's 24 bits go."""
    return min(0xFFFFFF, max(1, round(6e7 / bpm)))


def _timed(messages: list[tuple[int, Any]]) -> Any:
    """A track of messages by tick; what ends comes before what begins."""
    mido = _mido()
    made, last = mido.MidiTrack(), 0
    for at, message in sorted(messages, key=lambda m: (m[0], m[1].type == "note_on")):
        made.append(message.copy(time=max(0, at - last)))
        last = max(last, at)
    return made


def _content(path: Path) -> bytes:
    """The file's bytes; a folder, a device, a pipe or something huge is refused unread."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileError(f"{path} is not a file; name a MIDI file")
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        why = paths.why(error) if isinstance(error, OSError) else "its name cannot be used"
        raise FileError(f"cannot read {path}: {why}") from None
    if len(content) > MAX_FILE:
        raise FileError(f"{path.name} is larger than a MIDI file may be; at most {MAX_FILE >> 20} MiB is allowed")
    return content
