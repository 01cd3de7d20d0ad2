"""What a written file is given: tags of every format, loudness, a limit of its true peak."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from antiphon.files.audiowrite import AudioWriter
from antiphon.files.sound_finish import SoundFinish
from antiphon.files.sound_tags import id3
from antiphon.kernel.io.containers.id3 import chunk_tags, read_id3
from antiphon.kernel.io.decode import Decoder
from antiphon.signal.loudness import LoudnessMeter

RATE = 48000
TAGS = {"title": "Tïtle 日本", "artist": "Ö", "album": "B", "genre": "Pöp", "date": "1999-05-01", "tracknumber": "3"}
TAGS |= {"comment": "so: it is"}
FORMATS = ("wav", "flac", "ogg", "opus", "mp3", "aiff")


def noise(seconds: float, level: float) -> np.ndarray:
    """Two channels with bursts, so that there is something to limit."""
    rng = np.random.default_rng(1)
    sound = rng.normal(0.0, level, (2, round(seconds * RATE)))
    sound[:, :: RATE // 2] *= 8.0
    return soxr.resample(sound.T, RATE, RATE // 2).repeat(2, axis=0).T.astype(np.float32)


def write(path: Path, sound: np.ndarray, finish: SoundFinish) -> AudioWriter:
    with AudioWriter(path, RATE, len(sound), "PCM_16", finish) as writer:
        for at in range(0, sound.shape[1], 1000):
            writer.write(sound[:, at : at + 1000])
    return writer


@pytest.mark.parametrize("more", [{}, {"bpm": "120.50", "key": "F#m"}], ids=["plain", "bpm and key"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_tags_come_back(tmp_path: Path, suffix: str, more: dict[str, str]) -> None:
    sound = noise(0.5, 0.1)
    write(tmp_path / f"a.{suffix}", sound, SoundFinish(tags={**TAGS, **more}))
    with Decoder(tmp_path / f"a.{suffix}") as decoder:
        assert dict(decoder.info.tags) == TAGS
        assert sum(block.shape[1] for block in decoder.blocks()) == sound.shape[1]
    data = (tmp_path / f"a.{suffix}").read_bytes()
    if more and suffix in ("flac", "ogg", "opus"):
        assert b"BPM=120.50" in data
        assert b"INITIALKEY=F#m" in data
    elif more:
        assert b"TBPM" in data
        assert b"TKEY" in data
    av = pytest.importorskip("av", reason="the extra m4a, which has FFmpeg's reading of tags, is not installed")
    with av.open(str(tmp_path / f"a.{suffix}")) as file:
        said = {name.lower(): text for name, text in {**file.metadata, **file.streams[0].metadata}.items()}
    assert {name: said["track" if name == "tracknumber" else name] for name in TAGS} == TAGS
    if more:
        assert said.get("initialkey", said.get("tkey")) == "F#m"


def test_au_has_none_and_is_written(tmp_path: Path) -> None:
    write(tmp_path / "a.au", noise(0.1, 0.1), SoundFinish(tags=TAGS))
    assert soundfile.info(tmp_path / "a.au").frames == RATE // 10


@pytest.mark.parametrize("cut", [0, 3, 9, 11, 20, 60])
def test_damaged_tags_are_passed_over(tmp_path: Path, cut: int) -> None:
    assert read_id3(id3(TAGS)) == TAGS
    assert set(read_id3(id3(TAGS)[:cut]).items()) - set(TAGS.items()) <= {("title", "Tïtle 日本"[:cut])}
    utf16 = b"ID3\x03\x00\x00\x00\x00\x00\x17TIT2\x00\x00\x00\x07\x00\x00\x01\xff\xfeA\x00B\x00\x00\x00\x00\x00\x00\x00"
    assert read_id3(utf16) == {"title": "AB"}
    (tmp_path / "a").write_bytes(b"RIFF\x00\x00\x00\x00WAVEdata\xff\xff\xff\x7f" + bytes(cut))
    with (tmp_path / "a").open("rb") as file:
        assert chunk_tags(file.fileno()) == {}


@pytest.mark.parametrize(("level", "target", "limit"), [(0.02, -14.0, False), (0.3, -12.0, True), (0.3, None, True)])
def test_loudness_and_true_peak(tmp_path: Path, level: float, target: float | None, limit: bool) -> None:
    writer = write(tmp_path / "a.wav", noise(6.0, level), SoundFinish(loudness=target, limit=limit))
    sound = soundfile.read(tmp_path / "a.wav", dtype="float32")[0].T
    assert sound.shape == (2, 6 * RATE)
    meter = LoudnessMeter(RATE, 2)
    meter.feed(sound)
    if target is not None:
        assert meter.integrated() == pytest.approx(target, abs=0.15)
        assert any(word.endswith(f"{target} LUFS") for word in writer.fitted)
    if limit:
        assert 20.0 * np.log10(np.abs(soxr.resample(sound.T, RATE, 4 * RATE)).max()) == pytest.approx(-1.1, abs=0.12)
        assert writer.clipped == 0


def test_a_limit_leaves_what_is_below_it_to_the_sample(tmp_path: Path) -> None:
    sound = np.clip(noise(1.0, 0.1), -0.4, 0.4)
    write(tmp_path / "a.wav", sound, SoundFinish(limit=True))
    write(tmp_path / "b.wav", sound, SoundFinish())
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_silence_is_not_raised(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros((1, RATE), np.float32), SoundFinish(loudness=-14.0, limit=True))
    assert not soundfile.read(tmp_path / "a.wav")[0].any()
