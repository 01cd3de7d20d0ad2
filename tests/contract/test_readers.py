"""Every reader names what it does not use: each is given a file with something that was made up."""

import ast
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import antiphon
from antiphon.api import StreamSpec
from antiphon.files import audiofile
from antiphon.files.scores import midifile, musicxml
from antiphon.kernel.runtime.notices import MAX_PLACES, collect, notice, reading_file
from antiphon.offline.output_summary import Written
from antiphon.operations.requests import Reporting, noticing
from antiphon.testing import sound as audio
from antiphon_effects import convolution
from antiphon_soundfont import sfz

ROOTS = [Path(__file__).parents[2] / name for name in ("server", "plugins")]
OWN = (
    "a file of weights", "a list of tracks", "a mark", "a SynthDef", "a classifier", "a classifier's description",
    "a slice of the data set",
)  # fmt: skip
"""Kinds of files that `read_ordinary` reads and that are Antiphon's own, or are refused where they are not known."""
INNER = ("the text of an instrument, of",)
"""Kinds of files that belong to another one."""


def wav(path: Path) -> None:
    soundfile.write(path, audio.noise(4800, seed=1).T * 0.3, 48000)
    data = path.read_bytes() + b"Zork" + struct.pack("<I", 4) + b"\1\2\3\4"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def midi(path: Path) -> None:
    track = bytes.fromhex("00 90 3c 64 60 80 3c 00 00 ff 2f 00".replace(" ", ""))
    chunks = b"Zork" + struct.pack(">I", 2) + b"\1\2" + b"MTrk" + struct.pack(">I", len(track)) + track
    path.write_bytes(b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + chunks)


def four_channels(path: Path) -> None:
    soundfile.write(path, audio.noise(4800, channels=4, seed=1).T * 0.3, 48000)


def impulse(path: Path) -> object:
    return convolution.read_impulse(str(path), StreamSpec(48000, 256, 2), normalise=True)


def instrument(path: Path) -> None:
    soundfile.write(path.with_name("there.wav"), np.zeros(480), 48000)
    path.write_text("<region> sample=there.wav key=60\n<region> sample=gone.wav key=61\n")


def score(path: Path) -> None:
    music = "<measure><note><rest/><duration>1</duration></note><zork/></measure>"
    path.write_text(f'<score-partwise><part-list/><part id="P1">{music}</part></score-partwise>')


ODD: dict[str, tuple[str, Callable[[Path], None], Callable[[Path], object], str]] = {
    "a sound file": ("x.wav", wav, audiofile.read, "without 1 unknown chunk (Zork) of IN"),
    "a MIDI file": ("x.mid", midi, midifile.read, "without 1 unknown chunk (Zork) of IN"),
    "a score": ("x.musicxml", score, musicxml.read, "without 1 unknown element (zork) of IN"),
    "an SFZ instrument": ("x.sfz", instrument, sfz.check_instrument, "without 1 missing file (gone.wav) of IN"),
    "an impulse response": ("x.wav", four_channels, impulse, "without channels 3 and 4 of IN"),
}
"""For each kind of `reading_file`: the name of a file, what makes it with something unknown, its reader, the notice."""


def calls(name: str, place: int) -> set[str]:
    """Literal arguments of all calls of a function in the project."""
    found = set()
    every = (path for root in ROOTS for path in root.rglob("*.py") if "tests" not in path.relative_to(root).parts)
    for path in every:
        if name in (text := path.read_text()):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call) and name in (
                    getattr(node.func, "id", ""),
                    getattr(node.func, "attr", ""),
                ):
                    given = node.args[place] if len(node.args) > place else None
                    given = given.values[0] if isinstance(given, ast.JoinedStr) else given
                    if isinstance(given, ast.Constant):
                        found.add(str(given.value).strip())
    return found


def test_each_reader_has_an_odd_file() -> None:
    assert calls("reading_file", 0) == set(ODD)
    assert calls("read_ordinary", 2) - {*OWN, *INNER} <= set(ODD)


@pytest.mark.parametrize("kind", ODD)
def test_what_is_made_up_is_named(tmp_path: Path, kind: str) -> None:
    name, make, read, said = ODD[kind]
    make(path := tmp_path / name)
    with collect() as notices:
        for _ in range(2):
            read(path)
    assert notices.take(str(path)) == (said,)


def test_notices_outside_operations_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "once.wav"
    wav(path)
    for _ in range(2):
        audiofile.read(path)
    assert caplog.messages == [f"{path} is read without 1 unknown chunk (Zork)"]


def test_notices_of_a_file_add_up_to_one_phrase() -> None:
    with collect() as notices:
        for _ in range(2):
            with reading_file("a MIDI file", "a.mid"):
                notice("lyric", 3)
                notice("channels 3 and 4", 0)
                for n in range(MAX_PLACES + 1):
                    notice("chunk", place=f"c{n}", manner="unknown")
                notice("gap", place="1.0 s at 3.0 s", manner="mended")
        with reading_file("a MIDI file", "b.mid"):
            notice("lyric")
        assert notices.take("b.mid") == (
            "without 3 lyrics, channels 3 and 4 and 5 unknown chunks (c0, c1, c2, c3, …), with 1 gap (1.0 s at 3.0 s) "
            "of a.mid",
            "without 1 lyric of IN",
        )
        assert notices.take() == ()


