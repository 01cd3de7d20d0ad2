"""Projects for studios: valid by Bitwig's published schema, and read back as what was written."""

import io
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from antiphon.files.scores.midi_song import MidiControlChange, MidiNote, MidiTrack
from antiphon.files.scores.studio import StudioSet, StudioTrack, dawproject, reaper_project_text

NOTES = MidiTrack(
    "keys", (MidiNote(1.0, 0.5, 60, 100 / 127, 2), MidiNote(1.5, 3.0, 64, 1.0)), None,
    (MidiControlChange(2.0, "bend", 0, -1.0), MidiControlChange(2.5, "control", 64, 1.0, 2)),
)  # fmt: skip
SET = StudioSet(
    48000,
    10.5,
    1.25,
    [(0.0, 120.0), (8.0, 90.5)],
    3,
    [
        StudioTrack('drums "live" <1>', "drums.wav", 2, gain=0.5, pan=-1.0),
        StudioTrack("dry\x07 'take' `x` \"y\"", "dry.wav", 1, muted=True),
        StudioTrack("keys notes", muted=True, notes=NOTES),
    ],
    [(2.0, "verse & chorus"), (6.5, "scene 1")],
    0.7,
)


@cache
def schema() -> Any:
    import xmlschema  # a third of a second for each process that collects this file

    return xmlschema.XMLSchema(str(Path(__file__).parent / "dawproject.xsd"))


def read(held: StudioSet) -> ElementTree.Element:
    with zipfile.ZipFile(io.BytesIO(dawproject(held))) as archive:
        assert archive.namelist() == ["project.xml", "metadata.xml"]
        root = ElementTree.fromstring(archive.read("project.xml"))
    schema().validate(root)
    return root


def channel(root: ElementTree.Element, name: str) -> dict[str, str]:
    track = next(track for track in root.iter("Track") if track.get("name") == name)
    return {part.tag: part.get("value", "") for part in track.find("Channel") or ()}


def test_a_dawproject_is_valid_and_says_what_was_given() -> None:
    root = read(SET)
    names = [track.get("name") for track in root.iter("Track")]
    assert names == ['drums "live" <1>', "dry  'take' `x` \"y\"", "keys notes", "Master"]
    assert channel(root, names[0] or "") == {"Mute": "false", "Pan": "0", "Volume": "0.5"}
    assert channel(root, names[1] or "") == {"Mute": "true", "Pan": "0.5", "Volume": "1"}
    assert channel(root, "Master")["Volume"] == "0.7"
    clips = [clip for clip in root.iter("Clip") if clip.find("Audio") is not None]
    # beat 1.25 at 120 bpm
    assert [(clip.get("time"), clip.get("duration")) for clip in clips] == [("0.625", "10.5")] * 2
    assert [clip.find("Audio/File").get("path") for clip in clips] == ["drums.wav", "dry.wav"]  # type: ignore[union-attr]
    assert [clip.find("Audio").get("channels") for clip in clips] == ["2", "1"]  # type: ignore[union-attr]
    notes = [(n.get("time"), n.get("duration"), n.get("key"), n.get("channel")) for n in root.iter("Note")]
    assert notes == [("1", "0.5", "60", "1"), ("1.5", "3", "64", "0")]
    assert [(m.get("time"), m.get("name")) for m in root.iter("Marker")] == [
        ("2", "verse & chorus"),
        ("6.5", "scene 1"),
    ]
    assert [(p.get("time"), p.get("value")) for p in root.iter("RealPoint")] == [("0", "120"), ("8", "90.5")]
    meter = root.find("Transport/TimeSignature")
    assert meter is not None
    assert meter.get("numerator") == "3"


def test_time_signatures_change_in_both_projects() -> None:
    held = replace(SET, meters=((0.0, 4, 4), (4.0, 3, 4), (10.0, 7, 8)))
    root = read(held)
    points = [(p.get("time"), p.get("numerator"), p.get("denominator")) for p in root.iter("TimeSignaturePoint")]
    assert points == [("0", "4", "4"), ("4", "3", "4"), ("10", "7", "8")]
    lines = [
        line.strip() for line in reaper_project_text(held).splitlines() if line.strip().startswith(("PT", "TEMPO"))
    ]
    # a meter is its denominator in the high half and its numerator; beat 10 is 2 beats at 90.5 bpm after second 4
    assert lines == [
        "TEMPO 120 4 4", "PT 0 120 1 262148 0 1", "PT 2 120 1 262147 0 1", "PT 4 90.5 1",
        "PT 5.325966851 90.5 1 524295 0 1",
    ]  # fmt: skip


def test_the_same_set_is_the_same_file() -> None:
    assert dawproject(SET) == dawproject(SET)


@pytest.mark.parametrize("held", [StudioSet(44100, 0.0, 0.0, [(0.0, 120.0)], 4, [])])
def test_an_empty_set_is_valid(held: StudioSet) -> None:
    read(held)
    assert reaper_project_text(held).count("<TRACK") == 0


def test_a_schema_violation_is_seen() -> None:
    import xmlschema

    root = read(SET)
    root.append(ElementTree.Element("Track"))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema().validate(root)


def blocks(text: str) -> list[object]:
    """Reaper's file as nested lists of words: what `<` opens, `>` closes."""
    stack: list[list[object]] = [[]]
    for line in text.splitlines():
        words = line.strip()
        if words == ">":
            done = stack.pop()
            stack[-1].append(done)
        elif words.startswith("<"):
            stack.append([words[1:]])
        else:
            stack[-1].append(words)
    assert len(stack) == 1
    return stack[0]


def test_a_project_of_reaper_says_what_was_given() -> None:
    (project,) = blocks(reaper_project_text(SET))
    assert isinstance(project, list)
    assert {"TEMPO 120 3 4", "SAMPLERATE 48000 1 0", "MASTER_VOLUME 0.7 0 -1 -1 1"} <= set(map(str, project))
    assert {'MARKER 1 1 "verse & chorus" 0', 'MARKER 2 3.25 "scene 1" 0'} <= set(map(str, project))
    tempo, drums, dry, keys = (part for part in project if isinstance(part, list))
    # beat 8 at 120 bpm is second 4
    assert tempo == ["TEMPOENVEX", "ACT 1 -1", "VIS 1 0 1", "PT 0 120 1", "PT 4 90.5 1"]
    assert drums[:4] == ["TRACK", "NAME 'drums \"live\" <1>'", "VOLPAN 0.5 -1 -1 -1 1", "MUTESOLO 0 0 0"]
    assert dry[1] == "NAME `dry 'take' 'x' \"y\"`"
    item = drums[-1]
    assert item[1:3] == ["POSITION 0.625", "LENGTH 10.5"]
    assert item[-1] == ["SOURCE WAVE", 'FILE "drums.wav"']
    events = [line.split()[1:] for line in keys[-1][-1][2:]]
    at, told = 0, []
    for step, *message in events:
        at += int(step)
        told.append((at, " ".join(message)))
    assert told[:-1] == [
        (960, "91 3c 64"),
        (1440, "81 3c 40"),
        (1440, "90 40 7f"),
        (1920, "e0 00 00"),
        (2400, "b1 40 7f"),
        (4320, "80 40 40"),
    ]
