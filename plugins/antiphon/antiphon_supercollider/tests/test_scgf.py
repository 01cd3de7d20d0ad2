"""Other people's compiled SynthDefs: read to their end, or refused in a sentence; never handed on as they came."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api import FileError
from antiphon.api.backends.synths import SynthSettings
from antiphon_supercollider.voices import material
from antiphon_supercollider.voices.material import check, own_synthdef

FOLDER = Path(__file__).parent / "synthdefs" / "own" / "compiled"
OURS = Path(__file__).parents[4] / "supercollider" / "compiled"
BLIP = (FOLDER / "blip.scsyndef").read_bytes()


def test_controls_channels_and_what_a_gate_can_be_mapped_to():
    blip, tick = material.load(FOLDER / "blip.scsyndef"), material.load(FOLDER / "tick.scsyndef")
    assert blip.title == "blip"
    assert (blip.channels, tick.channels) == (2, 1)
    assert blip.controls["freq"] == 440.0
    assert "gate" in blip.held
    assert "gate" not in tick.controls


def test_it_is_handed_on_under_a_name_made_of_its_bytes():
    found = material.parse(BLIP, "blip")
    again = material.parse(found.data, "blip")
    assert again.title == found.name
    assert found.name.startswith(material.PREFIX)
    assert (again.controls, again.channels) == (found.controls, found.channels)
    other = material.parse(BLIP.replace(b"release", b"relaxed"), "blip")
    assert other.name != found.name


def test_one_that_writes_to_a_bus_of_its_own_is_refused(tmp_path: Path):
    # its Out takes the control out (a Control's output) as its bus; a constant is as good for scsynth
    path = FOLDER / "tick.scsyndef"
    whole = path.read_bytes()
    at = whole.rindex(b"\x03Out") + len(b"\x03Out") + 1 + 4 + 4 + 2
    assert struct.unpack_from(">ii", whole, at)[0] >= 0
    wired = tmp_path / "tick.scsyndef"
    wired.write_bytes(whole[:at] + struct.pack(">ii", -1, 0) + whole[at + 8 :])
    assert material.load(path).elsewhere == ""
    with pytest.raises(FileError, match=r"Out in tick.scsyndef writes to a bus of its own"):
        own_synthdef(SynthSettings(synthdef=str(wired)))


def test_one_that_is_cut_off_anywhere_is_refused():
    for size in range(len(BLIP)):
        with pytest.raises(FileError, match="blip"):
            material.parse(BLIP[:size], "blip")
    with pytest.raises(FileError, match="follows its end"):
        material.parse(BLIP + b"\0", "blip")


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, len(BLIP) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_bytes_are_read_or_refused(changes: list[tuple[int, int]]):
    data = bytearray(BLIP)
    for at, value in changes:
        data[at] = value
    with contextlib.suppress(FileError):
        material.parse(bytes(data), "blip")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"SCgf\0\0\0\2", b"SCgf\0\0\0\1", "of format 1"),
        (b"SCgf\0\0\0\2\0\1", b"SCgf\0\0\0\2\0\2", "holds 2 SynthDefs"),
        (b"\4gate\0\0\0\3", b"\4gate\0\0\0\x7f", "control 'gate' has no value"),
    ],
)
def test_what_is_wrong_is_named(old: bytes, new: bytes, said: str):
    assert old in BLIP
    with pytest.raises(FileError, match=said):
        material.parse(BLIP.replace(old, new), "blip")


def test_files_are_bounded_and_may_be_missing(tmp_path: Path):
    large = tmp_path / "large.scsyndef"
    large.write_bytes(BLIP + bytes(material.MAX_BYTES))
    for path, said in (
        (large, "larger than a SynthDef"),
        (tmp_path / "none.scsyndef", "there is no SynthDef none"),
    ):
        with pytest.raises(FileError, match=said):
            material.load(path)


@pytest.mark.parametrize(("name", "said"), [("nowhere", "no control named out"), ("wide", "plays 4 channels")])
def test_what_cannot_be_brought_here_is_refused(name: str, said: str):
    with pytest.raises(FileError, match=said):
        own_synthdef(SynthSettings(synthdef=str(FOLDER / f"{name}.scsyndef")))


def test_controls_are_those_of_the_definition():
    with pytest.raises(Exception, match="blip has no control 'cutoff'; it has: amp, release"):
        check(SynthSettings(synthdef=str(FOLDER / "blip.scsyndef"), controls="cutoff=1:2"))
    with pytest.raises(Exception, match="sampler plays a sound"):
        check(SynthSettings("sampler"))
    check(SynthSettings("organ", controls="vibrato=0.1 octave=0:1"))
