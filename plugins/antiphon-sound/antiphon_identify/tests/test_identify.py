"""Melodies made by seed are recognised through noise, speed, a telephone and a room; in files and by the node."""

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from antiphon.api.backends.analysis import IdentifiedFile
from antiphon.api.backends.workers import WorkerSpec
from antiphon.kernel.runtime import paths
from antiphon.signal.analysis import plain_result
from antiphon.signal.landmarks import pack_landmarks, unpack_landmarks
from antiphon_classify.tests.test_live import answers_of
from antiphon_identify.processor import HOP, hear
from antiphon_identify.worker import HOLD_COMPARISONS, RATE, Fingerprint, FingerprintRun, Identifier
from antiphon_library.catalogue import Catalogue
from antiphon_library.fingerprints import FOLDER, update_shards, update_shards as updated_index
from antiphon_library.identifying import identify_files
from antiphon_library.records import FileEntry, FileState, SoundIdentity

STEP = round(HOP * RATE)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    folder = paths.library()
    with Catalogue(folder) as catalogue:
        for seed in range(3):
            put(catalogue, str(seed), melody(seed))
        updated_index(catalogue)
    return folder


def answers(*sounds: np.ndarray) -> np.ndarray:
    """What the worker answers to hops of sound, `[hops, 4]`."""
    spec = WorkerSpec("identify", "", hop=STEP, rate=RATE, inputs=(1, STEP), outputs=(1, 4), slots=2)
    return answers_of(Identifier(spec), spec, "8", np.concatenate(sounds))


def test_a_track_is_said_with_its_position_and_the_next_one_follows(library: Path) -> None:
    rows = answers(melody(1)[4 * RATE : 12 * RATE], melody(2)[: 10 * RATE], np.zeros(6 * RATE, np.float32))
    with Catalogue(library) as catalogue:
        numbers = {name: catalogue.taste.sound_of_file(name) for name in (b"1", b"2", b"3")}
    hop = 13
    assert rows[hop, 0] == numbers[b"1"]
    assert rows[hop, 1] == pytest.approx(4.0 + (hop + 1) * HOP, abs=0.06)
    assert 0.0 < rows[hop, 2] <= 1.0
    assert rows[hop, 3] == 1.0
    assert rows[34, 0] == numbers[b"2"]
    assert rows[34, 1] == pytest.approx(35 * HOP - 8.0, abs=0.06)
    assert rows[0, 0] == 0.0


def test_after_a_track_there_is_none(library: Path) -> None:
    silence = np.zeros(round((8.0 + 2 * HOLD_COMPARISONS * HOP + 2.0) * RATE), np.float32)
    rows = answers(melody(1)[: 8 * RATE], silence)
    assert rows[15, 0] != 0.0
    assert tuple(rows[-1]) == (0.0, 0.0, 0.0, 1.0)


def test_without_a_catalogue_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    assert not answers(melody(1)[: 5 * RATE])[:, 0].any()
    soundfile.write(tmp_path / "part.wav", melody(1)[: 5 * RATE], RATE, "FLOAT")
    assert hear(tmp_path / "part.wav", {}, ()).said.startswith("your library is empty: ")
    assert not list(tmp_path.rglob("*.sqlite"))


def test_of_a_file_what_it_comes_from_is_reported(library: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "part.wav", melody(1)[4 * RATE : 14 * RATE], RATE, "FLOAT")
    found = hear(tmp_path / "part.wav", {}, ())
    (best, *others) = found.report["found"]
    assert (best["path"], best["kind"]) == ("1", "recording")
    assert best["position"] == pytest.approx(4.0, abs=0.06)
    assert all(other["score"] < best["score"] for other in others)
    assert found.said.startswith("the recording 1 from 4.0 s on, score ")
    soundfile.write(tmp_path / "other.wav", melody(9)[: 10 * RATE], RATE, "FLOAT")
    found = hear(tmp_path / "other.wav", {}, ())
    assert (found.said, found.report) == ("nothing of your library is in it", {"found": []})


SONGS = 6
SECONDS = 20.0


@cache
def melody(seed: int, seconds: float = SECONDS) -> np.ndarray:
    """Two voices of plucked notes, float32 at `RATE`."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE) + RATE)
    for low in (45, 62):
        at = 0.0
        while at < seconds:
            pitch = 440.0 * 2.0 ** ((low + rng.integers(0, 20) - 69) / 12.0)
            time = np.arange(RATE // 2) / RATE
            note = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 5)) * np.exp(-4.0 * time)
            first = round(at * RATE)
            sound[first : first + len(note)] += note
            at += rng.choice([0.15, 0.22, 0.3, 0.45])
    return (0.1 * sound[: round(seconds * RATE)]).astype(np.float32)


def landmarks(sound: np.ndarray, size: int = 1 << 20) -> tuple[np.ndarray, np.ndarray]:
    run = FingerprintRun()
    for at in range(0, len(sound), size):
        run.feed(sound[None, at : at + size].astype(np.float32))
    value = plain_result("fingerprint", Fingerprint(), run.result())["landmarks"]
    return unpack_landmarks(value)


def put(catalogue: Catalogue, name: str, sound: np.ndarray) -> None:
    identity = SoundIdentity(name, len(sound) / RATE, RATE, 1)
    catalogue.put(FileEntry(name.encode(), FileState(1, 1), f"bytes of {name}", identity))
    run = FingerprintRun()
    run.feed(sound[None])
    values = plain_result("fingerprint", Fingerprint(), run.result())
    catalogue.put_results(name, {"fingerprint": (1, values, "")})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of melodies named by their seeds."""
    folder = tmp_path_factory.mktemp("library")
    with Catalogue(folder) as catalogue:
        for seed in range(SONGS):
            put(catalogue, str(seed), melody(seed))
    return folder


