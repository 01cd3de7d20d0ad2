"""Scores with lyrics: MIDI files and MusicXML to parts, a syllable for each note."""

import math
import re
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.api import Event, UsageError
from antiphon.api.backends.files import (
    MUSICXML_SUFFIXES,
    MidiTimes,
    MidiTrack,
    open_midi,
    printable_path,
    read_midi,
    read_musicxml,
)
from antiphon.api.backends.synths import ChannelBends

MAX_BENDS = 1024
"""Most bends of a note."""
_LINES = "/\\"
"""Karaoke marks before the first syllable of a line or a verse."""
VELOCITY = 0.8
"""Velocity of notes of MusicXML."""
MAX_LYRIC_DISTANCE = 0.06
"""Maximum beats between a lyric and its note."""


@dataclass(frozen=True, slots=True)
class SungNote:
    """A note of a part: start and end in seconds, its number and velocity, and its syllable in the file.

    `bends`: (second, semitones) from there on, the first at or before its start.
    """

    start: float
    end: float
    number: int
    velocity: float
    syllable: str = ""
    bends: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SungPart:
    """A part of a score as it is sung. `name`: as in the file; `notes`: in order of their starts."""

    name: str
    notes: tuple[SungNote, ...]

    def onsets(self) -> int:
        """Number of syllables needed: notes that begin together share one."""
        return len({note.start for note in self.notes})

    def lyrics(self) -> str:
        """Text of its syllables, "" without any."""
        found = [note.syllable for note in {note.start: note for note in reversed(self.notes)}.values()][::-1]
        if not any(found):
            return ""
        text = ""
        for syllable in found:
            if not syllable or syllable == "-":
                text += "- " if text.endswith(" ") or not text else " - "
            elif syllable.endswith("-"):
                text += syllable
            else:
                text += f"{'' if text.endswith('-') else '-'}{syllable} "
        return text.strip()


def read_score(path: Path, reach: float = 2.0) -> tuple[tuple[SungPart, ...], float]:
    """Reads the parts of a file that have notes, and its length in seconds.

    `reach`: semitones of a full bend, where a MIDI file states none. Raises UsageError: it is no score, or there are no
    notes in it.
    """
    parts, seconds = _musicxml(path) if path.suffix.lower() in MUSICXML_SUFFIXES else _midi(path, reach)
    if not parts:
        raise UsageError(f"there are no notes in {printable_path(path)}")
    return parts, max(seconds, *(note.end for part in parts for note in part.notes))


def _midi(path: Path, reach: float) -> tuple[tuple[SungPart, ...], float]:
    song, raw = read_midi(path), open_midi(path)
    times = MidiTimes(song.tempo)
    kind = "lyrics" if any(message.type == "lyrics" for track in raw.tracks for message in track) else "text"
    lyrics = [_lyrics(track, raw.ticks_per_beat, kind) for track in raw.tracks]
    parts = []
    spare = max(lyrics, key=len, default=[])
    for track, own in zip(song.tracks, lyrics, strict=True):
        notes = [note for note in track.notes if note.channel not in song.drums]
        if not notes:
            continue
        starts = {note.start for note in notes}
        if (
            not own
            and spare
            and sum(any(abs(at - s) < MAX_LYRIC_DISTANCE for s in starts) for at, _ in spare) >= 0.8 * len(spare)
        ):
            own = spare
        found = []
        bends = _bends(track, times, reach)
        for note in notes:
            text = next((text for at, text in own if abs(at - note.start) < MAX_LYRIC_DISTANCE), "")
            begin, end = times.seconds(note.start), times.seconds(note.end)
            line = bends.get(note.channel, [])
            first, last = max(0, bisect(line, (begin, math.inf)) - 1), bisect(line, (end, -math.inf))
            found.append(SungNote(begin, end, note.number, note.velocity, text, tuple(line[first:last][:MAX_BENDS])))
        parts.append(SungPart(track.name, tuple(found)))
    return tuple(parts), times.seconds(song.length)


def _bends(track: MidiTrack, times: MidiTimes, reach: float) -> dict[int, list[tuple[float, float]]]:
    """(second, semitones) of a track's bends, by channel."""
    bends, found = ChannelBends(), dict[int, list[tuple[float, float]]]()
    for control in track.controls:
        if bends.follow(Event(control.kind, 0, control.number, control.value, control.channel), reach):
            at = times.seconds(control.at)
            found.setdefault(control.channel, []).append((at, bends.semitones[control.channel]))
    return found


def _lyrics(track: Iterable[Any], ticks: int, kind: str) -> list[tuple[float, str]]:
    """(beat, syllable) of a track's lyrics, with a hyphen after a non-final syllable.

    `kind`: "lyrics", or "text" for those of karaoke, whose lines begin with / or \\ and whose titles with @.
    """
    at, found = 0, []
    for message in track:
        at += message.time
        if message.type == kind and message.text.strip("\r\n"):
            found.append((at / ticks, message.text.strip("\r\n")))
    if kind == "text":
        if not any(text[0] in _LINES for _, text in found):
            return []
        found = [(beat, re.sub(r"^[/\\]", " ", text)) for beat, text in found if text[0] != "@"]
    spaced = any(text != text.strip() for _, text in found)
    result = []
    for n, (beat, text) in enumerate(found):
        after = found[n + 1][1] if n + 1 < len(found) else " "
        whole = not spaced or text.endswith(" ") or after.startswith(" ")
        word = "".join(c for c in text if c.isalpha() or c in "'’-_").replace("_", "-")
        word = "-" if word.strip("-") == "" else word.rstrip("-") + ("-" if text.endswith("-") or not whole else "")
        result.append((beat, word))
    return result


def _musicxml(path: Path) -> tuple[tuple[SungPart, ...], float]:
    score = read_musicxml(path)
    times = MidiTimes(score.tempo)
    parts = []
    for part in score.parts:
        notes = [note for note in part.notes if not (note.grace or note.drum)]
        timed = (
            SungNote(times.seconds(note.start), times.seconds(note.end), note.number, VELOCITY, note.syllable)
            for note in notes
            if note.length
        )
        if sung := tuple(timed):
            parts.append(SungPart(part.name, sung))
    return tuple(parts), times.seconds(score.length)


def divide_part(part: SungPart, text: str, most: int) -> Sequence[tuple[str, tuple[SungNote, ...]]]:
    """Divides a part whose text is longer than a parameter holds."""
    if len(text) <= most:
        return [(text, part.notes)]
    from antiphon.api.backends.signal import syllables

    starts = sorted({note.start for note in part.notes})
    found, words, done = [], text.split(), 0
    while words:
        count = 1
        while count < len(words) and len(" ".join(words[: count + 1])) <= most:
            count += 1
        while 1 < count < len(words) and words[count] in "-_":
            count -= 1
        piece = " ".join(words[:count])
        last = min(len(starts), done + len(syllables(piece)))
        inside = set(starts[done:last])
        found.append((piece, tuple(note for note in part.notes if note.start in inside)))
        words, done = words[count:], last
    return found
