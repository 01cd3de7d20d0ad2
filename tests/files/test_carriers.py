"""Sound in the containers of phones, cameras and browsers: read sample by sample as ffmpeg does, and written."""

import atexit
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.files import decode, decode_process, ffmpeg
from antiphon.files.audiofile import read
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.carrier_file import AvFile
from antiphon.files.carrier_writer import CarrierWriter
from antiphon.files.containers.layout import layout
from antiphon.files.decode import Decoder
from antiphon.files.ffmpeg import probe
from antiphon.files.sound_finish import SoundFinish
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES
from antiphon.testing import sound as audio

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the path: nothing is made")
pytestmark = [pytest.mark.slow, needs_ffmpeg]

MADE: dict[str, tuple[int, int, str]] = {
    "aac.m4a": (44100, 2, "-c:a aac"),
    "aac_mono.m4a": (48000, 1, "-c:a aac"),
    "aac_22.mp4": (22050, 2, "-c:a aac"),
    "fast.m4a": (44100, 2, "-c:a aac -movflags +faststart"),
    "fragments.m4a": (44100, 2, "-c:a aac -movflags frag_keyframe+empty_moov"),
    "aac5.m4a": (48000, 6, "-c:a aac"),
    "alac.m4a": (44100, 2, "-c:a alac"),
    "alac_96.m4a": (96000, 2, "-c:a alac"),
    "aac.mov": (48000, 2, "-c:a aac"),
    "pcm.mov": (48000, 2, "-c:a pcm_s16le"),
    "pcm_24.mov": (44100, 2, "-c:a pcm_s24le"),
    "mp3.mp4": (48000, 2, "-c:a libmp3lame"),
    "ac3.mp4": (48000, 2, "-c:a ac3"),
    "opus.webm": (48000, 2, "-c:a libopus"),
    "vorbis.webm": (48000, 1, "-c:a libvorbis"),
    "opus.mkv": (48000, 2, "-c:a libopus"),
    "aac.mkv": (44100, 2, "-c:a aac"),
    "flac.mka": (44100, 2, "-c:a flac"),
    "mp3.mkv": (44100, 2, "-c:a libmp3lame"),
    "pcm.mkv": (48000, 2, "-c:a pcm_s16le"),
    "two.wma": (44100, 2, "-c:a wmav2"),
    "one.wma": (22050, 1, "-c:a wmav1"),
    "a.ac3": (48000, 2, "-c:a ac3"),
    "a.eac3": (48000, 2, "-c:a eac3"),
    "a.wv": (44100, 2, "-c:a wavpack"),
    "a.tta": (44100, 2, "-c:a tta"),
    "a.aac": (44100, 2, "-c:a aac -f adts"),
    "a.mpg": (48000, 2, "-c:a mp2"),
    "a.mts": (48000, 2, "-c:a aac -f mpegts"),
    "a.flv": (44100, 2, "-c:a libmp3lame"),
    "a.avi": (44100, 2, "-c:a pcm_s16le"),
    "a.thd": (48000, 2, "-c:a truehd -strict -2"),
    "a.mlp": (44100, 2, "-c:a mlp -strict -2"),
    "a.dts": (48000, 2, "-c:a dca -strict -2"),
    "ac3.wav": (48000, 2, "-c:a ac3"),
    "flac.wav": (44100, 2, "-c:a flac"),
    "alac.caf": (44100, 2, "-c:a alac"),
    "speex.ogg": (32000, 1, "-c:a libspeex"),
}
"""Rate, channels and encoder of files, by name."""


def run_ffmpeg(*words: str, data: bytes = b"") -> bytes:
    """What ffmpeg writes to its output."""
    return subprocess.run(["ffmpeg", "-v", "error", "-y", *words], input=data, capture_output=True, check=True).stdout


@cache
def everything() -> Path:
    """A folder with all of `MADE`, 1.1234 s of noise each, and what ffmpeg decodes of each in `NAME.raw`."""
    held = tempfile.TemporaryDirectory(prefix="antiphon-carriers-")
    atexit.register(held.cleanup)
    folder, outputs, inputs, raw = Path(held.name), list[str](), list[str](), list[str]()
    for n, (name, (rate, channels, how)) in enumerate(MADE.items()):
        path = str(folder / name)
        outputs += ["-ar", str(rate), "-ac", str(channels), *how.split(), path]
        inputs += ["-i", path]
        raw += ["-map", f"{n}:a", "-f", "f32le", f"{path}.raw"]
    x = audio.noise(round(1.1234 * 96000), channels=6, seed=3) * 0.3
    form = ("-f", "f32le", "-ar", "96000", "-channel_layout", "5.1", "-i", "pipe:0")
    run_ffmpeg(*form, *outputs, data=x.T.astype("<f4").tobytes())
    run_ffmpeg(*inputs, *raw)
    return folder


