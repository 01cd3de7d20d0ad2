"""Volumes, pans and tunings that SysEx in a MIDI file says, as they are played."""

from pathlib import Path

import mido
import pytest

from antiphon.files.scores import midifile
from antiphon.kernel.runtime.notices import collect
from antiphon.offline import note_file

GM, GS, XG = (0x7E, 0x7F, 9, 1), (0x41, 0x10, 0x42, 0x12, 0x40, 0, 0x7F, 0, 0x41), (0x43, 0x10, 0x4C, 0, 0, 0x7E, 0)


def universal(what: int, low: int, high: int) -> mido.Message:
    return mido.Message("sysex", data=(0x7F, 0x7F, 4, what, low, high), time=100)


def roland(*body: int) -> mido.Message:
    return mido.Message("sysex", data=(0x41, 0x10, 0x42, 0x12, *body, -sum(body) & 0x7F), time=100)


def yamaha(*body: int) -> mido.Message:
    return mido.Message("sysex", data=(0x43, 0x10, 0x4C, *body), time=100)


def cc(number: int, value: int) -> mido.Message:
    return mido.Message("control_change", control=number, value=value)


def song(folder: Path, *messages: mido.Message) -> Path:
    """A note of channel 1 before the messages and one behind them."""
    note = [mido.Message("note_on", note=60, velocity=90), mido.Message("note_off", note=60, time=480)]
    end = [mido.Message("note_on", note=61, velocity=90), mido.Message("note_off", note=61, time=480)]
    mido.MidiFile(ticks_per_beat=480, tracks=[mido.MidiTrack([*note, *messages, *end])]).save(folder / "a.mid")
    return folder / "a.mid"


def last(path: Path) -> dict[int, int]:
    """Last value of each controller of channel 1."""
    (track,) = midifile.read(path).tracks
    return {one.number: round(127 * one.value) for one in track.controls if one.kind == "control" and one.channel == 1}


@pytest.mark.parametrize("reset", [GM, GS, XG])
def test_a_reset_inside_a_file_is_full_and_centred(tmp_path: Path, reset: tuple[int, ...]) -> None:
    before = [cc(7, 20), cc(10, 0), cc(11, 30), cc(64, 127), mido.Message("pitchwheel", pitch=4000)]
    path = song(tmp_path, *before, mido.Message("sysex", data=reset, time=100))
    assert last(path) == {7: 100, 10: 64, 11: 127, 64: 0}
    assert [one.value for one in midifile.read(path).tracks[0].controls if one.kind == "bend"][-1] == 0.0


def test_a_reset_on_the_tick_of_its_volumes_leaves_them(tmp_path: Path) -> None:
    path = song(tmp_path, cc(7, 20), mido.Message("sysex", data=GM))
    assert last(path) == {7: 20}


@pytest.mark.parametrize(
    "message", [universal(1, 0, 64), roland(0x40, 0, 0x04, 64), yamaha(0, 0, 0x04, 64)], ids=["universal", "GS", "XG"]
)
def test_a_master_volume_scales_volumes_before_and_after(tmp_path: Path, message: mido.Message) -> None:
    assert last(song(tmp_path, message))[7] == 50
    assert last(song(tmp_path, message, cc(7, 127)))[7] == 64


@pytest.mark.parametrize("message", [roland(0x40, 0x11, 0x19, 33), yamaha(8, 0, 0x0B, 33)], ids=["GS", "XG"])
def test_a_parts_volume_is_its_channels(tmp_path: Path, message: mido.Message) -> None:
    assert last(song(tmp_path, message))[7] == 33


def test_a_balance_moves_pans(tmp_path: Path) -> None:
    assert last(song(tmp_path, cc(10, 100), universal(2, 0, 44)))[10] == 80


@pytest.mark.parametrize(
    ("message", "coarse", "fine"),
    [
        (universal(4, 0, 67), 67, 64),
        (universal(3, 0, 96), 64, 96),
        (roland(0x40, 0, 0x05, 62), 62, 64),
        (roland(0x40, 0, 0x00, 0, 5, 15, 4), 64, 96),
        (yamaha(0, 0, 0x06, 60), 60, 64),
        (roland(0x40, 0x11, 0x16, 61), 61, 64),
    ],
)
def test_a_master_tuning_is_that_of_channels(tmp_path: Path, message: mido.Message, coarse: int, fine: int) -> None:
    (track,) = midifile.read(song(tmp_path, message)).tracks
    said = [(one.number, round(127 * one.value)) for one in track.controls]
    assert said[:3] == [(101, 0), (100, 2), (6, coarse)]
    assert said[3:5] == [(100, 1), (6, fine)]


OCTAVE = [64] * 12
OCTAVE[1] = 64 - 50
MTS = mido.Message("sysex", data=(0x7E, 0x7F, 8, 8, 3, 0x7F, 0x7F, *OCTAVE))


@pytest.mark.parametrize("message", [MTS, roland(0x40, 0x11, 0x40, *OCTAVE), yamaha(8, 0, 0x42, 14)])
def test_a_tuning_of_the_octave_moves_its_notes(tmp_path: Path, message: mido.Message) -> None:
    events = note_file.read(song(tmp_path, message), 1000).events
    assert [(one.number, one.value) for _, one in events if one.kind == "pitch"] == [(61, -0.5)]


def test_other_sysex_is_named(tmp_path: Path) -> None:
    path = song(tmp_path, roland(0x40, 1, 0x30, 3), mido.Message("sysex", data=(0x7F, 0x7F, 8, 2, 0, 1, 69, 69, 64, 0)))
    with collect() as notices:
        midifile.read(path)
    assert notices.take(str(path)) == ("without 2 unknown SysEx messages (Roland 40 01 30, universal 08 02 00) of IN",)
