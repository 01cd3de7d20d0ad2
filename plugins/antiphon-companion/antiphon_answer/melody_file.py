"""Reader of a MIDI file's melody, and writer of the file with notes added to its track."""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError, Value
from antiphon.api.backends.files import MIDI_SUFFIXES, conductor, melody_of, open_midi, write_atomic
from antiphon_answer.improviser import CHORD_SIXTEENTHS, Improviser, PlannedNote
from antiphon_answer.memory import ROWS
from antiphon_answer.prior import KEYS

MAX_BEATS = 20_000
_DRUMS = 9
_KEY_BEATS = 128
_MAX_OVERHANG = 0.25
"""Maximum beats by which the last note may exceed a bar line without an extra bar."""


@dataclass(frozen=True)
class MelodyFile:
    """A MIDI file with its melody: `track` and `channel`, 0 to 15. Slots are sixteenths; slot 0 is a bar line.

    `notes`: in order, the highest of each chord; `bar`: slots per bar at the file's end; `origin`: quarter note of
    slot 0, may be below 0; `next_bar`: slot of the bar line from which the file can be continued; `tempo`: at its end;
    `sounds`: `[12]`, duration of each pitch class in its last `_KEY_BEATS` beats, of all tracks but drums.
    """

    midi: mido.MidiFile
    track: int
    channel: int
    notes: list[PlannedNote]
    bar: int
    origin: float
    next_bar: int
    tempo: float
    sounds: NDArray[np.float64]


def read(path: Path) -> MelodyFile:
    """Reads a file and its melody, found as `accompany` does, without drums. Raises FileError: it has no melody."""
    midi: mido.MidiFile = open_midi(path)
    lines, chosen = melody_of(midi)
    if chosen is None:
        raise FileError(f"{path.name} has no melody to go on with: no notes but drums")
    last = max(end for line in lines.values() for _, end, _, _ in line)
    if last > MAX_BEATS:
        raise FileError(f"{path.name} is too long: at most {MAX_BEATS} beats")
    start, bar, tempo = _last_meter_and_tempo(midi, last)
    # slot 0 is a bar line before all notes, so that slots are never below 0
    origin = start - bar / 4 * math.ceil(start * 4 / bar)
    notes: list[PlannedNote] = []
    for begin, end, pitch, velocity in sorted(lines[chosen]):
        slot = round(4 * (begin - origin))
        note = PlannedNote(slot, max(0.25, 4 * (end - begin)), pitch, velocity, 4 * (begin - origin) - slot)
        if not notes or note.at - notes[-1].at > CHORD_SIXTEENTHS:
            notes.append(note)
        elif notes[-1].pitch < pitch:
            notes[-1] = note._replace(slot=notes[-1].slot, late=notes[-1].late)
    onset = max(begin for line in lines.values() for begin, _, _, _ in line)
    slots = max(4 * (onset - origin) + 0.5, 4 * (last - _MAX_OVERHANG - origin))
    sounds = np.zeros(12)
    for begin, end, pitch, _ in (note for key, line in lines.items() for note in line if key[1] != _DRUMS):
        sounds[pitch % 12] += min(4.0, end - begin) * (end > last - _KEY_BEATS)
    return MelodyFile(midi, *chosen, notes, bar, origin, bar * math.ceil(slots / bar), tempo, sounds)


def write(path: Path, given: MelodyFile, added: Sequence[PlannedNote], name: str = "") -> float:
    """Writes the file with more notes, in the melody's track or in one called `name`. Returns its length in seconds."""
    tracks, chosen, channel = list(given.midi.tracks), given.track, given.channel
    if name:
        used = {message.dict().get("channel") for track in tracks for message in track}
        channel = next((n for n in range(16) if n not in used and n != _DRUMS), channel)
        chosen = len(tracks)
        tracks.append(mido.MidiTrack([mido.MetaMessage("track_name", name=name)]))
    ticks, source = given.midi.ticks_per_beat, tracks[chosen]
    events, at = [], 0
    for message in source:
        at += message.time
        if message.type != "end_of_track":
            events.append((at, 1, message))
    for note in added:
        start = round((note.at / 4 + given.origin) * ticks)
        end = max(start + 1, round(((note.at + note.length) / 4 + given.origin) * ticks))
        loud = min(127, max(1, round(127 * note.velocity)))
        events.append((start, 2, mido.Message("note_on", note=note.pitch, velocity=loud, channel=channel)))
        events.append((end, 0, mido.Message("note_off", note=note.pitch, velocity=0, channel=channel)))
    events.sort(key=lambda event: event[:2])
    track, before = mido.MidiTrack(), 0
    for when, _, message in events:
        track.append(message.copy(time=when - before))
        before = when
    kind = max(given.midi.type, int(len(tracks) > 1))
    midi = mido.MidiFile(type=kind, ticks_per_beat=ticks, charset=given.midi.charset)
    midi.tracks.extend(track if n == chosen else old for n, old in enumerate(tracks))
    content = io.BytesIO()
    midi.save(file=content)
    write_atomic(path, content.getvalue())
    return float(midi.length)


def _last_meter_and_tempo(midi: mido.MidiFile, last: float) -> tuple[float, int, float]:
    """Last time signature before a beat: its start in beats, sixteenths per bar; and the last tempo in bpm."""
    start, bar = 0.0, 16
    tempos, signatures = conductor(midi)
    for at, upper, lower in signatures:
        if at >= last:
            break
        # bars of one beat are what transcribing programs write when they mean none
        size = round(16 * upper / lower) if upper > 1 else 16
        # said again on a bar line, as some programs do, it changes nothing
        if size != bar or (at - start) * 4 % bar:
            start = at
        bar = min(64, max(2, size))
    return start, bar, [bpm for at, bpm in tempos if at < max(last, 1e-9)][-1]


MAX_FILES = 200
"""Maximum number of files in a corpus."""


def wish(improviser: Improviser, settings: Mapping[str, Value]) -> None:
    """Applies the parameters of `Answer`."""
    wishes = improviser.wishes
    wishes.originality, wishes.register, wishes.seed = (
        int(settings[name]) for name in ("originality", "register", "seed")
    )
    wishes.density, wishes.forget = float(settings["density"]), float(settings["forget"])
    improviser.fixed = KEYS.index(str(settings["key"])) if settings["key"] != "auto" else -1
    if improviser.fixed >= 0:
        improviser.key = improviser.fixed


def learn_from_folder(improviser: Improviser, folder: str) -> None:
    """Learns the melodies of a folder of MIDI files permanently, without unreadable ones.

    Raises FileError: there is no such folder, or no MIDI file in it.
    """
    if not folder:
        return
    files = list(_midi_files(Path(folder)))
    if not files:
        raise FileError(f"{folder} holds no MIDI files; `corpus` is a folder of them")
    for path in files:
        if improviser.memory.count > ROWS // 2:
            break  # the rest of the memory is the player's
        try:
            given = read(path)
        except FileError:
            continue
        improviser.wishes.bar = given.bar
        for n, note in enumerate(given.notes):
            improviser.learn(note.slot, note.pitch, note.velocity, first=n == 0, late=note.late)
            improviser.memory.lengths[improviser.memory.count - 1] = min(64.0, note.length)
    improviser.keep()


def _midi_files(folder: Path) -> Iterable[Path]:
    if folder.is_dir():
        found = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in MIDI_SUFFIXES)
        yield from (path for _, path in zip(range(MAX_FILES), found, strict=False))
