"""Writing sound files: exact, atomic, and leaving nothing behind when it fails."""

import errno
import os
import stat
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from tests import accepted
from tests.pairs import pairwise
from tests.waiting import until

from antiphon.files import audiowrite
from antiphon.files.audiofile import read
from antiphon.files.audiowrite import CHUNK, AudioWriter
from antiphon.files.containers.id3 import read_id3
from antiphon.files.containers.tags import id3, read_tags
from antiphon.files.decode import Decoder
from antiphon.files.sound_finish import PLAIN, SoundFinish, SoundMarks
from antiphon.kernel.errors import FileError
from antiphon.signal.loudness import LoudnessMeter
from antiphon.testing import sound as audio

LOSSLESS = ["wav", "flac", "aiff", "au"]


def put(
    path: Path, x: np.ndarray, rate: int = 48000, like: str = "", block: int = 256, finish: SoundFinish = PLAIN
) -> AudioWriter:
    with AudioWriter(path, rate, x.shape[0], like, finish) as writer:
        for at in range(0, x.shape[1], block):
            writer.write(x[:, at : at + block])
    return writer


@pytest.mark.parametrize(
    ("kind", "frames", "channels"),
    pairwise(("wav", "flac", "ogg", "mp3", "aiff", "au"), (1, 255, 257, 16384, 16385, 40001), (1, 2, 6)),
)
def test_as_many_frames_come_back_as_went_in(tmp_path: Path, kind: str, channels: int, frames: int) -> None:
    path, x = tmp_path / f"out.{kind}", audio.noise(frames, channels)
    if kind == "mp3" and channels > 2:
        with pytest.raises(FileError, match=r"mp3 holds at most 2 channels, not 6; name a \.wav"):
            put(path, x)
        return
    put(path, x)
    y, rate = audio.read(path)
    assert (y.shape, rate) == ((channels, frames), 48000)
    if kind in LOSSLESS:
        assert np.max(np.abs(x - y)) <= 1.01 * 2.0**-24


@pytest.mark.parametrize(
    ("kind", "channels"), [("flac", 3), ("flac", 6), ("flac", 8), *product(("ogg", "opus"), (3, 5, 6, 7, 8))]
)
def test_each_channel_is_where_it_was_and_in_an_ogg_where_others_look_for_it(
    tmp_path: Path, kind: str, channels: int
) -> None:
    rate, pitches = 48000, [300.0, 400.0, 500.0, 60.0, 700.0, 800.0, 900.0, 1000.0][:channels]
    x = np.concatenate([audio.sine(pitch, 1.0, rate, -12.0) for pitch in pitches])
    writer = put(tmp_path / f"out.{kind}", x, rate)

    def found(y: np.ndarray) -> list[float]:
        return [float(np.abs(np.fft.rfft(row[12_000:36_000])).argmax() * 2) for row in y]

    assert found(read(tmp_path / f"out.{kind}").samples) == pitches
    stored, _ = soundfile.read(tmp_path / f"out.{kind}", dtype="float32")
    if kind != "flac":  # left, centre, right; with six channels and more the LFE last
        assert found(stored.T)[:3] == [300.0, 500.0, 400.0]
        assert channels < 6 or found(stored.T)[-1] == 60.0
    low_passed = channels == 6 if kind == "ogg" else channels > 5 and kind == "opus"
    assert writer.conversions == (("channel 4, the LFE, low-passed",) if low_passed else ())


