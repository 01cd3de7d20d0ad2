"""Sound files that are broken or none, given to commands: a sentence, never a part; tests/files has their bytes."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.hostile.conftest import Antiphon

RATE = 48000


def sounds(folder: Path) -> dict[str, bytes]:
    noise = (np.random.default_rng(0).standard_normal((12000, 2)) * 0.1).astype(np.float32)
    made = {}
    for kind in ("wav", "flac", "ogg", "mp3", "aiff", "au"):
        soundfile.write(folder / f"good.{kind}", noise, RATE)
        made[kind] = (folder / f"good.{kind}").read_bytes()
    return made


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/random", "pipe.wav", ".", "-", "x" * 5000 + ".wav", "a\nb.wav"])
def test_what_is_no_file(antiphon: Antiphon, folder: Path, path: str) -> None:
    if path == "pipe.wav" and not (folder / path).exists():
        os.mkfifo(folder / path)
    said = antiphon("run", "gain", path, "out.wav").sentence
    assert ("is a folder" if path == "." else "cannot read") in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(antiphon: Antiphon, folder: Path) -> None:
    sounds(folder)
    (folder / "good.au").chmod(0)
    assert "permission" in antiphon("run", "gain", "good.au", "out.wav").sentence


@pytest.mark.parametrize("name", ["lie.wav", "zeros.flac"])
def test_serve_refuses_a_broken_input(antiphon: Antiphon, folder: Path, name: str) -> None:
    good = sounds(folder)["wav"]
    (folder / name).write_bytes(bytes(9999) if name.endswith("flac") else good[: len(good) // 3])
    serve = ("serve", "--audio", "headless", "--osc-port", "0", "--http-port", "0")
    assert f"cannot read {name}" in antiphon(*serve, "--input", name).sentence


def test_one_bad_file_among_several_is_told_and_the_rest_done(antiphon: Antiphon, folder: Path) -> None:
    sounds(folder)
    (folder / "bad.wav").write_bytes(b"RIFF")
    ended = antiphon("run", "gain", "good.wav", "bad.wav", "good.flac", "--out-dir", "done")
    assert ended.code == 1
    assert "bad.wav" in ended.err
    assert all(line.startswith("antiphon: ") for line in ended.err.splitlines())
    assert sorted(p.name for p in (folder / "done").iterdir()) == ["good.flac", "good.wav"]


def test_a_recording_that_was_never_closed_is_read_and_that_is_said_once(antiphon: Antiphon, folder: Path) -> None:
    good = sounds(folder)["wav"]
    at = good.index(b"data") + 4
    (folder / "open.wav").write_bytes(good[:at] + bytes(4) + good[at + 4 :])
    ended = antiphon("run", "gain", "open.wav", "out.wav")
    assert (ended.code, soundfile.info(folder / "out.wav").frames) == (0, 12000)
    assert ended.err.startswith("antiphon: open.wav: its recording was never closed: ")
    assert ended.err.count("\n") == 1
