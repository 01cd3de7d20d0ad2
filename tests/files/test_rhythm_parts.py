"""Rhythm parts of MIDI files: by channel 10, by SysEx of GS and XG, by bank select; what is read of each."""

from pathlib import Path

import mido
import pytest
from tests import accepted

from antiphon.files.scores.midifile import melody_of, open_midi, read

GS, XG, GM2 = (0x41, 0x10, 0x42, 0x12, 0x40, 0, 0x7F, 0, 0x41), (0x43, 0x10, 0x4C, 0, 0, 0x7E, 0), (0x7E, 0x7F, 9, 3)
Told = tuple[int, ...]


def part(number: int, value: int, *, what: int = 0x15) -> Told:
    """GS: "use for rhythm part" of a part by its address."""
    body = (0x40, 0x10 | number, what, value)
    return 0x41, 0x10, 0x42, 0x12, *body, -sum(body) & 0x7F


def mode(number: int, value: int) -> Told:
    """XG: part mode."""
    return 0x43, 0x10, 0x4C, 8, number, 7, value


def song(folder: Path, *said: Told | tuple[int, int, str], channels: tuple[int, ...] = (11,)) -> Path:
    """A file that says SysEx, or (channel, number, kind) messages in order, then plays a note on each channel."""
    first, rest = mido.MidiTrack(), mido.MidiTrack()
    for one in said:
        if isinstance(one[-1], str):
            channel, value, kind = one
            values = {"control": 0, "value": value} if kind == "bank" else {"program": value}
            rest.append(mido.Message({"bank": "control_change"}.get(kind, kind), channel=int(channel) - 1, **values))
        else:
            first.append(mido.Message("sysex", data=one))
    for channel in channels:
        rest.append(mido.Message("note_on", channel=channel - 1, note=38, time=10))
        rest.append(mido.Message("note_off", channel=channel - 1, note=38, time=230))
    mido.MidiFile(tracks=[first, rest]).save(folder / "x.mid")
    return folder / "x.mid"


def bank(channel: int, value: int) -> tuple[int, int, str]:
    return channel, value, "bank"


PROGRAM = (11, 8, "program_change")


def test_which_channel_is_a_rhythm_part(tmp_path: Path) -> None:
    """The only one of a file is on channel 10, where every synth looks for it, with its program."""

    def rhythm(*said: Told) -> bool:
        found = read(song(tmp_path, *said))
        (track,) = (track for track in found.tracks if track.notes)
        (channel,) = {note.channel for note in track.notes}
        assert {one.channel for one in track.controls} <= {channel}
        assert 10 in found.drums
        assert 11 not in found.drums
        assert melody_of(open_midi(tmp_path / "x.mid"))[1] == (None if channel == 10 else (1, 10))
        return channel == 10

    accepted.compare_calls(__file__, **globals(), rhythm=rhythm)


def test_a_second_rhythm_part_stays_on_its_channel_and_is_one(tmp_path: Path) -> None:
    found = read(song(tmp_path, GS, part(10, 1), (11, 25, "program_change"), channels=(3, 10, 11)))
    assert found.drums == {10, 11}
    notes = [note for track in found.tracks for note in track.notes]
    assert [note.channel for note in notes] == [3, 10, 11]
    stated = [(one.kind, one.number, round(127 * one.value), one.channel) for t in found.tracks for one in t.controls]
    assert stated == [("control", 0, 120, 11), ("program", 0, 0, 11), ("program", 25, 0, 11)]


@pytest.mark.parametrize("said", [(GS, part(0, 0)), (XG, bank(10, 0)), (GM2, bank(10, 121))])
def test_channel_10_may_be_melodic(tmp_path: Path, said: tuple[Told, ...]) -> None:
    found = read(song(tmp_path, *said, (10, 40, "program_change"), channels=(10,)))
    assert found.drums == frozenset()
    assert melody_of(open_midi(tmp_path / "x.mid"))[1] == (1, 9)


def test_the_parts_change_places_where_channel_10_is_melodic(tmp_path: Path) -> None:
    found = read(song(tmp_path, GS, part(0, 0), part(10, 1), (10, 40, "program_change"), channels=(10, 11)))
    notes = sorted((note.start, note.channel) for track in found.tracks for note in track.notes)
    assert [channel for _, channel in notes] == [11, 10]
    assert found.drums == {10}
    assert ("program", 40, 11) in [(one.kind, one.number, one.channel) for t in found.tracks for one in t.controls]


def test_any_sysex_is_taken(tmp_path: Path) -> None:
    odd = [data[:length] for data in (GS, XG, GM2, part(10, 1), mode(10, 1)) for length in range(len(data))]
    assert read(song(tmp_path, *[data for data in odd if data])).drums == {10}
