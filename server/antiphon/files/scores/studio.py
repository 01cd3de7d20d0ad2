"""Writes a set of tracks as studio projects: DAWproject, for Bitwig, Studio One and Cubase, and Reaper's .rpp."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

from antiphon.files.scores.midi_song import MidiTrack, Tempo, Times
from antiphon.kernel.runtime import paths

PROJECTS = ("set.dawproject", "set.rpp")
"""Names of the projects beside the tracks."""

_TICKS = 960
_UNSEEN = re.compile(r"[^\t\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_STATUS = {"control": 0xB0, "bend": 0xE0, "program": 0xC0}


@dataclass(frozen=True, slots=True)
class StudioTrack:
    """A track: a sound file, or notes.

    `file`: its name beside the project, or "". `channels`: channels of that file. `pan`: -1 left to 1 right. `seconds`:
    the file's length, if it differs from the others'.
    """

    name: str
    file: str = ""
    channels: int = 2
    gain: float = 1.0
    pan: float = 0.0
    muted: bool = False
    notes: MidiTrack | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StudioSet:
    """Tracks that begin together.

    Attributes:
        rate: Hz of the files.
        seconds: Length of each file.
        begin: Beat at which the files begin, counted from the project's; 0 or more.
        tempo: In the form of `MidiSong.tempo`, from the project's beginning.
        bar: Beats of a bar.
        markers: (beat, name) in order.
        gain: Gain of the master track; 1 leaves the recorded level.
        meters: (beat, upper, lower) of each time signature, the first at 0; without any `bar` quarters.
    """

    rate: int
    seconds: float
    begin: float
    tempo: Tempo
    bar: int
    tracks: Sequence[StudioTrack]
    markers: Sequence[tuple[float, str]] = ()
    gain: float = 1.0
    meters: Sequence[tuple[float, int, int]] = ()

    @property
    def signatures(self) -> Sequence[tuple[float, int, int]]:
        """Time signatures as in `meters`, at least one."""
        return self.meters or ((0.0, self.bar, 4),)


def write_projects(folder: Path, held: StudioSet) -> list[Path]:
    """Writes `PROJECTS` into the folder of the tracks; returns their paths."""
    written = [folder / name for name in PROJECTS]
    for path, content in zip(written, (dawproject(held), reaper_project_text(held).encode()), strict=True):
        paths.write_atomic(path, content, paths.PRIVATE)
    return written


def dawproject(held: StudioSet) -> bytes:
    """Encodes a DAWproject file; the sound files stay beside it."""
    root = ElementTree.Element("Project", version="1.0")
    ElementTree.SubElement(root, "Application", name="Antiphon", version=metadata.version("antiphon"))
    transport = ElementTree.SubElement(root, "Transport")
    bpm = {"min": "10", "max": "999", "unit": "bpm"}
    ElementTree.SubElement(transport, "Tempo", bpm, value=_number(held.tempo[0][1]), id="tempo", name="Tempo")
    ElementTree.SubElement(transport, "TimeSignature", _signature(held.signatures[0]), id="meter")
    structure = ElementTree.SubElement(root, "Structure")
    for place, track in enumerate(held.tracks):
        kind = "notes" if track.notes is not None else "audio"
        _channel(structure, f"track{place}", track, kind)
    _channel(structure, "master", StudioTrack("Master", gain=held.gain), "audio notes")
    arrangement = ElementTree.SubElement(root, "Arrangement", id="arrangement")
    lanes = ElementTree.SubElement(arrangement, "Lanes", timeUnit="beats", id="lanes")
    times = Times(held.tempo)
    begin = times.seconds(held.begin)
    for place, track in enumerate(held.tracks):
        lane = ElementTree.SubElement(lanes, "Lanes", track=f"track{place}", id=f"lane{place}")
        if track.notes is None:
            clips = ElementTree.SubElement(lane, "Clips", timeUnit="seconds", id=f"clips{place}")
            length = {"duration": _number(held.seconds if track.seconds is None else track.seconds)}
            shape = {"time": _number(begin), **length, "contentTimeUnit": "seconds", "playStart": "0"}
            clip = ElementTree.SubElement(clips, "Clip", shape, name=_text(track.name))
            form = {"channels": str(track.channels), "sampleRate": str(held.rate), "timeUnit": "seconds"}
            audio = ElementTree.SubElement(clip, "Audio", {**length, **form}, id=f"audio{place}")
            ElementTree.SubElement(audio, "File", path=track.file, external="true")
            continue
        end = times.beat(begin + held.seconds)
        clips = ElementTree.SubElement(lane, "Clips", id=f"clips{place}")
        shape = {"time": "0", "duration": _number(end), "playStart": "0"}
        clip = ElementTree.SubElement(clips, "Clip", shape, name=_text(track.name))
        notes = ElementTree.SubElement(clip, "Notes", id=f"notes{place}")
        for note in track.notes.notes:
            sound = {"key": str(note.number), "channel": str(note.channel - 1), "vel": _number(note.velocity)}
            ElementTree.SubElement(notes, "Note", sound, time=_number(note.start), duration=_number(note.length))
    if held.markers:
        markers = ElementTree.SubElement(arrangement, "Markers", timeUnit="beats", id="markers")
        for beat, name in held.markers:
            ElementTree.SubElement(markers, "Marker", time=_number(beat), name=_text(name))
    changes = ElementTree.SubElement(arrangement, "TempoAutomation", timeUnit="beats", unit="bpm", id="tempos")
    ElementTree.SubElement(changes, "Target", parameter="tempo")
    for beat, value in held.tempo:
        point = {"time": _number(beat), "value": _number(value), "interpolation": "hold"}
        ElementTree.SubElement(changes, "RealPoint", point)
    if held.meters:
        bars = ElementTree.SubElement(arrangement, "TimeSignatureAutomation", timeUnit="beats", id="meters")
        ElementTree.SubElement(bars, "Target", parameter="meter")
        for meter in held.meters:
            ElementTree.SubElement(bars, "TimeSignaturePoint", _signature(meter), time=_number(meter[0]))
    ElementTree.indent(root)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("project.xml", root), ("metadata.xml", ElementTree.Element("MetaData"))):
            data = ElementTree.tostring(text, "utf-8", xml_declaration=True)
            # a fixed time: the same set gives the same file
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _signature(meter: tuple[float, int, int]) -> dict[str, str]:
    return {"numerator": str(meter[1]), "denominator": str(meter[2])}


def _channel(structure: ElementTree.Element, key: str, track: StudioTrack, kind: str) -> None:
    own = ElementTree.SubElement(structure, "Track", contentType=kind, loaded="true", id=key, name=_text(track.name))
    role = {"role": "master"} if key == "master" else {"role": "regular", "destination": "master-channel"}
    channel = ElementTree.SubElement(own, "Channel", role, audioChannels="2", id=f"{key}-channel")
    ElementTree.SubElement(channel, "Mute", value=str(track.muted).lower(), id=f"{key}-mute", name="Mute")
    pan, volume = ({"min": "0", "max": most, "unit": unit} for most, unit in (("1", "normalized"), ("16", "linear")))
    ElementTree.SubElement(channel, "Pan", pan, value=_number((track.pan + 1.0) / 2.0), id=f"{key}-pan", name="Pan")
    ElementTree.SubElement(channel, "Volume", volume, value=_number(track.gain), id=f"{key}-volume", name="Volume")


def reaper_project_text(held: StudioSet) -> str:
    """Writes the text of a Reaper project, with the sound files beside it and the notes inside."""
    return "\n".join(_reaper_lines(held)) + "\n"


def _reaper_lines(held: StudioSet) -> Iterator[str]:
    times = Times(held.tempo)
    begin = times.seconds(held.begin)
    yield '<REAPER_PROJECT 0.1 "6.80" 0'
    yield f"  SAMPLERATE {held.rate} 1 0"
    meters = {beat: f" {lower << 16 | upper} 0 1" for beat, upper, lower in held.meters}
    yield "  TEMPO {} {} {}".format(_number(held.tempo[0][1]), *held.signatures[0][1:])
    yield f"  MASTER_VOLUME {_number(held.gain)} 0 -1 -1 1"
    yield "  <TEMPOENVEX\n    ACT 1 -1\n    VIS 1 0 1"
    tempi = dict(held.tempo)
    for beat in sorted({*tempi, *meters}):
        bpm = tempi.get(beat) or times.bpm(beat)
        # square: the tempo holds until the next
        yield f"    PT {_number(times.seconds(beat))} {_number(bpm)} 1{meters.get(beat, '')}"
    yield "  >"
    for number, (beat, name) in enumerate(held.markers, 1):
        yield f"  MARKER {number} {_number(times.seconds(beat))} {_quote_for_reaper(name)} 0"
    for track in held.tracks:
        yield f"  <TRACK\n    NAME {_quote_for_reaper(track.name)}"
        yield f"    VOLPAN {_number(track.gain)} {_number(track.pan)} -1 -1 1"
        yield f"    MUTESOLO {int(track.muted)} 0 0\n    NCHAN {max(2, track.channels + track.channels % 2)}"
        start, length = begin, held.seconds if track.seconds is None else track.seconds
        if track.notes is not None:
            start, length = 0.0, begin + length
        yield f"    <ITEM\n      POSITION {_number(start)}\n      LENGTH {_number(length)}\n      LOOP 0"
        yield f"      NAME {_quote_for_reaper(track.name)}"
        if track.notes is None:
            yield f"      <SOURCE WAVE\n        FILE {_quote_for_reaper(track.file)}\n      >"
        else:
            yield f"      <SOURCE MIDI\n        HASDATA 1 {_TICKS} QN"
            yield from _reaper_events(track.notes, round(times.beat(length) * _TICKS))
            yield "      >"
        yield "    >\n  >"
    yield ">"


def _reaper_events(notes: MidiTrack, end: int) -> Iterator[str]:
    found: list[tuple[int, int, int, int, int]] = []
    for note in notes.notes:
        channel, velocity = note.channel - 1, min(127, max(1, round(note.velocity * 127)))
        start = round(note.start * _TICKS)
        found.append((start, 1, 0x90 | channel, note.number, velocity))
        found.append((max(start + 1, round(note.end * _TICKS)), 0, 0x80 | channel, note.number, note.release))
    for control in notes.controls:
        value = round(min(1.0, max(0.0, control.value)) * 127)
        data = control.number, value
        if control.kind == "bend":
            bend = min(16383, max(0, round(control.value * 8192) + 8192))
            data = bend & 127, bend >> 7
        status = _STATUS[control.kind] | (control.channel - 1)
        found.append((round(control.at * _TICKS), 0, status, *data))
    at = 0
    for place, _, *message in sorted(found):
        yield f"        E {place - at} " + " ".join(f"{byte:02x}" for byte in message)
        at = place
    yield f"        E {max(0, end - at)} b0 7b 00"


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".") or "0"


def _text(value: str) -> str:
    return _UNSEEN.sub(" ", value)


def _quote_for_reaper(value: str) -> str:
    """Quotes a text for Reaper, by a quotation mark that it does not contain."""
    text = " ".join(_text(value).split())
    mark = next((mark for mark in "\"'`" if mark not in text), "")
    return f"{mark}{text}{mark}" if mark else "`" + text.replace("`", "'") + "`"
