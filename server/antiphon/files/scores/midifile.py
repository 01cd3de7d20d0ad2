"""Reader and writer of MIDI files; scores in MusicXML are read as the MIDI files that play them.

    song = read(Path("melody.mid"))
    write(Path("out.mid"), [*song.tracks, Track("piano", notes)], song.tempo, song.ticks)

Only notes, controllers, bends, programs, names, and time and key signatures are kept. Invalid parts of a file are
skipped, and noticed (`kernel.runtime.notices`). mido is imported when a file is read or written.
"""

import contextlib
import importlib
import io
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from antiphon.files.scores import musicxml
from antiphon.files.scores.midi_lyrics import lyrics_of
from antiphon.files.scores.midi_parse import Parsed, TruncatedMidiError, find_midi_start, parse
from antiphon.files.scores.midi_song import DEFAULT_BPM, TICKS, MidiControlChange, MidiNote, MidiSong, MidiTrack, Tempo
from antiphon.files.scores.midi_suffixes import MIDI_READ, MIDI_WRITTEN
from antiphon.files.scores.midi_sysex import octave_tuning, rhythm_channels
from antiphon.files.scores.score_midi import song_of
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.notices import Manner, notice, reading_file

WRITABLE_SUFFIXES = MIDI_WRITTEN
"""Suffixes of writable MIDI files."""
SUFFIXES = MIDI_READ
"""Suffixes of readable MIDI files."""
MAX_FILE = 2 << 20
"""Maximum bytes of a file: 700,000 notes, which take 4 s and 130 MB. Ten times a long symphony."""
MAX_TRACKS = 1024
"""Maximum tracks of a file: ten times the staves of a large orchestra."""
_TEXTS = frozenset({"lyrics", "text", "marker", "cue_marker", "copyright"})
_UNUSED = {
    "aftertouch": "channel pressure",
    "polytouch": "key pressure",
    "sequencer_specific": "sequencer-specific event",
    "smpte_offset": "SMPTE offset",
    "unknown_meta": "meta event",
}
"""Messages that no note and no player here has a use for, in words."""
_PLAYED = ("note_on", "control_change", "pitchwheel")
_BEND = 8192
_MELODY_NAMES = ("melody", "vocal", "voice", "lead", "sing", "tune")
_MIN_MELODY_PITCH = 55
"""Mean pitch below which a line is not a melody."""
Overlap = Literal["end", "replace", "queue"]
"""Treatment of a note that begins again while it sounds: it ends there, is dropped, or lasts until a note-off."""


def read(path: Path, overlap: Overlap = "end") -> MidiSong:
    """Reads a MIDI file.

    A note without a note-off lasts to the end of its track. `path`: the file, of at most 2 MiB. `overlap`: treatment of
    a note that restarts while it sounds: it ends there ("end"), is dropped ("replace"), or lasts until the first
    note-off ("queue"). Raises FileError: it is not a MIDI file, or cannot be read.
    """
    midi = open_midi(path)
    with _convert_midi_errors(path), reading_file("a MIDI file", path):
        for track in midi.tracks:
            for message in track:
                if message.type in _UNUSED:
                    manner: Manner = "unknown" if message.type == "unknown_meta" else "unused"
                    notice(_UNUSED[message.type], manner=manner)
        lyrics = lyrics_of(midi.tracks, midi.ticks_per_beat)
        tracks = tuple(
            replace(_track(track, midi.ticks_per_beat, overlap), lyrics=own)
            for track, own in zip(midi.tracks, lyrics, strict=True)
        )
        length = max((sum(message.time for message in track) for track in midi.tracks), default=0)
        tempo, signatures = conductor(midi)
        texts = tuple((at, message.type, message.text) for at, message in _find_meta_messages(midi, _TEXTS))
        # each track may have them, and those of transposing instruments differ: the first of a beat counts
        keys = {at: message.key for at, message in reversed(_find_meta_messages(midi, ("key_signature",)))}
        held = tuple(sorted(keys.items()))
        drums = frozenset(channel + 1 for channel in rhythm_channels(midi.tracks))
        told = [(at, octave_tuning(tuple(message.data))) for at, message in _find_meta_messages(midi, ("sysex",))]
        tunings = tuple((at, *tuning) for at, tuning in told if tuning)
    length /= midi.ticks_per_beat
    return MidiSong(tracks, tuple(tempo), midi.ticks_per_beat, length, tuple(signatures), texts, held, drums, tunings)