def asked(root: Path, sound: np.ndarray) -> list[IdentifiedFile]:
    with Catalogue(root) as catalogue:
        return identify_files(catalogue, update_shards(catalogue), *landmarks(sound))


def noisy(sound: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(9).standard_normal(len(sound))
    return sound + noise * np.sqrt(np.mean(sound**2))


def telephone(sound: np.ndarray) -> np.ndarray:
    """GSM, 13 kbit/s."""
    file = io.BytesIO()
    soundfile.write(file, 0.5 * sound / np.abs(sound).max(), RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    return np.asarray(soundfile.read(file)[0][: len(sound)])


def room(sound: np.ndarray) -> np.ndarray:
    """Reverberation of 0.5 s, as loud as the sound itself."""
    time = np.arange(RATE // 2) / RATE
    tail = np.random.default_rng(8).standard_normal(len(time)) * np.exp(-6.9 * time / 0.5)
    tail /= np.sqrt(np.sum(tail**2))
    return np.asarray(sound + np.convolve(sound, tail)[: len(sound)])


CHANGES = {"none": lambda x: x, "noise": noisy, "telephone": telephone, "room": room}


@pytest.mark.parametrize("change", CHANGES)
def test_an_excerpt_is_recognised_and_its_place_is_right(root: Path, change: str) -> None:
    for seed in (1, 4):
        excerpt = melody(seed)[round(7.3 * RATE) : round(17.3 * RATE)]
        best = asked(root, CHANGES[change](excerpt))[0]
        assert best.path == str(seed).encode()
        assert best.offset == pytest.approx(7.3, abs=0.05)
        assert best.speed == 1.0
        assert 0.0 < best.score <= 1.0


@pytest.mark.parametrize("speed", [1.02, 0.98])
def test_another_speed_is_recognised(root: Path, speed: float) -> None:
    excerpt = soxr.resample(melody(3)[5 * RATE : 16 * RATE], RATE * speed, RATE)[: 10 * RATE]
    best = asked(root, excerpt)[0]
    assert best.path == b"3"
    assert best.offset == pytest.approx(5.0, abs=0.05)
    assert best.speed == pytest.approx(speed, abs=0.006)


def test_unknown_sounds_are_refused(root: Path) -> None:
    rng = np.random.default_rng(1)
    for sound in (melody(77, 10.0), melody(78, 10.0), 0.1 * rng.standard_normal(10 * RATE), np.zeros(10 * RATE)):
        assert asked(root, sound) == []


def test_what_begins_before_the_track_has_a_negative_offset(root: Path) -> None:
    late = np.concatenate([np.zeros(3 * RATE, np.float32), melody(2)[: 7 * RATE]])
    assert asked(root, late)[0].offset == pytest.approx(-3.0, abs=0.05)


def test_a_long_sound_is_found_by_a_later_part(root: Path) -> None:
    long = np.concatenate([melody(90, 30.0), melody(5)])
    best = asked(root, long)[0]
    assert best.path == b"5"
    assert best.offset == pytest.approx(-30.0, abs=0.05)


def test_a_loop_that_repeats_itself_is_recognised(tmp_path: Path) -> None:
    bar = melody(50, 2.0)
    with Catalogue(tmp_path) as catalogue:
        put(catalogue, "loop", np.tile(bar, 10))
        put(catalogue, "other", melody(51))
    assert asked(tmp_path, np.tile(bar, 4))[0].path == b"loop"


def test_blocks_of_any_size_give_the_same_landmarks() -> None:
    sound = melody(1)
    whole = landmarks(sound)
    assert 20.0 < len(whole[0]) / SECONDS < 80.0
    assert np.all(np.diff(whole[0]) >= 0.0)
    for size in (1000, 4097):
        for one, other in zip(landmarks(sound, size), whole, strict=True):
            np.testing.assert_array_equal(one, other)


def test_landmarks_out_of_range_are_refused() -> None:
    for seconds, hertz in (([-1.0], [440.0]), ([0.0], [7000.0]), ([np.nan], [1.0]), ([0.0, 1.0], [440.0])):
        with pytest.raises(ValueError, match="landmark"):
            pack_landmarks(seconds, hertz)


def test_the_index_grows_forgets_and_is_made_again(tmp_path: Path) -> None:
    excerpt = melody(2)[3 * RATE : 11 * RATE]
    with Catalogue(tmp_path) as catalogue:
        put(catalogue, "1", melody(1))
        assert asked(tmp_path, excerpt) == []
        put(catalogue, "2", melody(2))
        assert asked(tmp_path, excerpt)[0].path == b"2"
        (shard,) = (tmp_path / FOLDER).glob("*.shard")
        before = shard.stat().st_mtime_ns
        asked(tmp_path, excerpt)
        assert shard.stat().st_mtime_ns == before
        for content in (b"", b"damaged", shard.read_bytes()[:-3], b"\0" * len(shard.read_bytes())):
            shard.write_bytes(content)
            assert update_shards(catalogue).damaged == 1
            assert asked(tmp_path, excerpt)[0].path == b"2"
        catalogue.forget([b"2"])
        assert asked(tmp_path, excerpt) == []
        put(catalogue, "2", melody(2))
        assert asked(tmp_path, excerpt)[0].path == b"2"