def made(folder: Path, name: str, seconds: float = 0.0, *more: str) -> Path:
    """One of `MADE` in a folder: of that length, with more options, or a copy."""
    rate, channels, how = MADE[name]
    path = folder / name
    if not seconds:
        return Path(shutil.copy(everything() / name, path))
    x = audio.noise(round(seconds * rate), channels=channels, seed=3) * 0.3
    form = ("-f", "f32le", "-ar", str(rate), "-ac", str(channels), "-i", "pipe:0")
    run_ffmpeg(*form, *how.split(), *more, str(path), data=x.T.astype("<f4").tobytes())
    return path


def by_ffmpeg(path: Path, channels: int) -> np.ndarray:
    """Samples by ffmpeg, without the padding of the last packet where the file states the length of its sound."""
    raw = path.with_name(f"{path.name}.raw")
    data = raw.read_bytes() if raw.exists() else run_ffmpeg("-i", str(path), "-f", "f32le", "pipe:1")
    samples = np.frombuffer(data, "<f4").reshape(-1, channels).T
    with open(path, "rb") as file:
        demuxer = layout(file.fileno()).demuxer
        return samples[:, : probe(file.fileno(), demuxer).frames] if demuxer == "mov" else samples


def test_an_m4a_has_the_length_that_went_into_it(tmp_path: Path) -> None:
    for name in ("aac.m4a", "alac.m4a", "aac.mov", "mp3.mp4"):
        assert read(made(tmp_path, name, 1.0)).samples.shape[1] == MADE[name][0]


def refusal(path: Path) -> str:
    with pytest.raises(FileError) as refused:
        read(path)
    return str(refused.value)


@pytest.mark.parametrize("name", MADE)
def test_every_sample_is_that_of_ffmpeg(name: str) -> None:
    path = everything() / name
    sound = read(path)
    assert (sound.rate, len(sound.samples)) == MADE[name][:2]
    np.testing.assert_array_equal(sound.samples, by_ffmpeg(path, len(sound.samples)))


@pytest.mark.parametrize("how", ["aac -q:a 2 -f adts", "wmav2 -f asf -seekable 0"])
@pytest.mark.parametrize("by", ["program", "library"])
def test_a_length_that_is_guessed_from_a_quiet_beginning_is_no_promise(tmp_path: Path, how: str, by: str) -> None:
    x = np.concatenate([np.zeros(20 * 44100), audio.noise(2 * 44100, channels=1, seed=3)[0] * 0.8]).astype("<f4")
    data = run_ffmpeg("-f", "f32le", "-ar", "44100", "-i", "pipe:0", "-c:a", *how.split(), "pipe:1", data=x.tobytes())
    path = tmp_path / "in"
    path.write_bytes(data)
    if by == "program":
        np.testing.assert_array_equal(read(path).samples, by_ffmpeg(path, 1))
        return
    pytest.importorskip("av", reason="the extra containers is not installed")
    for _ in range(2):
        with open(path, "rb") as file, closing(AvFile(file.fileno(), layout(file.fileno()).demuxer, "")) as sound:
            assert sound.info.frames is None


@pytest.mark.parametrize("form", ["avi", "matroska", "mpegts", "flv", "asf", "wv", "mpeg", "w64", "wav", "caf"])
@pytest.mark.parametrize("picture", [True, False])
def test_what_went_into_a_pipe_is_read_whole(tmp_path: Path, form: str, picture: bool) -> None:
    x = audio.noise(60000, channels=1, seed=3)[0].astype("<f4") * 0.3
    drawn = ("-f", "lavfi", "-i", "color=black:s=32x32:r=25:d=1") if picture else ()
    if picture and form in ("wv", "w64", "wav", "caf"):
        return
    data = run_ffmpeg("-f", "f32le", "-ar", "48000", "-i", "pipe:0", *drawn, "-f", form, "pipe:1", data=x.tobytes())
    (tmp_path / "in").write_bytes(data)
    sound = read(tmp_path / "in").samples
    if form == "w64":  # which ffmpeg writes so, and does not read
        np.testing.assert_allclose(sound[0], x, atol=1 / 32768)
    else:
        np.testing.assert_array_equal(sound, by_ffmpeg(tmp_path / "in", 1))


@pytest.mark.parametrize("name", ["aac.m4a", "alac.m4a", "opus.mkv", "a.wv", "pcm_24.mov", "two.wma"])
def test_the_libraries_give_the_samples_of_the_program(name: str) -> None:
    pytest.importorskip("av", reason="the extra containers is not installed")
    path, parts = everything() / name, []
    with open(path, "rb") as file:
        sound = AvFile(file.fileno(), layout(file.fileno()).demuxer, "m4a")
        while len(block := sound.read()):
            parts.append(block)
        sound.close()
    by_program = by_ffmpeg(path, MADE[name][1])
    by_library = np.concatenate(parts).T
    np.testing.assert_allclose(by_library, by_program, atol=2e-6)