@pytest.mark.parametrize("kind", LOSSLESS)
def test_no_frames_make_an_empty_file_that_others_can_open(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    put(path, np.zeros((2, 0), np.float32), 44100)
    sound = read(path)
    assert (sound.samples.shape, sound.rate) == ((2, 0), 44100)


@pytest.mark.parametrize("kind", ["mp3", "ogg"])
def test_lossy_formats_keep_the_place_of_a_click(tmp_path: Path, kind: str) -> None:
    put(tmp_path / f"out.{kind}", audio.clicks([20_000], 40_000, height=0.9), 44100)
    y, _ = audio.read(tmp_path / f"out.{kind}")
    assert abs(int(np.argmax(np.abs(y[0]))) - 20_000) <= 2


@pytest.mark.parametrize(
    ("kind", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_U8"), ("wav", "PCM_24"), ("flac", "PCM_16"), ("wav", "FLOAT")]
)
def test_the_sources_bit_depth_is_kept_to_the_bit(tmp_path: Path, kind: str, subtype: str) -> None:
    source = audio.write(
        tmp_path / f"in.{kind}", np.linspace(-1.0, 1.0, 70_000, dtype=np.float32)[None], subtype=subtype
    )
    sound = read(source)
    put(tmp_path / f"out.{kind}", sound.samples, like=sound.info.subtype)
    again = read(tmp_path / f"out.{kind}")
    assert again.info.subtype == subtype
    assert np.array_equal(again.samples, sound.samples)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_24"), ("flac", "PCM_24"), ("aiff", "PCM_32")]
)
def test_over_full_scale_is_cut_and_counted_not_wrapped(tmp_path: Path, kind: str, subtype: str) -> None:
    path = tmp_path / f"out.{kind}"
    writer = put(path, np.array([[1.5, -1.5, 1.0, -1.0, 9.0]], np.float32), like=subtype)
    y, _ = audio.read(path)
    assert writer.clipped == 3
    assert np.allclose(y, [[1.0, -1.0, 1.0, -1.0, 1.0]], atol=2.0**-15)


def test_the_same_sound_makes_the_same_bytes_at_any_time(tmp_path: Path) -> None:
    x = audio.noise(40_001, 2)
    kinds = [("wav", "FLOAT"), ("wav", "DOUBLE"), ("wav", ""), ("aiff", "FLOAT"), ("flac", "")]
    written = []
    for name in "ab":
        for kind, subtype in kinds:
            put(tmp_path / f"{name}{subtype}.{kind}", x, like=subtype)
        written.append([(tmp_path / f"{name}{subtype}.{kind}").read_bytes() for kind, subtype in kinds])
        before = int(time.time())  # a header may hold the second
        until(lambda before=before: int(time.time()) > before, 2.0, "another second")
    for (kind, subtype), first, second in zip(kinds, *written, strict=True):
        assert first == second, (kind, subtype)
        assert b"PEAK" not in first[:200], (kind, subtype)


def test_floats_over_full_scale_are_kept(tmp_path: Path) -> None:
    x = np.array([[1.5, -2.5]], np.float32)
    assert put(tmp_path / "out.wav", x, like="FLOAT").clipped == 0
    assert np.array_equal(audio.read(tmp_path / "out.wav")[0], x)


def test_what_cannot_be_written_is_refused_in_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.wav").symlink_to("/dev/full")
    (tmp_path / "folder.wav").mkdir()

    def answer(given: str) -> str:
        name, frames, channels, to = given.split()
        sound = np.zeros((int(channels), int(frames)), np.float32)

        def refused() -> None:
            with AudioWriter(Path(name), 44100, int(channels), finish=SoundFinish(int(to))) as writer:
                writer.write(sound)

        return accepted.refusal(refused)

    accepted.compare(__file__, answer)
    assert sorted(os.listdir(tmp_path)) == ["folder.wav", "full.wav"]


@pytest.mark.parametrize(
    ("name", "rate", "to", "got"),
    [
        ("o.mp3", 96000, 0, 48000),
        ("o.mp3", 11000, 0, 11025),
        ("o.opus", 44100, 0, 48000),
        ("o.wav", 48000, 16000, 16000),
    ],
)
def test_sound_is_resampled_to_what_the_file_holds(tmp_path: Path, name: str, rate: int, to: int, got: int) -> None:
    path = tmp_path / name
    with AudioWriter(path, rate, 2, finish=SoundFinish(to)) as writer:
        for block in np.array_split(audio.sine(1000.0, 1.0, rate, -6.0, 2), 7, axis=1):
            writer.write(block)
    y, found = audio.read(path)
    assert found == writer.rate == got
    assert writer.seconds == 1.0
    assert writer.conversions == (f"resampled from {rate / 1000:g} kHz",)
    assert abs(y.shape[1] - got) <= (0.05 * got if name.endswith("mp3") else 1)
    middle = y[:, got // 4 : 3 * got // 4]
    assert audio.level(middle) == pytest.approx(-9.0, abs=0.3)
    assert np.argmax(np.abs(np.fft.rfft(middle[0]))) * got / middle.shape[1] == pytest.approx(1000.0, abs=2.0)


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".opus", ".mp3"])
def test_what_is_limited_has_a_true_peak_below_1_db_in_the_file(tmp_path: Path, suffix: str) -> None:
    rate, rng = 48000, np.random.default_rng(4)
    at = np.arange(3 * rate) / rate
    noise = rng.standard_normal((2, len(at) + 5))  # with less above 10 kHz, as records have
    strokes = sum(noise[:, n : n + len(at)] for n in range(5)) * np.exp(-40.0 * (at % 0.25))
    sound = 3.0 * (np.sin(2.0 * np.pi * 110.0 * at) + 0.5 * np.sin(2.0 * np.pi * 1661.0 * at)) + strokes
    path = tmp_path / f"o{suffix}"
    with AudioWriter(path, rate, 2, finish=SoundFinish(limit=True)) as writer:
        writer.write(sound.astype(np.float32))
    found, rate = audio.read(path)
    assert -4.0 < 20.0 * np.log10(np.abs(soxr.resample(found.T, rate, 4 * rate)).max()) < -0.9


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    path = audio.write(tmp_path / "out.wav", audio.noise(100))
    before = path.read_bytes()
    writer = AudioWriter(path, 48000, 1)
    writer.write(audio.noise(50_000))
    assert path.read_bytes() == before
    writer.abort()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["out.wav"]
    put(path, audio.noise(300))
    assert audio.read(path)[0].shape == (1, 300)


