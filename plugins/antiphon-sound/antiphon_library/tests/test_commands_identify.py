"""`antiphon library identify`: the file, the place, a sentence for each bad input; agreement of landmarks."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.kernel.runtime.arguments import arguments
from antiphon_library.identifying import SoundLandmarks, is_recording
from antiphon_library.operations import IdentifyRequest
from antiphon_library.tests.conftest import Library


def test_another_rendering_of_the_same_notes_is_no_recording_of_them() -> None:
    rng = np.random.default_rng(5)
    seconds, hertz = np.sort(rng.uniform(0.0, 10.0, 120)), rng.uniform(300.0, 3000.0, 120)
    sound = SoundLandmarks(seconds, hertz)
    heard = SoundLandmarks(seconds[::2], hertz[::2] * 1.003 * (1.0 + 0.0005 * rng.normal(size=60)))
    other = SoundLandmarks(seconds + rng.normal(scale=0.008, size=120), hertz * (1.0 + 0.003 * rng.normal(size=120)))
    assert is_recording(heard, sound)
    assert not is_recording(heard, other)
    few = SoundLandmarks(seconds[:11], hertz[:11])
    assert not is_recording(few, sound), "too few to tell"
    plucked = SoundLandmarks(seconds[:30], hertz[:30] * (1.0 + 0.001 * rng.normal(size=30)))
    assert not is_recording(plucked, sound), "a sparse melody is near by chance"
    assert is_recording(SoundLandmarks(seconds[:30], hertz[:30]), sound)


RATE = 16000


def notes(seed: int, seconds: float = 12.0) -> np.ndarray:
    """Plucked notes, four a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE // 4) / RATE
    parts = [
        sum(np.sin(2 * np.pi * k * pitch * time) / k for k in (1, 2, 3)) * np.exp(-6.0 * time)
        for pitch in 220.0 * 2.0 ** (rng.integers(0, 25, round(4 * seconds)) / 12.0)
    ]
    return 0.2 * np.concatenate(parts)


@pytest.fixture
def library(library: Library, tmp_path: Path) -> Library:
    (tmp_path / "music").mkdir()
    for name, sound in (
        ("music/a.wav", notes(1)),
        ("music/b.flac", notes(2)),
        ("part.wav", notes(2)[4 * RATE : 11 * RATE]),
        ("other.wav", notes(3)),
        ("silence.wav", np.zeros(5 * RATE)),
        ("short.wav", notes(1)[: RATE // 5]),
    ):
        soundfile.write(name, sound, RATE)
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    return library


def test_a_part_of_a_file_is_identified(library) -> None:
    assert library("analyse", "music", "--only", "fingerprint").out == "2 analysed, 0 known\n"
    (match,) = json.loads(library("identify", "part.wav", "--json").out)["matches"]
    assert match["path"] == str(Path("music/b.flac").absolute())
    assert match["offset"] == pytest.approx(4.0, abs=0.05)
    assert 0.0 < match["score"] <= 1.0
    words = library("identify", "part.wav").out
    assert "0:04" in words
    assert "b.flac" in words
    assert json.loads(library("identify", "other.wav", "--json").out) == {"matches": []}
    assert library("identify", "other.wav").out == "unknown\n"
    assert "fingerprint" in library("show", "music/a.wav").out or library("show", "music/a.wav").code == 0
    shard = next(Path("root/library.fingerprints").glob("*.shard"))
    shard.write_bytes(b"damaged")
    done = library("identify", "part.wav", "--json")
    assert len(json.loads(done.out)["matches"]) == 1
    assert "were damaged, and have been made again" in done.complaint
    library("forget", "music/b.flac")
    assert json.loads(library("identify", "part.wav", "--json").out) == {"matches": []}


def test_a_passage_that_a_song_shares_is_not_the_song(library) -> None:
    library("analyse", "music", "--only", "fingerprint")
    shared = notes(2)[4 * RATE : 6 * RATE]
    soundfile.write("shares.wav", np.concatenate([notes(5)[: 4 * RATE], shared, notes(6)[: 4 * RATE]]), RATE)
    assert json.loads(library("identify", "shares.wav", "--json").out) == {"matches": []}
    soundfile.write("noisy.wav", notes(2)[RATE:] + np.random.default_rng(1).normal(0.0, 0.1, 11 * RATE), RATE)
    assert len(json.loads(library("identify", "noisy.wav", "--json").out)["matches"]) == 1


@each(
    "file, reason",
    [
        ("silence.wav", "silence.wav is silent, and cannot be recognised"),
        ("short.wav", "short.wav lasts 0.20 s; 1 s are needed to recognise a sound"),
        ("broken.wav", "cannot read broken.wav"),
        ("part.wav", "has no fingerprints: `antiphon library --root root add FOLDER`"),
    ],
)
def test_what_cannot_be_identified_is_a_sentence(library, file: str, reason: str) -> None:
    library("add", "music")
    done = library("identify", file)
    assert done.code == 2
    assert reason in done.complaint
    assert "Traceback" not in done.err


def test_identify_takes_either_port_of_a_server() -> None:
    options = {frozenset(one.flags) for one in arguments(IdentifyRequest)}
    assert {frozenset(("--osc-port", "--port")), frozenset(("--http-port",))} <= options
