"""Speakers of channels: loudness by BS.1770 leaves low frequencies out and weighs the sides; files keep the mask."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from antiphon.files.audiofile import read
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.containers.speakers import mask_of_layout
from antiphon.files.sound_finish import SoundFinish
from antiphon.offline.analyses import analyse_file
from antiphon.signal.loudness import LoudnessMeter

MASKS = {4: 0x33, 5: 0x607, 6: 0x3F, 8: 0x63F}
"""Quad, 5.0 with sides, 5.1 with backs, 7.1 with both."""
FRONT, SIDE, SILENT = -23.01, -21.51, -70.0


def tone(path: Path, channels: int, channel: int) -> None:
    """A wav with a mask and a tone of .1 in one channel."""
    x = np.zeros((48000, channels), "<f4")
    x[:, channel] = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)
    form = struct.pack(
        "<HHIIHHHHI", 0xFFFE, channels, 48000, 192000 * channels, 4 * channels, 32, 22, 32, MASKS[channels]
    )
    form += struct.pack("<H", 3) + bytes.fromhex("000000001000800000aa00389b71")
    data = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", x.nbytes) + x.tobytes()
    path.write_bytes(b"RIFF" + struct.pack("<I", len(data)) + data)


@pytest.mark.parametrize(
    ("channels", "channel", "wanted"),
    [
        (8, 0, FRONT), (8, 3, SILENT), (8, 4, FRONT), (8, 6, SIDE), (4, 0, FRONT), (4, 2, SIDE), (5, 3, SIDE),
        (6, 3, SILENT), (6, 4, SIDE),
    ],
)  # fmt: skip
def test_loudness_weighs_each_speaker(tmp_path: Path, channels: int, channel: int, wanted: float) -> None:
    path = tmp_path / "in.wav"
    tone(path, channels, channel)
    _, values, _ = analyse_file(bytes(path), ["loudness"])["loudness"]
    assert values is not None
    assert values["loudness"] == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("channels", MASKS)
def test_speakers_are_kept_and_loudness_is_set_by_them(tmp_path: Path, channels: int, subtype: str) -> None:
    tone(tmp_path / "in.wav", channels, channels - 1)
    sound = read(tmp_path / "in.wav")
    assert sound.info.mask == MASKS[channels]
    finish = SoundFinish(loudness=-20.0).with_tags(sound.info)
    with AudioWriter(tmp_path / "out.wav", 48000, channels, subtype, finish) as writer:
        writer.write(sound.samples)
    assert read(tmp_path / "out.wav").info.mask == MASKS[channels]
    assert writer.conversions == ("+1.5 dB to -20.0 LUFS",)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the path: nothing is made")
@pytest.mark.parametrize("channels", MASKS)
def test_speakers_of_an_m4a_are_those_of_its_source(tmp_path: Path, channels: int) -> None:
    tone(tmp_path / "in.wav", channels, channels - 1)
    sound = read(tmp_path / "in.wav")
    with AudioWriter(tmp_path / "out.m4a", 48000, channels, "", SoundFinish().with_tags(sound.info)) as writer:
        writer.write(sound.samples)
    coded = read(tmp_path / "out.m4a")
    levels = np.sqrt(np.square(coded.samples[:, 9600:38400]).mean(axis=1))
    assert levels[-1] == pytest.approx(0.1 / np.sqrt(2), rel=0.05)
    assert levels[:-1].max() < 0.001
    assert LoudnessMeter.weights(channels, coded.info.mask) == LoudnessMeter.weights(channels, MASKS[channels])


def test_layouts_of_others_have_masks() -> None:
    assert mask_of_layout("7.1", 8) == MASKS[8]
    assert mask_of_layout("7.1", 6) == mask_of_layout("unheard of", 6) == 0
