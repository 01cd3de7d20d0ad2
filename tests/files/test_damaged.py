"""Sound of damaged, cut, changing and gapped containers: in time, or refused, by ffmpeg and by av alike."""

import shutil
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.files.test_carriers import run_ffmpeg

from antiphon.files.carrier_file import AvFile, FfmpegFile
from antiphon.files.containers.layout import layout
from antiphon.files.containers.pieces import Refused
from antiphon.files.decode_child import check_whole

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the path: nothing is made"),
]

SOUND = (
    "-f",
    "lavfi",
    "-i",
    "aevalsrc=0.8*sin(2*PI*1500*t)*between(mod(t\\,2)\\,1\\,1.03)+.05*random(0):s=48000:d=4:c=stereo",
)
PICTURE = ("-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=4")
MAPS = ("-map", "0", "-map", "1")
FORMS = {
    "mkv": (*PICTURE, "-c:a", "aac", "-c:v", "mpeg4"),
    "webm": (*PICTURE, "-c:a", "libopus", "-c:v", "libvpx", "-b:v", "100k"),
    "flv": (*PICTURE, "-c:a", "aac", "-c:v", "flv"),
    "avi": (*PICTURE, "-c:a", "libmp3lame", "-c:v", "mpeg4"),
    "mp4": (*PICTURE, "-c:a", "aac", "-c:v", "mpeg4"),
    "mts": (*PICTURE, "-c:a", "aac", "-c:v", "mpeg2video", "-f", "mpegts"),
    "mka": ("-c:a", "aac"),
    "wma": ("-c:a", "wmav2"),
    "aac": ("-c:a", "aac"),
    "ac3": ("-c:a", "ac3"),
    "eac3": ("-c:a", "eac3"),
    "mlp": ("-c:a", "mlp", "-strict", "-2"),
}
"""Options of a file of 4 s with clicks at 1 and 3 s."""
READERS = ["program", "library"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def whole(folder: Path, form: str) -> Path:
    """A file of `FORMS`, all of which are made at once."""
    path = folder / f"whole.{form}"
    if not path.exists():
        video, sound = ([f for f in FORMS if (FORMS[f][:4] == PICTURE) == drawn] for drawn in (True, False))
        made = [[*MAPS, *FORMS[f][4:], str(folder / f"whole.{f}")] for f in video]
        made += [["-map", "0", *FORMS[f], str(folder / f"whole.{f}")] for f in sound]
        run_ffmpeg(*SOUND, *PICTURE, *(word for words in made for word in words))
    return path


def damaged(folder: Path, form: str, how: str) -> Path:
    """A file of which two fifths are missing, or a part in the middle is noise; or that goes on in another form."""
    data, path = whole(folder, form).read_bytes() if how != "change" else b"", folder / f"{how}.{form}"
    middle = slice(len(data) // 2, len(data) * 58 // 100)
    if how == "cut":
        data = data[: len(data) * 3 // 5]
    elif how == "hole":
        noise = np.random.default_rng(3).bytes(middle.stop - middle.start)
        data = data[: middle.start] + noise + data[middle.stop :]
    else:
        for rate, channels in ((48000, 2), (32000, 1)):
            tone = f"sine=440:d=2:r={rate}"
            run_ffmpeg("-f", "lavfi", "-i", tone, "-ac", str(channels), "-c:a", FORMS[form][1], str(path))
            data += path.read_bytes()
    path.write_bytes(data)
    return path


def decoded(path: Path, by: str) -> tuple[np.ndarray, list[str]]:
    """Samples of the first channel and what is noticed."""
    with open(path, "rb") as file:
        demuxer = layout(file.fileno()).demuxer
        if by == "library":
            pytest.importorskip("av", reason="the extra containers is not installed")
        sound = FfmpegFile(file.fileno(), demuxer) if by == "program" else AvFile(file.fileno(), demuxer, "")
        parts = []
        with closing(sound):
            while len(block := sound.read()):
                parts.append(block[:, 0])
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        check_whole(sound.info.frames, sound.info.frames, len(samples), lossy=True)
        return samples, [one.what for one in sound.notices]


decoded_once = cache(decoded)
"""Of files that no test changes."""


def clicks(samples: np.ndarray) -> list[float]:
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    return list(loud[np.flatnonzero(np.diff(loud, prepend=-48000) > 12000)] / 48000)


REFUSED = {
    "cut": ["mkv", "webm", "flv", "avi", "wma", "mka"],
    "hole": ["mkv", "webm", "avi", "aac", "ac3", "eac3", "mlp", "mts"],
    "change": ["aac", "ac3"],
}


@pytest.mark.parametrize("by", READERS)
@pytest.mark.parametrize(("how", "form"), [(how, form) for how in REFUSED for form in REFUSED[how]])
def test_a_damaged_file_is_refused_with_the_place(folder: Path, how: str, form: str, by: str) -> None:
    path = damaged(folder, form, how)
    with pytest.raises(Refused, match=r"\d"):
        decoded(path, by)


def test_a_hole_in_a_file_with_time_stamps_is_silent_and_said(folder: Path) -> None:
    samples, said = decoded(damaged(folder, "flv", "hole"), "program")
    assert len(samples) == pytest.approx(4.02 * 48000, abs=1000)
    assert np.diff(clicks(samples)) == pytest.approx([2.0], abs=0.002)
    assert said == ["gap", "decoder complaint"]


@pytest.mark.parametrize("by", READERS)
@pytest.mark.parametrize("form", ["aac", "mts"])
def test_a_stream_that_is_cut_in_a_packet_is_read_to_there(folder: Path, form: str, by: str) -> None:
    samples, said = decoded(damaged(folder, form, "cut"), by)
    assert 1.5 * 48000 < len(samples) < 2.8 * 48000
    assert said == ["torn frame", "decoder complaint"]


@pytest.mark.parametrize("by", READERS)
@pytest.mark.parametrize("form", ["mkv", "webm", "mp4", "mts", "mka", "wma"])
def test_sound_behind_a_gap_keeps_its_time(folder: Path, form: str, by: str) -> None:
    source, path = whole(folder, form), folder / f"gap.{form}"
    first, last = (75, 100) if form == "webm" else (36, 60) if form == "wma" else (71, 95)
    run_ffmpeg(
        "-i", str(source), "-map", "0", "-c", "copy", "-bsf:a", f"noise=drop=between(n\\,{first}\\,{last})", str(path)
    )
    samples, said = decoded(path, by)
    intact, _ = decoded_once(source, by)
    assert len(samples) == pytest.approx(len(intact), abs=50)
    assert clicks(samples) == pytest.approx(clicks(intact), abs=0.001)
    assert said == ["gap"]


@pytest.mark.parametrize("by", READERS)
@pytest.mark.parametrize("form", ["mkv", "webm", "flv", "avi", "mp4", "mts", "wma", "aac", "mlp"])
def test_a_whole_file_has_nothing_to_say(folder: Path, form: str, by: str) -> None:
    samples, said = decoded_once(whole(folder, form), by)
    assert said == []
    assert np.diff(clicks(samples)) == pytest.approx([2.0], abs=0.002)


@pytest.mark.parametrize("by", READERS)
def test_a_pause_of_minutes_is_silent_and_one_of_days_refused(folder: Path, by: str) -> None:
    source, path = whole(folder, "mka"), folder / "pause.mka"
    for seconds in (120, 90_000):
        later = f"setts=ts=TS+gt(N\\,94)*{seconds}/TB"
        run_ffmpeg("-i", str(source), "-c", "copy", "-bsf:a", later, str(path))
        if seconds == 120:
            samples, said = decoded(path, by)
            assert np.diff(clicks(samples)) == pytest.approx([122.0], abs=0.002)
            assert said == ["gap"]
        else:
            with pytest.raises(Refused, match=r"its time stamps leave out 25\.0 hours"):
                decoded(path, by)