def _find_meta_messages(midi: Any, kinds: Collection[str]) -> list[tuple[float, Any]]:
    """(beat, message) of the messages of some types in all tracks, in order."""
    found = []
    for track in midi.tracks:
        at = 0
        for message in track:
            at += message.time
            if message.type in kinds:
                found.append((at / midi.ticks_per_beat, message))
    return sorted(found, key=lambda item: item[0])


def conductor(midi: Any) -> tuple[list[tuple[float, float]], list[tuple[float, int, int]]]:
    """(beat, bpm) of each tempo, the first at beat 0, and (beat, numerator, denominator) of each time signature."""
    tempos, signatures = {0: DEFAULT_BPM}, dict[int, tuple[int, int]]()
    for track in midi.tracks:
        at = 0
        for message in track:
            at += message.time
            if message.type == "set_tempo":
                tempos[at] = 6e7 / message.tempo
            elif message.type == "time_signature" and message.numerator:
                signatures[at] = (message.numerator, message.denominator)
    ticks = midi.ticks_per_beat
    return (
        [(at / ticks, bpm) for at, bpm in sorted(tempos.items())],
        [(at / ticks, *signature) for at, signature in sorted(signatures.items())],
    )


def open_midi(path: Path) -> Any:
    """Reads a MIDI file, or a score in MusicXML, as a mido object, for callers that need all its content.

    `path`: the file, of at most 2 MiB (of a score 16). Returns a `mido.MidiFile` of at most `MAX_TRACKS` tracks, whose
    time is in beats. Raises FileError: it is not a MIDI file, or cannot be read.
    """
    mido, score = _mido(), path.suffix.lower() in musicxml.SUFFIXES
    content = read_as_midi(path) if score else paths.read_ordinary(path, MAX_FILE, "a MIDI file")
    with _convert_midi_errors(path), reading_file("a MIDI file", path):
        place = find_midi_start(content)
        if place < 0:
            raise _MidiRefused("it does not begin as one" if content else "it is empty (0 bytes)")
        parsed = parse(content[place:])
        _check(parsed)
    midi = mido.MidiFile(type=min(parsed.type, 1), ticks_per_beat=parsed.ticks, charset=parsed.charset)
    midi.tracks += [mido.MidiTrack(track) for track in parsed.tracks]
    return midi


def read_as_midi(score: Path) -> bytes:
    """The MIDI file that plays a score in MusicXML. Raises FileError: it cannot be read."""
    with reading_file("a score", score):
        read = musicxml.read(score)
        for what, count in read.unused:
            notice(what, count)
        return encode(song_of(read))


def _check(parsed: Parsed) -> None:
    if not parsed.ticks:
        raise _MidiRefused("its header gives a beat 0 ticks; save it with ticks per quarter note")
    if parsed.type > 1 and sum(any(message.type == "note_on" for message in track) for track in parsed.tracks) > 1:
        raise _MidiRefused(f"it is of type {parsed.type}, whose tracks are pieces of their own; save it as type 0 or 1")
    if len(parsed.tracks) > MAX_TRACKS:
        raise _MidiRefused(f"it has {len(parsed.tracks)} tracks, and at most {MAX_TRACKS} are allowed")


class TickNote(NamedTuple):
    """A note of a track in ticks."""

    channel: int  # 0 to 15
    start: int
    end: int
    number: int  # 0 to 127
    velocity: int  # 1 to 127
    release: int  # 0 to 127; 64 where its end has none


def tick_notes(track: Any, overlap: Overlap = "end") -> list[TickNote]:
    """Notes of a track. One without a note-off lasts to the end of the track.

    With "end", a key that has as many note-offs as note-ons sounds until the last of those that are down is up, as the
    unison of two hands does; another key until the first.
    """
    notes: list[TickNote] = []
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = {}
    counted = _balanced_keys(track) if overlap == "end" else frozenset[tuple[int, int]]()
    down: Counter[tuple[int, int]] = Counter()
    again: dict[tuple[int, int], int] = {}
    at = 0

    def end(key: tuple[int, int], release: int = 64) -> None:
        begun = sounding[key]
        start, velocity = begun.pop(0)
        notes.append(TickNote(key[0], start, at, key[1], velocity, release))
        if not begun:
            del sounding[key]

    for message in track:
        at += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        key, velocity = (message.channel, message.note), message.velocity
        begins = message.type == "note_on" and velocity > 0
        if begins:
            down[key] += 1
        elif key in sounding and key in counted:
            down[key] -= 1
            if down[key]:
                continue  # another hand holds it
        if key in sounding and begins and overlap != "queue":
            again[key] = at
            if overlap == "end" and sounding[key][0][0] < at:
                end(key)
            else:
                velocity = max(velocity, sounding.pop(key)[0][1] if overlap == "end" else 0)
                sounding.pop(key, None)
        elif not begins and key not in counted and again.pop(key, -1) == at:
            continue  # the end of the note before, written behind the new beginning
        elif key in sounding and not begins:
            end(key, velocity if message.type == "note_off" else 64)
        if begins:
            sounding.setdefault(key, []).append((at, velocity))
    for key in [key for key, begun in sounding.items() for _ in begun]:
        end(key)
    return notes


