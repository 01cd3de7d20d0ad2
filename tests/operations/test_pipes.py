"""`-`: sound from standard input and to standard output, as it comes."""

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
from tests.each import each
from tests.forked import COMMAND, Forked

from antiphon.files.pipes import _TYPES, RawForm, wav_head
from antiphon.kernel.errors import UsageError
from antiphon.testing import sound as audio

RATE = 48000
SOUND = audio.noise(RATE, channels=2, seed=1) * 0.3


def started(*words: str) -> "subprocess.Popen[bytes]":
    pipe: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return Forked([*COMMAND, *words], **pipe)


def piped(data: bytes, *words: str) -> tuple[bytes, str]:
    process = started(*words)
    out, said = process.communicate(data)
    assert process.returncode == 0, said.decode()
    return out, said.decode()


def wav(subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SOUND.T, RATE, subtype, format="WAV")
    return file.getvalue()


def endless(data: bytes) -> bytes:
    """A wav as ffmpeg writes it to a pipe: without lengths."""
    at = data.index(b"data")
    return data[:4] + b"\xff" * 4 + data[8 : at + 4] + b"\xff" * 4 + data[at + 8 :]


def samples(out: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(out), dtype="float32", always_2d=True)[0].T


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_goes_through(subtype: str) -> None:
    out, said = piped(endless(wav(subtype)), "run", "gain", "-", "-", "-p", "gain=0.5")
    found = samples(out)
    assert found.shape == SOUND.shape
    np.testing.assert_allclose(found, 0.5 * SOUND, atol=2 / 32768)
    assert "wrote standard output: 0:01.0, 48 kHz, stereo, from standard input" in said


def test_standard_output_that_the_shell_writes_to_a_file_is_taken(tmp_path: Path) -> None:
    with (tmp_path / "out.wav").open("wb") as file:
        process = Forked([*COMMAND, "run", "gain", "-", "-"], stdin=subprocess.PIPE, stdout=file)
        process.communicate(wav())
    assert process.returncode == 0
    assert samples((tmp_path / "out.wav").read_bytes()).shape == SOUND.shape


def test_bare_samples_come_back_as_they_were() -> None:
    data = RawForm.of("s16le:48000:2").data(SOUND.T)
    out, _ = piped(data, "run", "gain", "-", "-", "-p", "gain=1", "--raw", "s16le:48000:2")
    assert out == data


@pytest.mark.parametrize("kind", _TYPES)
def test_every_type_of_bare_samples_is_read_as_written(kind: str) -> None:
    form = RawForm.of(f"{kind}:48000:2")
    steps = 1 << (8 * form.width - 1) if kind[0] in "us" else 1 << 24
    x = np.array([[0.0, 0.5], [-0.5, 0.25], [-1.0, 0.99]], np.float32)
    np.testing.assert_allclose(form.samples(form.data(x)).T, x, atol=max(1e-6, 1.01 / steps))
    assert wav_head(form)[:4] == b"RIFF"


def test_sound_comes_out_before_the_input_ends() -> None:
    process = started("run", "gain", "-", "-", "-p", "gain=1", "--raw", "s16le:48000:2")
    assert process.stdin is not None
    assert process.stdout is not None
    data = RawForm.of("s16le:48000:2").data(SOUND.T[: RATE // 4])  # less than a pipe holds
    process.stdin.write(data)
    process.stdin.flush()
    got = b""
    while len(got) < len(data) // 2:  # it waits for ever where nothing comes before the end
        got += os.read(process.stdout.fileno(), 1 << 16)
    assert data.startswith(got)
    process.communicate()


def test_a_pipe_that_is_closed_ends_it_quietly() -> None:
    process = started("run", "gain", "-", "-", "--raw", "s16le:48000:2")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    try:
        for _ in range(100):
            process.stdin.write(RawForm.of("s16le:48000:2").data(SOUND.T))
        process.stdin.close()
    except BrokenPipeError:
        pass
    said = process.stderr.read().decode()
    assert process.wait() == 141
    assert "Traceback" not in said
    assert "roken pipe" not in said


def test_what_needs_the_whole_takes_a_pipe_too(tmp_path: Path) -> None:
    file = io.BytesIO()
    tone = sum(audio.sine(220.0 * n, 1.0, RATE, -14.0 - 4.0 * n) for n in range(1, 5))
    soundfile.write(file, tone.T, RATE, format="FLAC")
    piped(file.getvalue(), "run", "hum", "-", str(tmp_path / "notes.mid"))
    notes = [message for message in mido.MidiFile(tmp_path / "notes.mid") if message.type == "note_on"]
    assert {note.note for note in notes if note.velocity} == {57}
    out, _ = piped(file.getvalue(), "run", "hum", "-", "-")
    assert out[:4] == b"MThd"


@each(
    "data, words, sentence",
    [
        (b"", ("-", "x.wav"), "cannot read standard input: it gave nothing (0 bytes)"),
        (b"hello", ("-", "x.wav"), "cannot read standard input: it is not a wav"),
        (
            RawForm.of("f32le:48000:2").data(SOUND.T) + b"\0\0\xc0\x7f" * 2,
            ("-", "x.wav", "--raw", "f32le:48000:2"),
            "cannot read standard input: its sample at 1.000 s is not a number (NaN or infinite)",
        ),
        (b"", ("a.wav", "b.wav", "--raw", "s16le:48000:2"), "--raw is of standard input and output"),
        (b"", ("-", "--out-dir", "out"), "name one IN and one OUT, without --out-dir"),
        (b"x", ("-", "-", "--raw", "s17le:48000:2"), "--raw takes TYPE:HZ:CHANNELS, as s16le:48000:2"),
    ],
)
def test_what_cannot_be_piped_is_refused(tmp_path: Path, data: bytes, words: tuple[str, ...], sentence: str) -> None:
    process = started("run", "gain", *(str(tmp_path / word) if word.endswith(".wav") else word for word in words))
    out, said = process.communicate(data)
    assert (process.returncode, out) == (2, b"")
    assert sentence in said.decode()
    assert not list(tmp_path.iterdir())


def test_channels_that_raw_does_not_say_are_refused() -> None:
    with pytest.raises(UsageError, match="the sound has 3 channels"):
        RawForm.of("s16le:48000:2").check(3)


def test_the_library_analyses_a_pipe(tmp_path: Path) -> None:
    out, _ = piped(wav(), "library", "--root", str(tmp_path / "lib"), "analyse", "--json", "-", "--only", "loudness")
    assert b'"duration": 1.0' in out
    assert not (tmp_path / "lib").exists()


@pytest.mark.needs("pyo")
def test_a_patch_renders_sound_and_notes_of_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_bytes(wav())
    song = mido.MidiFile(tracks=[mido.MidiTrack([mido.Message("note_on", note=60, time=0)])])
    song.save(tmp_path / "in.mid")
    for name, patch in (("in.wav", "wah"), ("in.mid", "keys")):
        found = []
        for given in ("-", str(tmp_path / name)):
            out = tmp_path / f"{len(found)}.wav"
            words = ("render", patch, "--in", given, "--out", str(out), "--tail", "0.5", "--force")
            said, _ = piped((tmp_path / name).read_bytes(), *words)
            found.append(out.read_bytes())
            assert b"standard input" in said or given != "-"
        assert found[0] == found[1]
    process = started("render", "wah", "--in", "-", "--in", "x.wav", "--out", str(tmp_path / "x.wav"))
    assert b"--in - is one sound" in process.communicate(b"")[1]