def test_a_cut_by_an_edit_list_begins_where_it_says(tmp_path: Path) -> None:
    whole = everything() / "aac.m4a"
    run_ffmpeg("-ss", "0.517", "-i", str(whole), "-c", "copy", str(tmp_path / "cut.m4a"))
    np.testing.assert_array_equal(read(tmp_path / "cut.m4a").samples, by_ffmpeg(tmp_path / "cut.m4a", 2))


@pytest.mark.parametrize("name", ["aac.m4a", "opus.webm", "flac.mka", "two.wma", "a.wv"])
def test_tags_are_read(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name, 0.2, "-metadata", "title=Night", "-metadata", "artist=Ä", "-metadata", "track=3")
    with Decoder(path) as decoder:
        assert dict(decoder.info.tags) == {"title": "Night", "artist": "Ä", "tracknumber": "3"}


def test_side_speakers_are_written_into_a_webm(tmp_path: Path) -> None:
    sound = audio.noise(9600, channels=6) * 0.3
    form = ("-f", "f32le", "-ar", "48000", "-channel_layout", "5.1(side)", "-i", "pipe:0")
    run_ffmpeg(*form, str(tmp_path / "side.wav"), data=sound.T.astype("<f4").tobytes())
    antiphon.run("gain", tmp_path / "side.wav", out=tmp_path / "side.webm")
    assert read(tmp_path / "side.webm").samples.shape[0] == 6


def test_the_page_takes_the_endings_of_the_server() -> None:
    text = (Path(__file__).parents[2] / "page/src/files/state.ts").read_text()
    named = "".join(part for part in text.partition("const SOUNDS =")[2].partition(";")[0].split('"')[1::2])
    assert {f".{ending}" for ending in named.split()} == set(READ_SUFFIXES)


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def untouched(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
@pytest.mark.parametrize("ending", ["mp4", "m4a", "mkv"])
def test_a_playlist_opens_nothing(tmp_path: Path, listener: socket.socket, text: str, ending: str) -> None:
    secret = everything() / "aac.m4a"
    for url in (f"http://127.0.0.1:{listener.getsockname()[1]}/a.ts", f"file://{secret}"):
        path = tmp_path / f"in.{ending}"
        path.write_text(text.format(url=url))
        assert "cannot read" in refusal(path)
    assert untouched(listener)


def grown(data: bytes, names: list[bytes], inner: bytes) -> bytes:
    """A box file in which the content of the last of nested boxes is another."""
    at, end, out = 0, len(data), b""
    while at + 8 <= end:
        size, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + size]
        if names and name == names[0]:
            body = grown(body, names[1:], inner) if len(names) > 1 else inner
        out += struct.pack(">I4s", len(body) + 8, name) + body
        at += size
    return out