def _balanced_keys(track: Any) -> frozenset[tuple[int, int]]:
    """Channel and number of the keys all of whose note-ons have a note-off behind them."""
    down: Counter[tuple[int, int]] = Counter()
    for message in track:
        if message.type == "note_on" and message.velocity:
            down[message.channel, message.note] += 1
        elif message.type in ("note_on", "note_off") and down[message.channel, message.note]:
            down[message.channel, message.note] -= 1
    return frozenset(key for key, count in down.items() if not count)


Line = list[tuple[float, float, int, float]]
"""Notes as rows in order: start and end in beats, number and velocity."""


def melody_of(midi: Any, *, shortest: int = 0) -> tuple[dict[tuple[int, int], Line], tuple[int, int] | None]:
    """Finds a file's melody: the line of that name, else the first that resembles one, else the first; never drums.

    `shortest`: ticks of the shortest note to consider. Returns the notes of each channel, 0 to 15, of each track; track
    and channel of the melody, None without one.
    """
    lines: dict[tuple[int, int], Line] = {}
    ticks = midi.ticks_per_beat
    for place, track in enumerate(midi.tracks):
        for channel, start, end, number, velocity, _ in tick_notes(track):
            if end - start >= shortest:
                line = lines.setdefault((place, channel), [])
                line.append((start / ticks, end / ticks, number, velocity / 127.0))
    lines = {key: sorted(lines[key]) for key in sorted(lines)}
    drums = rhythm_channels(midi.tracks)
    tuneful = [key for key in lines if key[1] not in drums]
    for word in _MELODY_NAMES:
        for key in tuneful:
            if word in midi.tracks[key[0]].name.lower():
                return lines, key
    whole = max((note[1] for key in tuneful for note in lines[key]), default=0.0)
    return lines, next((key for key in tuneful if _is_melody(lines[key], whole)), next(iter(tuneful), None))


def _is_melody(notes: Line, whole: float) -> bool:
    """Whether notes resemble a melody: not low, mostly monophonic, and present in a third of the piece."""
    sounding = sum(note[1] - note[0] for note in notes)
    over = sum(max(0.0, before[1] - after[0]) for before, after in pairwise(notes))
    height = sum(note[2] for note in notes) / len(notes)
    return height >= _MIN_MELODY_PITCH and over < 0.3 * sounding and notes[-1][1] - notes[0][0] > whole / 3.0


@contextlib.contextmanager
def _convert_midi_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except TruncatedMidiError:
        raise FileError(f"{path.name} is not a MIDI file that can be read: it is cut short") from None
    except Exception as error:
        # for values that are none mido raises errors of any type, in words of its own
        reason = str(error) if isinstance(error, _MidiRefused) else "it is damaged; fetch or make it again"
        raise FileError(f"{path.name} is not a MIDI file that can be read: {reason}") from None


def write(
    path: Path,
    tracks: Iterable[MidiTrack],
    tempo: float | Tempo = DEFAULT_BPM,
    ticks: int = TICKS,
    signatures: Iterable[tuple[float, int, int]] = (),
    texts: Iterable[tuple[float, str, str]] = (),
    keys: Iterable[tuple[float, str]] = (),
) -> None:
    """Writes a MIDI file of type 1 atomically.

    The first track has the tempo and no notes: the first given track if it has none, otherwise an additional one.
    `tempo`: bpm, or a map of the form of `MidiSong.tempo`. `ticks`: ticks per beat; the source file's value keeps the
    notes exact. `signatures`, `texts`, `keys`: as in `MidiSong`.
    """
    changes = ((0.0, float(tempo)),) if isinstance(tempo, int | float) else tuple(tempo)
    song = MidiSong(tuple(tracks), changes, ticks, 0.0, tuple(signatures), tuple(texts), tuple(keys))
    paths.write_atomic(path, encode(song))


