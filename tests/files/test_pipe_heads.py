"""The beginning of a stream whose writer could not go back: a length of 0 before sound is an unknown one."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import forked

from antiphon.files.audiofile import read
from antiphon.files.pipes import open_ended
from antiphon.testing import sound as audio


def file(form: str, frames: int = 4800) -> bytearray:
    held = io.BytesIO()
    soundfile.write(held, audio.noise(frames, seed=4).T * 0.3, 48000, format=form, subtype="PCM_16")
    return bytearray(held.getvalue())


def without_length(form: str) -> bytes:
    data = file(form)
    if form == "AU":
        data[8:12] = bytes(4)
        return bytes(data)
    data[4:8] = b"\xff" * 4 if form == "RF64" else bytes(4)
    if form == "RF64":
        place = data.index(b"ds64") + 8
        data[place : place + 24] = bytes(24)
    else:
        place = data.index(b"data") + 4
        data[place : place + 4] = bytes(4)
    return bytes(data)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "AU"])
def test_piped_sound_without_length_is_read_whole(tmp_path: Path, form: str) -> None:
    words = [*forked.COMMAND, "run", "gain", "-", str(tmp_path / "out.wav")]
    source = forked.Forked(words, stdin=subprocess.PIPE)
    source.communicate(without_length(form))
    np.testing.assert_array_equal(read(tmp_path / "out.wav").samples[0], soundfile.read(io.BytesIO(file("WAV")))[0])


def test_stream_with_a_length_or_without_sound_is_as_it_was() -> None:
    plain = bytes(file("WAV"))
    assert open_ended(plain) == plain
    empty = bytes(file("WAV", 0))
    assert open_ended(empty) is None
    more = empty + b"LIST\x04\0\0\0INFO"
    assert open_ended(more) == more
    assert open_ended(b"FORM" + bytes(100)) == b"FORM" + bytes(100)
