"""A video stays one: its sound is worked on, its picture, subtitles and chapters are copied, and both stay in step."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Command

import antiphon
from antiphon.files.audiofile import read
from antiphon.files.containers.mp4_tags import read_mp4_tags

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the path: no video is made"),
]

FRAME = 1 / 25
"""Seconds of a picture."""
KINDS = {
    "talk.mp4": ("libx264", "aac", "mov_text", 0.0),
    "late.mp4": ("libx264", "aac", "mov_text", 0.48),
    "talk.mov": ("libx264", "pcm_s16le", "mov_text", 0.0),
    "talk.mkv": ("libx264", "aac", "srt", 0.0),
    "late.mkv": ("libx264", "libopus", "srt", 0.3),
    "talk.webm": ("libvpx", "libopus", "webvtt", 0.0),
}
"""Encoders of picture, sound and subtitles, and seconds at which the sound begins."""


def words(*command: str) -> bytes:
    return subprocess.run(command, capture_output=True, check=True).stdout


def probed(path: Path, *asked: str) -> Any:
    return json.loads(words("ffprobe", "-v", "error", "-of", "json", *asked, str(path)))


def clapper(folder: Path, name: str) -> Path:
    """A flash and a click at 1 and 2 s, with chapters, a subtitle and another sound, each in its language."""
    picture, sound, text, begins = KINDS[name]
    (folder / "chapters.txt").write_text(
        ";FFMETADATA1\ntitle=Talk\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=3000\ntitle=Two\n"
    )
    (folder / "text.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nHello\n")
    flash = "color=black:s=96x64:r=25:d=3,drawbox=c=white:t=fill:enable='between(mod(t\\,1)\\,0\\,0.035)*gt(t\\,0.5)'"
    at = f"(t+{begins})"
    click = f"0.8*sin(2*PI*1500*t)*between(mod({at}\\,1)\\,0\\,0.03)*gt({at}\\,0.5)"
    given = ("-f", "lavfi", "-i", flash, "-itsoffset", str(begins), "-f", "lavfi", "-i")
    given += (f"aevalsrc={click}:s=48000:d={2.9 - begins}",)
    given += ("-i", str(folder / "chapters.txt"), "-i", str(folder / "text.srt"), "-map", "0", "-map", "1", "-map", "3")
    given += ("-map", "1", "-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=spa")
    given += ("-metadata:s:s:0", "language=ita")
    kinds = ("-map_chapters", "2", "-map_metadata", "2", "-c:v", picture, "-c:a", sound, "-c:s", text)
    words("ffmpeg", "-v", "error", "-y", *given, *kinds, str(folder / name))
    return folder / name


def lags(path: Path) -> list[float]:
    """Seconds from each flash to its click, by the times in the file."""
    times = [
        float(frame["pts_time"])
        for frame in probed(path, "-select_streams", "v:0", "-show_entries", "frame=pts_time")["frames"]
    ]
    form = ("-vf", "scale=1:1", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1")
    lit = np.frombuffer(
        words("ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v:0", "-vsync", "0", *form), np.uint8
    )
    flashes = [times[n] for n in range(1, len(lit)) if lit[n] > 128 >= lit[n - 1]]
    asked = ("-select_streams", "a:0", "-show_entries", "frame=pts_time", "-read_intervals", "%+#9")
    begins = float(probed(path, *asked)["frames"][0]["pts_time"])
    loud = np.flatnonzero(np.abs(read(path, rate=48000).samples[0]) > 0.2)
    clicks = begins + loud[np.flatnonzero(np.diff(loud, prepend=-48000) > 12000)] / 48000
    assert len(flashes) == 2
    return [float(min(clicks, key=lambda click: abs(click - flash)) - flash) for flash in flashes]


@pytest.mark.parametrize("name", KINDS)
def test_a_video_keeps_its_picture_and_its_time(antiphon_typed: Command, tmp_path: Path, name: str) -> None:
    video, out = clapper(tmp_path, name), tmp_path / f"out-{name}"
    done = antiphon_typed("run", "gain", str(video), str(out), "-p", "gain=0.5")
    assert done.code == 0, done.err
    copied = ("-map", "0:v", "-map", "0:s", "-map", "0:a:1", "-c", "copy", "-f", "streamhash", "-")
    before, after = (words("ffmpeg", "-v", "error", "-i", str(p), *copied) for p in (video, out))
    assert before == after
    assert before.count(b"SHA256=") == 3
    spoken = [
        {(s["codec_type"], s.get("tags", {}).get("language")) for s in probed(p, "-show_streams")["streams"]}
        for p in (video, out)
    ]
    assert ("audio", "spa") in spoken[0] == spoken[1]
    chapters = [
        [(c["start_time"], c["end_time"], c["tags"]["title"]) for c in probed(p, "-show_chapters")["chapters"]]
        for p in (video, out)
    ]
    assert [title for _, _, title in chapters[1]] == ["One", "Two"]
    for before, after in zip(*chapters, strict=True):
        assert float(after[0]) == pytest.approx(float(before[0]), abs=FRAME)
    for before, after in zip(lags(video), lags(out), strict=True):
        assert abs(after - before) < FRAME / 2
    peaks = [np.abs(read(p, rate=48000).samples).max() for p in (video, out)]
    assert peaks[1] / peaks[0] == pytest.approx(0.5, abs=0.1)
    assert dict(read(out).info.tags)["title"] == "Talk"


def test_a_folder_of_videos_and_a_program_in_python(antiphon_typed: Command, tmp_path: Path) -> None:
    video = clapper(tmp_path, "talk.mp4")
    done = antiphon_typed("run", "gain", str(video), "--out-dir", str(tmp_path / "out"))
    assert done.code == 0, done.err
    assert [s["codec_type"] for s in probed(tmp_path / "out" / "talk.mp4", "-show_streams")["streams"]][:2] == [
        "video",
        "audio",
    ]
    result = antiphon.run("gain", video, gain=0.5)
    np.testing.assert_allclose(np.atleast_2d(result.sound), 0.5 * read(video).samples, atol=1e-6)


def test_a_container_that_does_not_hold_the_subtitles_is_refused_and_leaves_no_file(
    antiphon_typed: Command, tmp_path: Path
) -> None:
    video = clapper(tmp_path, "talk.mkv")
    done = antiphon_typed("run", "gain", str(video), str(tmp_path / "out.webm"))
    assert done.code == 2
    assert "out.webm: ffmpeg refused it" in done.err
    assert not (tmp_path / "out.webm").exists()


def run(antiphon_typed: Command, *words: str | Path) -> str:
    """The closing line of a run."""
    done = antiphon_typed("run", *map(str, words))
    assert done.code == 0, done.err
    return done.out.strip()


def test_text_subtitles_are_converted_to_what_is_held(antiphon_typed: Command, tmp_path: Path) -> None:
    for name, out, codec in (("talk.mkv", "out.mp4", "mov_text"), ("talk.mp4", "out.mkv", "subrip")):
        said = run(antiphon_typed, "gain", clapper(tmp_path, name), tmp_path / out)
        kinds = {(s["codec_type"], s.get("codec_name")) for s in probed(tmp_path / out, "-show_streams")["streams"]}
        assert ("subtitle", codec) in kinds
        assert "subtitles of " in said
        assert "without" not in said


def test_a_second_sound_that_nobody_knows_is_left_out(antiphon_typed: Command, tmp_path: Path) -> None:
    video = clapper(tmp_path, "talk.mp4")
    data = video.read_bytes()
    at = data.rindex(b"mp4a")
    video.write_bytes(data[:at] + b"apac" + data[at + 4 :].replace(b"esds", b"dapa", 1))
    for out in ("out.mp4", "out.mkv"):
        assert run(antiphon_typed, "gain", video, tmp_path / out).endswith("without 1 sound track of IN")
        assert lags(tmp_path / out) == pytest.approx([0.0, 0.0], abs=0.01)


def test_chapters_and_cover_of_an_audio_book_are_kept(antiphon_typed: Command, tmp_path: Path) -> None:
    video, book = clapper(tmp_path, "talk.mp4"), tmp_path / "book.m4b"
    picture = ("-f", "lavfi", "-i", "color=red:s=16x16:d=1", "-frames:v", "1", str(tmp_path / "cover.png"))
    words("ffmpeg", "-v", "error", "-y", *picture)
    maps = ("-map", "0:a:0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic", "-f", "ipod")
    words("ffmpeg", "-v", "error", "-y", "-i", str(video), "-i", str(tmp_path / "cover.png"), *maps, str(book))
    assert "without" not in run(antiphon_typed, "gain", book, tmp_path / "out.m4a", "--tag", "key=Am")
    found = probed(tmp_path / "out.m4a", "-show_chapters", "-show_streams")
    assert [one["tags"]["title"] for one in found["chapters"]] == ["One", "Two"]
    assert [s["codec_name"] for s in found["streams"] if s["disposition"]["attached_pic"]] == ["png"]
    assert run(antiphon_typed, "gain", book, tmp_path / "out.wav").endswith("without 2 chapters of IN")
    assert "the chapters where they were" in run(
        antiphon_typed, "stretch", book, tmp_path / "s.m4a", "-p", "factor=1.5"
    )


def test_a_broadcast_keeps_its_time_as_a_file(antiphon_typed: Command, tmp_path: Path) -> None:
    video = clapper(tmp_path, "talk.mkv")
    for codec in ("aac", "mp2"):
        path = tmp_path / f"{codec}.mts"
        coded = ("-map", "0:v", "-map", "0:a:0", "-c:v", "mpeg2video", "-c:a", codec, "-f", "mpegts")
        words("ffmpeg", "-v", "error", "-y", "-i", str(video), *coded, str(path))
        run(antiphon_typed, "gain", path, tmp_path / f"{codec}.mp4")
        after = lags(tmp_path / f"{codec}.mp4")
        assert after == pytest.approx(lags(path), abs=0.007)


def test_a_sound_longer_than_its_picture_is_said(antiphon_typed: Command, tmp_path: Path) -> None:
    said = run(antiphon_typed, "stretch", clapper(tmp_path, "talk.mp4"), tmp_path / "out.mp4", "-p", "factor=1.5")
    assert "the sound 1.4 s longer than before, the picture as it was" in said


def test_tempo_and_key_of_an_m4a_are_those_of_others(antiphon_typed: Command, tmp_path: Path) -> None:
    whole = tmp_path / "in.m4a"
    words("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac", "-metadata", "tmpo=300", str(whole))
    assert "without the tag bpm" in run(antiphon_typed, "gain", whole, tmp_path / "lost.m4a")
    tags = ("--tag", "bpm=123.6", "--tag", "key=Am", "--tag", "title=Night", "--tag", "artist=Ann")
    run(antiphon_typed, "gain", whole, tmp_path / "out.m4a", *tags)
    data = (tmp_path / "out.m4a").read_bytes()
    assert b"mdta" not in data
    for name, value in ((b"\xa9nam", b"Night"), (b"\xa9ART", b"Ann"), (b"tmpo", b"\0\x7c")):
        at = data.index(name)
        assert data[at + 8 : at + 12] == b"data"
        assert data[at + 20 : at + 20 + len(value)] == value
    with (tmp_path / "out.m4a").open("rb") as file:
        assert read_mp4_tags(file.fileno()) == {"bpm": "124", "key": "Am"}
    with whole.open("rb") as file:
        assert read_mp4_tags(file.fileno()) == {"bpm": "300"}