def interrupted(path: Path) -> None:
    with AudioWriter(path, 48000, 1) as writer:
        writer.write(audio.noise(20_000))
        raise KeyboardInterrupt


@pytest.mark.parametrize("unnamed", [True, False])
def test_nothing_else_is_left_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnamed: bool) -> None:
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    put(tmp_path / "out.flac", audio.noise(20_000))
    assert os.listdir(tmp_path) == ["out.flac"]
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "other.flac")
    assert os.listdir(tmp_path) == ["out.flac"]


def test_the_mode_is_the_old_files_or_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "new.wav", audio.noise(10))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.wav").stat().st_mode) == 0o640
    (tmp_path / "new.wav").chmod(0o604)
    put(tmp_path / "new.wav", audio.noise(10))
    assert stat.S_IMODE((tmp_path / "new.wav").stat().st_mode) == 0o604


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "real.wav")
    put(tmp_path / "link.wav", audio.noise(10))
    assert (tmp_path / "link.wav").is_symlink()
    assert audio.read(tmp_path / "real.wav")[0].shape == (1, 10)


@pytest.mark.parametrize(("kind", "room"), [("flac", 0), ("wav", 30), ("mp3", 20_000)])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, kind: str, room: int) -> None:
    # a limit on file size stands for the full disk: write fails in the same places
    script = (
        "import resource, sys, os\n"
        f"sys.path[:0] = {[str(Path(audiowrite.__file__).parents[3])]!r}\n"
        "import numpy as np\n"
        "from antiphon.kernel.errors import FileError\n"
        "from antiphon.files.audiowrite import AudioWriter\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "try:\n"
        f"    with AudioWriter('out.{kind}', 48000, 1) as w:\n"
        "        for i in range(40): w.write(np.random.default_rng(i).standard_normal((1, 9000)).astype('f4') * 0.1)\n"
        "except FileError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    assert done.stdout.startswith(f"cannot write out.{kind}: file too large")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["wav", "ogg"])
def test_a_disk_that_fills_at_the_very_end_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The encoder's last bytes are written when it closes, where libsndfile reports nothing."""
    real = os.write
    writer = AudioWriter(tmp_path / f"out.{kind}", 48000, 1)

    def full_when_closing(fd: int, data: bytes) -> int:
        if writer._drained:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(audiowrite.os, "write", full_when_closing)
    writer.write(audio.noise(5000))
    with pytest.raises(FileError, match="no space left on device; free some space"):
        writer.commit()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("far", "form"), [((1 << 32) // 6, "RF64"), (((1 << 32) - 600) // 6 - CHUNK, "WAVEX")])
def test_a_wav_grows_beyond_four_gigabytes_and_loses_no_more_than_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: int, form: str
) -> None:
    real, marks = (
        soundfile.SoundFile.write,
        SoundMarks(b"cue " + (992).to_bytes(4, "little") + bytes(992), 2 * CHUNK, 48000),
    )

    def leap(file: soundfile.SoundFile, chunk: np.ndarray) -> None:
        """A hole before the second chunk, as if so many frames had been written."""
        if file.tell():
            file.seek(far)
        real(file, chunk)

    path, x = tmp_path / "out.wav", audio.noise(2 * CHUNK, 2)
    put(path, x[:, :CHUNK])
    assert path.read_bytes()[:4] == b"RIFF", "an ordinary wave file as long as it can be one"
    monkeypatch.setattr(soundfile.SoundFile, "write", leap)
    writer = put(path, x, finish=SoundFinish(marks=marks))
    assert writer.conversions == (() if form == "RF64" else ("without the loop and cue points of IN",))
    info = soundfile.info(path)
    assert (info.format, info.frames, info.subtype) == (form, far + CHUNK, "PCM_24")
    last, _ = soundfile.read(path, start=far, dtype="float32")
    assert np.abs(last.T - x[:, CHUNK:]).max() <= 2.0**-24


def test_a_wav_of_floats_does_not_pass_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiowrite, "MAX_FLOAT_WAV_BYTES", 400_000)
    with pytest.raises(FileError, match=r"a wav of floats ends at 4 GiB; name a \.flac"):
        put(tmp_path / "out.wav", audio.noise(200_000), like="FLOAT")
    assert os.listdir(tmp_path) == []


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
    return put(path, sound, RATE, "PCM_16", 1000, finish)


@pytest.mark.parametrize("suffix", FORMATS)
def test_tags_come_back(tmp_path: Path, suffix: str) -> None:
    sound, more = noise(0.5, 0.1), {"bpm": "120.50", "key": "F#m"}
    write(tmp_path / f"a.{suffix}", sound, SoundFinish(tags={**TAGS, **more}))
    with Decoder(tmp_path / f"a.{suffix}") as decoder:
        assert dict(decoder.info.tags) == TAGS
        assert sum(block.shape[1] for block in decoder.blocks()) == sound.shape[1]
    data = (tmp_path / f"a.{suffix}").read_bytes()
    if suffix in ("flac", "ogg", "opus"):
        assert b"BPM=120.50" in data
        assert b"INITIALKEY=F#m" in data
    else:
        assert b"TBPM" in data
        assert b"TKEY" in data
    av = pytest.importorskip("av", reason="the extra m4a, which has FFmpeg's reading of tags, is not installed")
    with av.open(str(tmp_path / f"a.{suffix}")) as file:
        said = {name.lower(): text for name, text in {**file.metadata, **file.streams[0].metadata}.items()}
    assert {name: said["track" if name == "tracknumber" else name] for name in TAGS} == TAGS
    assert said.get("initialkey", said.get("tkey")) == "F#m"


@pytest.mark.parametrize("cut", [0, 9, 20])
def test_damaged_tags_are_passed_over(tmp_path: Path, cut: int) -> None:
    assert read_id3(id3(TAGS)) == TAGS
    assert set(read_id3(id3(TAGS)[:cut]).items()) - set(TAGS.items()) <= {("title", "Tïtle 日本"[:cut])}
    utf16 = b"ID3\x03\x00\x00\x00\x00\x00\x17TIT2\x00\x00\x00\x07\x00\x00\x01\xff\xfeA\x00B\x00\x00\x00\x00\x00\x00\x00"
    assert read_id3(utf16) == {"title": "AB"}
    (tmp_path / "a").write_bytes(b"RIFF\x00\x00\x00\x00WAVEdata\xff\xff\xff\x7f" + bytes(cut))
    with (tmp_path / "a").open("rb") as file:
        assert read_tags(file.fileno()) == {}


@pytest.mark.parametrize(("level", "target", "limit"), [(0.02, -14.0, False), (0.3, -12.0, True), (0.3, None, True)])
def test_loudness_and_true_peak(tmp_path: Path, level: float, target: float | None, limit: bool) -> None:
    writer = write(tmp_path / "a.wav", noise(6.0, level), SoundFinish(loudness=target, limit=limit))
    sound = soundfile.read(tmp_path / "a.wav", dtype="float32")[0].T
    assert sound.shape == (2, 6 * RATE)
    meter = LoudnessMeter(RATE, 2)
    meter.feed(sound)
    if target is not None:
        assert meter.integrated_loudness() == pytest.approx(target, abs=0.15)
        assert any(word.endswith(f"{target} LUFS") for word in writer.conversions)
    if limit:
        assert 20.0 * np.log10(np.abs(soxr.resample(sound.T, RATE, 4 * RATE)).max()) == pytest.approx(-1.3, abs=0.12)
        assert writer.clipped == 0


def test_a_limit_leaves_what_is_below_it_to_the_sample(tmp_path: Path) -> None:
    sound = np.clip(noise(1.0, 0.1), -0.4, 0.4)
    write(tmp_path / "a.wav", sound, SoundFinish(limit=True))
    write(tmp_path / "b.wav", sound, SoundFinish())
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_silence_is_not_raised(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros((1, RATE), np.float32), SoundFinish(loudness=-14.0, limit=True))
    assert not soundfile.read(tmp_path / "a.wav")[0].any()