def encode(song: MidiSong) -> bytes:
    """The bytes of a MIDI file of type 1; see `write`."""
    mido, ticks = _mido(), song.ticks
    first = [
        (round(at * ticks), mido.MetaMessage("time_signature", numerator=upper, denominator=lower))
        for at, upper, lower in song.signatures
    ]
    first += [(round(at * ticks), mido.MetaMessage("key_signature", key=key)) for at, key in song.keys]
    first += [(round(at * ticks), mido.MetaMessage("set_tempo", tempo=_micros(bpm))) for at, bpm in song.tempo]
    first += [(round(at * ticks), mido.MetaMessage(kind, text=text)) for at, kind, text in song.texts]
    rest = [_messages(track, ticks) for track in song.tracks]
    if rest and not any(message.type in _PLAYED for _, message in rest[0]):
        first = rest.pop(0) + first
    if song.length:
        first.append((round(song.length * ticks), mido.MetaMessage("end_of_track")))
    midi = mido.MidiFile(type=1, ticks_per_beat=ticks, charset="utf-8")
    midi.tracks += [_timed(messages) for messages in (first, *rest)]
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


class _MidiRefused(ValueError):
    """The reason why a file is refused, as a sentence."""


def _mido() -> Any:
    return importlib.import_module("mido")


def _track(track: Any, ticks: int, overlap: Overlap) -> MidiTrack:
    at, name, program = 0, "", None
    controls: list[MidiControlChange] = []
    for message in track:
        at += message.time
        match message.type:
            case "control_change":
                value = message.value / 127
                controls.append(MidiControlChange(at / ticks, "control", message.control, value, message.channel + 1))
            case "pitchwheel":
                value = max(-1.0, message.pitch / (_BEND - 1))
                controls.append(MidiControlChange(at / ticks, "bend", 0, value, message.channel + 1))
            case "program_change":
                program = message.program if program is None else program
                controls.append(MidiControlChange(at / ticks, "program", message.program, 0.0, message.channel + 1))
            case "track_name" if not name:
                name = message.name
    notes = [
        MidiNote(start / ticks, max(1, end - start) / ticks, number, velocity / 127, channel + 1, release)
        for channel, start, end, number, velocity, release in tick_notes(track, overlap)
    ]
    notes.sort(key=lambda n: (n.start, n.channel, n.number))
    return MidiTrack(name, tuple(notes), program, tuple(controls))


def _messages(track: MidiTrack, ticks: int) -> list[tuple[int, Any]]:
    mido = _mido()
    first = track.notes or track.controls
    channel = first[0].channel - 1 if first else 0
    messages: list[tuple[int, Any]] = []
    if track.name:
        messages.append((0, mido.MetaMessage("track_name", name=track.name.encode("utf-8", "replace").decode())))
    if track.program is not None and not any(control.kind == "program" for control in track.controls):
        messages.append((0, mido.Message("program_change", program=track.program, channel=channel)))
    for note in track.notes:
        start = round(note.start * ticks)
        end = max(start + 1, round(note.end * ticks))
        where = {"note": note.number, "channel": note.channel - 1}
        velocity = min(127, max(1, round(note.velocity * 127)))
        messages.append((start, mido.Message("note_on", velocity=velocity, **where)))
        messages.append((end, mido.Message("note_off", velocity=note.release, **where)))
    for control in track.controls:
        at, on = round(control.at * ticks), control.channel - 1
        if control.kind == "bend":
            messages.append((at, mido.Message("pitchwheel", pitch=round(control.value * (_BEND - 1)), channel=on)))
        elif control.kind == "program":
            messages.append((at, mido.Message("program_change", program=control.number, channel=on)))
        else:
            value = min(127, max(0, round(control.value * 127)))
            messages.append((at, mido.Message("control_change", control=control.number, value=value, channel=on)))
    return messages


def _micros(bpm: float) -> int:
    """Microseconds per beat, limited to the 24 bits of the file format."""
    return min(0xFFFFFF, max(1, round(6e7 / bpm)))


def _timed(messages: list[tuple[int, Any]]) -> Any:
    mido = _mido()
    track, last = mido.MidiTrack(), 0
    for at, message in sorted(messages, key=lambda m: (m[0], m[1].type == "note_on")):
        message.time = max(0, at - last)  # a copy would check all of it once more
        track.append(message)
        last = max(last, at)
    return track