def test_a_url_inside_a_container_is_not_opened(tmp_path: Path, listener: socket.socket) -> None:
    path = made(tmp_path, "aac.m4a")
    place = f"http://127.0.0.1:{listener.getsockname()[1]}/a.m4a\0".encode()
    entry = struct.pack(">I4sI", 12 + len(place), b"url ", 0) + place
    inner = struct.pack(">II", 0, 1) + entry
    data = grown(path.read_bytes(), [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"], inner)
    path.write_bytes(data)
    assert place in data
    with suppress(FileError):
        read(path)
    assert untouched(listener)


def test_a_bomb_ends_at_the_longest_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = tmp_path / "in.mka"
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=20", "-c:a", "flac", str(quiet))
    monkeypatch.setattr(decode, "MAX_SECONDS", 5)
    assert "longer than" in refusal(quiet)


def test_a_file_that_grows_has_the_sound_that_it_had(tmp_path: Path) -> None:
    path = made(tmp_path, "a.ac3", 3.0)
    before, more = read(path).samples, path.read_bytes()
    with Decoder(path) as decoder:
        with open(path, "ab") as file:
            file.write(more * 3)
        count = sum(block.shape[1] for block in decoder.blocks())
    assert count == before.shape[1]


def test_what_is_cut_short_or_without_sound_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, "fast.m4a", 3.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "promises" in refusal(path)
    path = made(tmp_path, "aac.mov", 1.0)
    path.write_bytes(path.read_bytes()[:3000])
    assert "it is broken" in refusal(path)
    run_ffmpeg("-f", "lavfi", "-i", "color=black:s=32x32:d=0.2", str(tmp_path / "mute.mp4"))
    assert "there is no sound in it" in refusal(tmp_path / "mute.mp4")


def test_bytes_by_chance_are_refused_in_one_sentence(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    for name in ("aac.m4a", "opus.webm", "two.wma", "a.wv", "a.tta", "a.flv"):
        whole = bytearray((everything() / name).read_bytes())
        for at in chance.integers(0, len(whole), 40):
            whole[at] = int(chance.integers(256))
        path = tmp_path / f"broken-{name}"
        path.write_bytes(whole)
        said = ""
        try:
            assert np.isfinite(read(path).samples).all()
        except FileError as refused:
            said = str(refused)
        assert "\n" not in said


def test_memory_and_processor_time_are_bounded(tmp_path: Path) -> None:
    path = made(tmp_path, "a.ac3", 60.0)
    with Decoder(path) as decoder:
        next(decoder.blocks())
        own = decoder._process.pid  # type: ignore[union-attr]
        child = int(Path(f"/proc/{own}/task/{own}/children").read_text().split()[0])
        limits = Path(f"/proc/{child}/limits").read_text()
    soft = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert int(soft["Max address space"]) <= 400 << 20
    assert int(soft["Max file size"]) == 0
    assert int(soft["Max cpu time"]) <= ffmpeg.PROCESSOR_SECONDS + 1 + ffmpeg.SHARE * 60


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 50000])
def test_an_m4a_is_written(tmp_path: Path, rate: int) -> None:
    x = audio.sine(440.0, 1.0, rate, channels=2) * 0.5
    x[:, : rate // 2] = 0.0
    tags = {"title": "Night", "artist": "Ä"}
    with AudioWriter(tmp_path / "out.m4a", rate, 2, finish=SoundFinish(tags=tags)) as writer:
        for at in range(0, rate, 1000):
            writer.write(x[:, at : at + 1000])
    sound = read(tmp_path / "out.m4a", rate=rate)
    assert (sound.info.rate, dict(sound.info.tags)) == (writer.rate, tags)
    assert 0 <= sound.samples.shape[1] - rate < 2048
    assert abs(audio.onsets(sound.samples)[0] - rate // 2) < 0.004 * rate
    middle = slice(rate * 6 // 10, rate * 9 // 10)
    assert audio.level(sound.samples[:, middle]) == pytest.approx(audio.level(x[:, middle]), abs=0.5)


def test_an_m4a_is_the_same_twice(tmp_path: Path) -> None:
    x = audio.noise(20000, channels=2)
    for name in ("a.m4a", "b.m4a"):
        with AudioWriter(tmp_path / name, 48000, 2) as writer:
            writer.write(x)
    assert (tmp_path / "a.m4a").read_bytes() == (tmp_path / "b.m4a").read_bytes()


def test_an_m4a_without_ffmpeg_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileError, match=r"writes m4a, and it is not installed; `.* ffmpeg` installs it, or name"):
        AudioWriter(tmp_path / "out.m4a", 48000, 1)
    assert not list(tmp_path.iterdir())


def test_what_ffmpeg_refuses_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.files.carrier_writer._CODECS", {"AAC": "no_such_codec"})
    writer = AudioWriter(tmp_path / "out.m4a", 48000, 1)
    writer.write(audio.noise(48000))
    with pytest.raises(FileError, match="ffmpeg refused it"):
        writer.commit()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_text(
        "#!/bin/sh\necho '[mp4 @ 0x1] header (wrong?): No space left on device' >&2; exit 1\n"
    )
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with (tmp_path / "out.m4a").open("wb") as file:
        writer = CarrierWriter(file.fileno(), "out.m4a", "MP4", (48000, 1, "AAC"), {}, None)
        with writer, pytest.raises(FileError, match=r"^cannot write out.m4a: no space left on device; free some space"):
            writer.end()


def test_a_video_says_where_its_sound_begins(tmp_path: Path) -> None:
    sound = everything() / "aac.m4a"
    path = tmp_path / "late.mp4"
    picture = ("-f", "lavfi", "-i", "color=black:s=32x32:r=25:d=2")
    run_ffmpeg(*picture, "-itsoffset", "0.4", "-i", str(sound), "-map", "0", "-map", "1", "-c:a", "copy", str(path))
    with open(path, "rb") as file:
        info = probe(file.fileno(), "mov")
    assert info.picture
    assert info.begins == pytest.approx(0.4, abs=0.03)


def test_threads_decode_at_once() -> None:
    paths = [everything() / name for name in ("aac.m4a", "opus.webm", "a.wv")]
    wanted, found = [read(path).samples for path in paths], dict[int, np.ndarray]()
    threads = [
        threading.Thread(target=lambda n, path: found.update({n: read(path).samples}), args=(n, path))
        for n, path in enumerate(paths * 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, sound in found.items():
        np.testing.assert_array_equal(sound, wanted[n % 3])
    decode_process.decoders().close()