def test_a_closing_line_has_notices_and_the_rest_is_said() -> None:
    written, said = list[Written](), list[str]()
    with noticing(Reporting(said.append, written.append)) as to:
        with reading_file("a sound file", "in.mkv"):
            notice("chapter", 2)
            notice("subtitle track")
        to.wrote(Written("out.mkv", "in.mkv", carried=("chapter", "chapter")))
        with reading_file("a sound file", "late.wav"):
            notice("lyric")
    assert str(written[0]) == "wrote out.mkv: from in.mkv, without 1 subtitle track of IN"
    assert said == ["without 1 lyric of late.wav"]


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the path: nothing is made")
EXTRA = {
    "x.aiff": (b"ZORK\0\0\0\2ab", "1 unknown chunk (ZORK)"),
    "x.caf": (b"zork\0\0\0\0\0\0\0\2ab", "1 unknown chunk (zork)"),
    "x.w64": (b"zork" + bytes(12) + (24).to_bytes(8, "little"), "1 unknown chunk (zork)"),
}
"""Suffixes, appended bytes and what is said of them."""


@pytest.mark.parametrize("name", EXTRA)
def test_unknown_chunks_of_each_container_are_named(tmp_path: Path, name: str) -> None:
    path, (more, said) = tmp_path / name, EXTRA[name]
    soundfile.write(path, np.zeros((480, 2)), 48000)
    path.write_bytes(path.read_bytes() + more)
    with collect() as notices:
        audiofile.read(path)
    assert notices.take(str(path)) == (f"without {said} of IN",)


def test_blocks_of_flac_and_frames_of_id3_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.flac"
    soundfile.write(path, np.zeros((480, 2)), 48000)
    data, sheet = path.read_bytes(), bytes(395) + b"\1" + (480).to_bytes(8, "big") + b"\xaa" + bytes(27)
    path.write_bytes(data[:42] + bytes((100, 0, 0, 2, 1, 2, 5, 0, 1, 176)) + sheet + data[42:])
    frame = b"CHAP\0\0\0\5\0\0abcd\0" + b"XZRK\0\0\0\2\0\0ab"
    (tmp_path / "x.mp3").write_bytes(b"ID3\4\0\0\0\0\0" + bytes((len(frame),)) + frame + mp3())
    said = []
    for each in (path, tmp_path / "x.mp3"):
        with collect() as notices:
            audiofile.read(each)
        said += notices.take(str(each))
    assert said == [
        "without 1 unknown block (of kind 100) and 1 cue sheet of IN",
        "without 1 chapter and 1 unknown tag (XZRK) of IN",
    ]


def mp3() -> bytes:
    import io

    held = io.BytesIO()
    soundfile.write(held, np.zeros((4800, 1)), 48000, format="MP3")
    return held.getvalue()


@needs_ffmpeg
def test_streams_of_a_container_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhallo\n")
    (tmp_path / "meta").write_text(
        ";FFMETADATA1\n" + "".join(f"[CHAPTER]\nTIMEBASE=1/1\nSTART={n}\nEND={n + 1}\n" for n in range(2))
    )
    inputs = ["-f", "lavfi", "-i", "sine=d=2", "-f", "lavfi", "-i", "color=black:s=32x32:r=25:d=2"]
    inputs += ["-i", str(tmp_path / "a.srt"), "-i", str(tmp_path / "meta")]
    subprocess.run(
        ["ffmpeg", "-v", "error", *inputs, "-map", "0", "-map", "0", "-map", "1", "-map", "2", "-map_chapters", "3",
         "-attach", str(tmp_path / "a.srt"), "-metadata:s:t", "mimetype=text/plain", str(path)],
        check=True,
    )  # fmt: skip
    with collect() as notices:
        audiofile.read(path)
    assert notices.take(str(path)) == (
        "without 1 sound track, 1 picture, 1 subtitle track, 1 attachment and 2 chapters of IN",
    )


def test_notices_reach_programs_in_python(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wav(path := tmp_path / "x.wav")
    assert antiphon.run("gain", path).said.endswith("without 1 unknown chunk (Zork) of sound")
    said = "the sound was read without 1 unknown chunk (Zork) of x.wav"
    assert antiphon.analyse(path, only="loudness").warnings == (said,)
    assert caplog.messages == []


def test_what_does_not_touch_the_sound_is_said_of_files_alone(caplog: pytest.LogCaptureFixture) -> None:
    with collect() as notices:
        for _ in range(2):
            with reading_file("a sound file", "x.m4a"):
                notice("cover picture", manner="beside")
    assert notices.take("x.m4a") == ("without 1 cover picture of IN",)
    with reading_file("a sound file", "x.m4a"):
        notice("cover picture", manner="beside")
    assert caplog.messages == []
