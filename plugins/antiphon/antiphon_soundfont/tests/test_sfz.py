"""SFZ instruments in the node `soundfont`: what plays of them, the same samples every time, and bad files.

A sound is a sine of its own frequency, by which it is known.
"""

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile

from antiphon.api import Event, FileError, Samples, StreamSpec, UsageError
from antiphon.api.backends.files import library_folder
from antiphon.kernel.runtime.extras import missing as lacking_modules
from antiphon.testing import render
from antiphon_soundfont.processor import Soundfont
from antiphon_soundfont.sfz import MAX_LINE, read_sfz

needs_sfizz = pytest.mark.skipif(bool(lacking_modules(["pysfizz"])), reason="pysfizz is not installed")
RATE = 48000
SECONDS = 0.5


def sine(path: Path, frequency: float, seconds: float = SECONDS, loop: tuple[int, int] | None = None) -> None:
    """A sine of peak 0.5; `loop`: first and last frame of its `smpl`, before the sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.5 * np.sin(2.0 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    if loop:
        data = path.read_bytes()
        chunk = struct.pack("<4sI9I6I", b"smpl", 60, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, *loop, 0, 0)
        data = data[:12] + chunk + data[12:]
        path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    for name in (480, 960, 1440, 1920):
        sine(tmp_path / "Sounds" / f"{name}.wav", name)
    sine(tmp_path / "Sounds" / "loop.wav", 480, 0.1, (400, 4399))
    return tmp_path


def instrument(folder: Path, text: str) -> str:
    path = folder / "made.sfz"
    path.write_text(text)
    return str(path)


def played(file: str, notes: list[Event], seconds: float = 2.0, blocks: Any = None, block: int = 256) -> Samples:
    node = Soundfont()
    silence = np.zeros((2, round(seconds * RATE)), np.float32)
    try:
        sound = render(node, StreamSpec(RATE, block, 2), silence, {"file": file}, blocks=blocks, notes=notes).audio[0]
        return sound[:, node.latency :]
    finally:
        node.close()


def on(at: int, note: int = 60, velocity: float = 0.8) -> Event:
    return Event("on", at, note, velocity, 1)


def heard(sound: Samples, first: int) -> int:
    """Frequency of the loudest partial in 4,800 frames, to 10 Hz; 0 for silence."""
    part = sound[0, first : first + 4800]
    return int(10 * np.argmax(np.abs(np.fft.rfft(part * np.hanning(4800))))) if np.abs(part).max() > 1e-3 else 0


ORDERS = {
    "round robin": (
        "<control> default_path=Sounds/\n<group> seq_length=3 loop_mode=one_shot\n"
        "<region> sample=480.wav seq_position=1 <region> sample=960.wav seq_position=2 // comment\n"
        "<region> sample=1440.wav seq_position=3",
        [on(0), on(24_000), on(48_000), on(72_000)],
        [480, 960, 1440, 480],
    ),
    "velocity layers": (
        "<region> sample=Sounds/480.wav hivel=63\n<region> sample=Sounds\\960.WAV lovel=64 hivel=127",
        [on(0, velocity=0.3), on(24_000, velocity=0.9)],
        [480, 960],
    ),
    "release sample": (
        "#define $EXT wav\n<control> default_path=none/\n<control> set_cc7=127\n"
        "<region> sample=Sounds/480.$EXT\n<region> trigger=release sample=Sounds/960.$EXT",
        [on(0), Event("off", 24_000, 60, 0.0, 1)],
        [480, 960],
    ),
    "key switches": (
        "<global> sw_lokey=24 sw_hikey=25 sw_default=24\n<region> sw_last=24 lokey=60 sample=Sounds/480.wav\n"
        "<region> sw_last=25 lokey=60 sample=Sounds/960.wav",
        [on(0), on(20_000, 25), on(24_000), on(44_000, 24), on(48_000)],
        [480, 960, 480],
    ),
    "transposed": (
        "<region> pitch_keycenter=60 sample=Sounds/480.wav",
        [on(0, 72), on(24_000, 60)],
        [960, 480],
    ),
}  # fmt: skip


@needs_sfizz
@pytest.mark.parametrize("order", ORDERS)
def test_each_note_plays_the_sound_the_instrument_names_for_it(made: Path, order: str) -> None:
    text, notes, frequencies = ORDERS[order]
    sound = played(instrument(made, text), notes)
    assert [heard(sound, at * 24_000 + 4000) for at in range(len(frequencies))] == frequencies


@needs_sfizz
def test_a_note_begins_on_its_sample_and_its_loop_lasts_as_long_as_it_is_held(made: Path) -> None:
    file = instrument(made, "<region> sample=Sounds/loop.wav pitch_keycenter=60 ampeg_release=0.01 ampeg_attack=0")
    for at in (0, 1, 100, 1000):
        first = np.flatnonzero(np.abs(played(file, [on(at)], 0.2)[0]) > 1e-4)[0]
        assert at <= first <= at + 2
    sound = played(file, [on(0), Event("off", 48_000, 60, 0.0, 1)], 1.5)
    assert [heard(sound, at) for at in (1000, 20_000, 40_000, 60_000)] == [480, 480, 480, 0]
    # the seam is no louder than the sine's own steps
    assert np.abs(np.diff(sound[0, 2000:46_000])).max() < 1.02 * np.abs(np.diff(sound[0, 2000:4000])).max()


@needs_sfizz
def test_random_choices_and_any_blocks_give_the_same_samples(made: Path) -> None:
    file = instrument(
        made,
        "<region> hirand=0.5 sample=Sounds/480.wav loop_mode=one_shot\n"
        "<region> lorand=0.5 sample=Sounds/960.wav loop_mode=one_shot",
    )
    notes = [on(n * 5000) for n in range(16)]
    whole = played(file, notes)
    assert {heard(whole, n * 5000) for n in range(16)} == {480, 960}
    for block, blocks in ((256, None), (256, [1, 63, 256, 100]), (64, None)):
        np.testing.assert_array_equal(played(file, notes, blocks=blocks, block=block)[:, :90_000], whole[:, :90_000])


@needs_sfizz
@pytest.mark.skipif(shutil.which("sfizz_render") is None, reason="sfizz_render is not on the path: build sfizz's")
def test_the_samples_are_those_of_sfizz_render(made: Path) -> None:
    file = instrument(
        made,
        "<control> default_path=Sounds/ hint_ram_based=1\n<global> loop_mode=one_shot ampeg_release=0.05\n"
        "<region> sample=480.wav hivel=63\n"
        "<group> lovel=64 seq_length=2 <region> sample=1440.wav seq_position=1 <region> sample=1920.wav seq_position=2",
    )
    song, track, notes = mido.MidiFile(), mido.MidiTrack(), []
    song.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=505_000))
    for n in range(12):  # half-way between two frames: sfizz_render counts time in sums of rounded steps
        velocity = (40, 100)[n % 3 > 0]
        track.append(mido.Message("note_on", note=48 + 3 * n, velocity=velocity, time=96 if n else 1))
        track.append(mido.Message("note_off", note=48 + 3 * n, velocity=64, time=94))
        begin, end = (int(50.5 * ticks) for ticks in (190 * n + 1, 190 * n + 95))
        notes += [on(begin, 48 + 3 * n, velocity / 127), Event("off", end, 48 + 3 * n, 64 / 127, 1)]
    song.save(made / "song.mid")
    words = [
        "sfizz_render",
        "--sfz",
        file,
        "--midi",
        "song.mid",
        "--wav",
        "theirs.wav",
        *["-s", "48000", "-b", "64", "-p", "128"],
    ]
    subprocess.run(words, cwd=made, check=True, capture_output=True)
    theirs = soundfile.read(made / "theirs.wav", dtype="float32")[0].T
    ours = played(file, notes, 5.0)[:, : theirs.shape[1]]
    assert np.abs(theirs).max() > 0.1
    np.testing.assert_allclose(ours, theirs[:, : ours.shape[1]], atol=2 / 32768)  # it writes 16 bits


@needs_sfizz
def test_controllers_bend_and_pedal_reach_the_instrument(made: Path) -> None:
    file = instrument(made, "<region> sample=Sounds/loop.wav bend_up=1200 ampeg_release=0.01")
    notes = [on(0), Event("bend", 24_000, 0, 1.0, 1), Event("bend", 48_000, 0, 0.0, 1)]
    sound = played(file, notes)
    assert [heard(sound, 24_000 * n + 8000) for n in range(3)] == [480, 960, 480]
    notes = [
        Event("control", 0, 64, 1.0, 1),
        on(0),
        Event("off", 12_000, 60, 0.0, 1),
        Event("control", 48_000, 64, 0.0, 1),
    ]
    sound = played(file, notes)
    assert [heard(sound, at) for at in (30_000, 60_000)] == [480, 0]


BROKEN = {
    "": "made.sfz plays nothing: it names no sound",
    "<region> sample=none.wav <region> sample=other.wav": "none of its 2 sounds is there, as 'none.wav'",
    "<region> sample=/etc/hostname.wav": "names '/etc/hostname.wav', outside of its folders",
    "<region> sample=../../../../x.wav": "names '../../../../x.wav', outside of its folders",
    "<control> default_path=..\\..\\..\\..\\ <region> sample=x.wav": "outside of its folders",
    '#include "../../../x.sfz"': "names '../../../x.sfz', outside of its folders",
    '#include "made.sfz"': "made.sfz includes more than 512 files, or itself",
    "<region> " + " " * MAX_LINE: f"it has a line of over {MAX_LINE} characters",
    '#include"/dev/zero"': "names '/dev/zero', outside of its folders",
    '<region> sample=a.wav #include "/dev/zero"': "names '/dev/zero', outside of its folders",
    '<region> sample=a#include "/dev/zero"': "has an #include within a value",
    "#define $a #include\n$a=1": "has the opcode '#include'",
    "#define $s sample\n<region> $s=/any/x.wav": "names '/any/x.wav', outside of its folders",
    "#define $s sam <region> $sple=/any/x.wav": "names '/any/x.wav', outside of its folders",
    "#define $ab x #define $a /e <region> sample=$abc": "names '/ebc', outside of its folders",
    "<region> default_path=a/b/c/ sample=../../../x.wav": "names '../../../x.wav', outside of its folders",
    "#define $p <control>default_path\n$p=/etc/": "has the opcode '<control>default_path'",
    "#define $v sample=\n<region> sample=x $v/any": "a path that no instrument can name",
    "#define $a $a": "defines $a as '$a'; a variable takes",
    "#define $a a/\n#define $b $a*": "defines $b as '$a*'; a variable takes",
    "#define $a aa\n" + "#define $a $a$a\n" * 40: f"its variables make a line of over {MAX_LINE} characters",
}


@pytest.mark.parametrize(("text", "said"), BROKEN.items(), ids=[said[-30:] for said in BROKEN.values()])
def test_an_instrument_that_plays_nothing_or_leads_elsewhere_is_refused(tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    with pytest.raises(FileError) as caught:
        read_sfz(Path(instrument(folder, text)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sfizz_gets_no_include_and_each_sound_by_its_path(made: Path) -> None:
    (made / "cut.sfz").write_text("#incl")
    (made / "rest.sfz").write_text('ude "/dev/zero"\n')
    read = read_sfz(
        Path(
            instrument(
                made,
                "#define $s sample\n#define $F 480\n#define $FILE 960 <control>default_path=Sounds/\n"
                '<region>$s=$F.wav #include "cut.sfz"#include"rest.sfz"\n<region> default_path=none/ sample=960.wav '
                "/* not closed <region> sample=/etc/x.wav",
            )
        )
    )
    assert "#include" not in read.text
    assert [path.name for path in read.sounds] == ["480.wav", "960.wav"]
    assert [line.strip() for line in read.text.splitlines() if "=" in line] == [
        f"sample={path}" for path in read.sounds
    ]


def test_an_instrument_of_the_library_names_files_of_the_library_alone() -> None:
    folder = library_folder() / "Pianos" / "One"
    folder.mkdir(parents=True)
    sine(library_folder() / "a.wav", 480)
    read_sfz(Path(instrument(folder, "<region> sample=../../a.wav")))
    with pytest.raises(FileError, match="outside of its folders"):
        read_sfz(Path(instrument(library_folder(), "<region> sample=../a.wav")))


@needs_sfizz
def test_a_folder_plays_its_only_instrument_or_the_one_of_its_name(made: Path) -> None:
    text = "<region> sample=Sounds/480.wav pitch_keycenter=60"
    instrument(made, text)
    assert heard(played(str(made), [on(0)], 0.3), 2000) == 480
    (made / "other.sfz").write_text(text)
    with pytest.raises(FileError, match=r"has 2 instruments, as made.sfz; file takes a folder with one .sfz"):
        played(str(made), [on(0)], 0.3)
    (made / f"{made.name}.sfz").write_text(text.replace("480", "960"))
    assert heard(played(str(made), [on(0)], 0.3), 2000) == 960
    with pytest.raises(FileError, match="has no instrument"):
        played(str(made / "Sounds"), [])


def test_without_pysfizz_it_says_what_to_install(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysfizz", None)
    with pytest.raises(UsageError, match="an SFZ instrument needs pysfizz, which is not installed; `pip"):
        played(instrument(made, "<region> sample=Sounds/480.wav"), [])
