"""Scores with lyrics: MIDI files and MusicXML to parts, a syllable for each note."""

from __future__ import annotations

import io
import math
import re
import zipfile
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from antiphon.api import Event, UsageError
from antiphon.api.backends.files import MidiTimes, MidiTrack, open_midi, printable_path, read_midi
from antiphon.api.backends.synths import ChannelBends

MAX_BENDS = 1024
"""Most bends of a note."""
_LINES = "/\\"
"""Karaoke marks before the first syllable of a line or a verse."""
XML_SUFFIXES = (".musicxml", ".xml", ".mxl")
MAX_BYTES = 16 << 20
MAX_LYRIC_DISTANCE = 0.06
"""Maximum beats between a lyric and its note."""
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


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
class ScorePart:
    """A part of a score. `name`: as in the file; `notes`: in order of their starts."""

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


def read_score(path: Path, reach: float = 2.0) -> tuple[tuple[ScorePart, ...], float]:
    """Reads the parts of a file that have notes, and its length in seconds.

    `reach`: semitones of a full bend, where a MIDI file states none. Raises UsageError: it is no score, or there are no
    notes in it.
    """
    parts, seconds = _musicxml(path) if path.suffix.lower() in XML_SUFFIXES else _midi(path, reach)
    if not parts:
        raise UsageError(f"there are no notes in {printable_path(path)}")
    return parts, max(seconds, *(note.end for part in parts for note in part.notes))


def _midi(path: Path, reach: float) -> tuple[tuple[ScorePart, ...], float]:
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
        parts.append(ScorePart(track.name, tuple(found)))
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


def _musicxml(path: Path) -> tuple[tuple[ScorePart, ...], float]:
    try:
        content = path.read_bytes()[: MAX_BYTES + 1]
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                inner = [
                    i
                    for i in packed.infolist()
                    if i.filename.endswith((".xml", ".musicxml")) and "META-INF" not in i.filename
                ]
                with packed.open(inner[0]) as file:
                    content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES or b"<!ENTITY" in content:
            raise UsageError(f"{printable_path(path)} is larger than {MAX_BYTES >> 20} MiB, or has entities of its own")
        root = ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError, zipfile.BadZipFile, IndexError) as error:
        raise UsageError(f"cannot read {printable_path(path)}: it is no MusicXML ({type(error).__name__})") from None
    names = {item.get("id"): item.findtext("part-name") or "" for item in root.iter("score-part")}
    tempo: list[tuple[float, float]] = []
    read = [_xml_part(part, tempo) for part in root.iter("part")]
    times = MidiTimes(sorted({0.0: 120.0, **dict(tempo)}.items()))
    parts, seconds = [], 0.0
    for part, (notes, length) in zip(root.iter("part"), read, strict=True):
        timed = tuple(SungNote(times.seconds(a), times.seconds(b), number, 0.8, text) for a, b, number, text in notes)
        seconds = max(seconds, times.seconds(length))
        if timed:
            parts.append(ScorePart(names.get(part.get("id"), ""), timed))
    return tuple(parts), seconds


def _xml_part(
    part: ElementTree.Element, tempo: list[tuple[float, float]]
) -> tuple[list[tuple[float, float, int, str]], float]:
    """(start, end, number, syllable) of a part's notes, in beats, and its length; tempo marks go into `tempo`."""
    divisions, at, start, most = 1.0, 0.0, 0.0, 0.0
    notes: list[tuple[float, float, int, str]] = []
    for item in part.iter():
        if item.tag == "divisions":
            divisions = float(item.text or 1)
        elif item.tag == "sound" and item.get("tempo"):
            tempo.append((at, float(item.get("tempo") or 120)))
        elif item.tag in ("backup", "forward"):
            step = float(item.findtext("duration") or 0) / divisions
            at += step if item.tag == "forward" else -step
        elif item.tag == "note" and item.find("grace") is None:
            length = float(item.findtext("duration") or 0) / divisions
            if item.find("chord") is None:
                start, at = at, at + length
            most = max(most, at)
            pitch = item.find("pitch")
            if pitch is None:
                continue
            step_name, octave = pitch.findtext("step") or "C", int(pitch.findtext("octave") or 4)
            number = 12 * (octave + 1) + _STEPS[step_name] + round(float(pitch.findtext("alter") or 0))
            if any(tie.get("type") == "stop" for tie in item.findall("tie")):
                n = next((n for n in range(len(notes) - 1, -1, -1) if notes[n][2] == number), -1)
                if n >= 0:
                    notes[n] = (notes[n][0], start + length, number, notes[n][3])
                    continue
            notes.append((start, start + length, number, _xml_syllable(item)))
    return sorted(notes), most


def _xml_syllable(note: ElementTree.Element) -> str:
    lyric = note.find("lyric")
    text = "" if lyric is None else lyric.findtext("text") or ""
    word = "".join(c for c in text if c.isalpha() or c in "'’")
    return word + "-" if word and lyric is not None and lyric.findtext("syllabic") in ("begin", "middle") else word


def divide_part(part: ScorePart, text: str, most: int) -> Sequence[tuple[str, tuple[SungNote, ...]]]:
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
