"""`antiphon run`: exact length, one-sentence refusals, nothing half written."""

import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
from tests.each import each
from tests.files.test_odd_files import chunk

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.file_use import FileUse
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, EVENTS_OUT
from antiphon.kernel.contract.processor import IO, Processor
from antiphon.kernel.runtime import resources
from antiphon.offline.player import FilePlayer, plugin_player
from antiphon.operations.plan import plan
from antiphon.operations.requests import RunRequest
from antiphon.testing import sound as audio

Command = Callable[..., Any]


class Late(Processor):
    """Gives its input back 700 frames later, raised at the frames where `mark` fires."""

    params = (Param("mark", "trigger", False), Param("pick", "file", ""))
    LAG = 700

    def prepare(self, spec: StreamSpec) -> None:
        self.latency = self.LAG
        self._ring = np.zeros((spec.channels, self.LAG + spec.block), np.float32)

    def process(self, io: IO) -> None:
        n, x, y = io.frames, io.audio_in[0], io.audio_out[0]
        self._ring[:, self.LAG : self.LAG + n] = x
        y[:] = self._ring[:, :n]
        self._ring[:, : self.LAG] = self._ring[:, n : self.LAG + n].copy()
        for at in io.fired("mark"):
            y[:, at] = 0.75


class Ears(Processor):
    """Gives a note for each frame above 0.5, 700 frames later, and no sound."""

    LAG = 700

    def prepare(self, spec: StreamSpec) -> None:
        self.latency = self.LAG
        self._found: list[int] = []

    def process(self, io: IO) -> None:
        first = io.time.sample
        self._found += [first + self.LAG + int(at) for at in np.flatnonzero(io.audio_in[0][0] > 0.5)]
        while self._found and self._found[0] < first + io.frames:
            io.emit(Event("on", self._found.pop(0) - first, 60, 0.5))


class Failing(Processor):
    """Raises after two blocks of 1,024 frames."""

    def process(self, io: IO) -> None:
        if io.time.sample >= 2048:
            raise ValueError("no more")
        io.audio_out[0][:] = io.audio_in[0]


class Holding(Processor):
    """Counts those that hold something, as a place in a worker; raises on sound above 0.5."""

    held = 0

    def prepare(self, spec: StreamSpec) -> None:
        Holding.held += 1

    def process(self, io: IO) -> None:
        assert Holding.held == 1
        if io.audio_in[0].max() > 0.5:
            raise ValueError("too loud")
        io.audio_out[0][:] = io.audio_in[0]

    def close(self) -> None:
        Holding.held -= 1


class Settled(Processor):
    """Gives the input, and 1 where `mark` fires, less the highest sample before the last `rewind`; counts frames."""

    on_files = FileUse(preroll="before")
    params = (Param("mark", "trigger", False), Param("before", default=0.0, low=0.0, high=9.0, restart=True))
    played: ClassVar[list[int]] = []

    def prepare(self, spec: StreamSpec) -> None:
        Settled.played[:] = [0]
        self._highest = self._offset = 0.0

    def process(self, io: IO) -> None:
        x, y = io.audio_in[0], io.audio_out[0]
        Settled.played[-1] += io.frames
        self._highest = max(self._highest, float(x.max(initial=0.0)))
        y[:] = x - self._offset
        for at in io.fired("mark"):
            self._highest = max(self._highest, 1.0)
            y[:, at] += 1.0

    def rewind(self) -> None:
        Settled.played.append(0)
        self._offset = self._highest


TYPES: dict[str, type[Processor]] = {"late": Late, "failing": Failing, "holding": Holding, "settled": Settled}
CATALOG = Catalog(
    {
        name: ProcessorInfo(name, "", "test", (AUDIO_IN,), (AUDIO_OUT,), t.params, on_files=t.on_files)
        for name, t in TYPES.items()
    }
)


def late(spec: StreamSpec, *fires: tuple[str, float]) -> FilePlayer:
    return plugin_player("late", CATALOG, lambda name: TYPES[name](), spec, fires=fires)


@pytest.fixture
def with_test_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command knows the two processors above besides the real ones."""
    import antiphon.kernel.plugins.loader

    real = antiphon.kernel.plugins.loader.load

    def load(*arguments: Any, **named: Any) -> Any:
        loaded = real(*arguments, **named)
        loaded.catalog = Catalog({**loaded.catalog.types, **CATALOG.types})
        loaded.factories["processors"].update(TYPES)
        return loaded

    monkeypatch.setattr(antiphon.kernel.plugins.loader, "load", load)


# ---- the stream


@each("frames", [0, 1, 127, 128, 129, 699, 700, 701, 5000])
@each("pieces", [1, 100, 128, 10_000])
def test_the_latency_is_taken_out_to_the_sample(frames: int, pieces: int) -> None:
    x = audio.noise(frames, 2)
    source = (x[:, at : at + pieces] for at in range(0, frames, pieces))
    told: list[int] = []
    got = [y.copy() for y in late(StreamSpec(48000, 128, 2)).play(source, progress=told.append)]
    assert np.array_equal(np.concatenate([np.zeros((2, 0), np.float32), *got], axis=1), x)
    assert (told or [0])[-1] == frames


@pytest.mark.parametrize("wanted", [0, 1, 300, 1000, 3333])
def test_a_wanted_length_cuts_or_goes_on_in_silence(wanted: int) -> None:
    x = audio.noise(1000, 1)
    y = late(StreamSpec(48000, 128, 1)).sound([x], wanted)
    assert y.shape == (1, wanted)
    both = min(wanted, 1000)
    assert np.array_equal(y[:, :both], x[:, :both])
    assert not y[:, both:].any()


@pytest.mark.parametrize("at", [0, 1, 127, 128, 4999])
def test_a_trigger_fires_at_its_very_sample_for_the_sound_that_is_there(at: int) -> None:
    y = late(StreamSpec(48000, 128, 1), ("mark", at / 48000)).sound(frames=6000)
    # it enters the node at sample `at`; what the node gives out then belongs 700 frames earlier
    assert audio.onsets(y) == ([at - 700] if at >= 700 else [])


@pytest.mark.parametrize("block", [128, 1000])
@pytest.mark.parametrize(("seconds", "first"), [(0.0, []), (0.1, [4800]), (0.2, [7000]), (3.0, [7000])])
def test_a_preroll_is_the_beginning_of_the_file_without_output(block: int, seconds: float, first: list[int]) -> None:
    x = np.zeros((1, 7000), np.float32)
    x[0, 100], x[0, 6000] = 0.25, 0.5
    player = plugin_player(
        "settled", CATALOG, lambda name: TYPES[name](), StreamSpec(48000, block, 1), {"before": seconds}
    )
    if first:
        player.pass_over((x[:, at : at + 300] for at in range(0, 7000, 300)), round(seconds * 48000))
    got = player.sound([x])
    assert Settled.played == [*first, 7000]
    highest = max((x[0, :n].max() for n in first), default=0.0)
    np.testing.assert_array_equal(got, x - highest)


def test_triggers_fire_in_the_preroll_and_in_the_file(antiphon: Command, tmp_path: Path, with_test_types: None) -> None:
    audio.write(tmp_path / "in.wav", np.zeros((1, 4800), np.float32), subtype="FLOAT")
    common = ["run", "settled", "in.wav", "out.wav", "-p", "mark=0.05", "--fade", "0", "--force"]
    for before, offset in ((0.01, 0.0), (0.08, 1.0)):
        done = antiphon(*common, "-p", f"before={before}")
        assert (done.code, done.err) == (0, "")
        y = audio.read(tmp_path / "out.wav")[0]
        assert y.shape == (1, 4800)
        assert y[0, 2400] == 1.0 - offset
        assert y[0, 0] == -offset


@pytest.mark.parametrize("at", [0, 5000, 6999])
def test_notes_of_a_plugin_without_sound_are_where_they_were_heard(at: int) -> None:
    x = np.zeros((1, 7000), np.float32)
    x[0, at] = 0.9
    info = ProcessorInfo("ears", "", "test", (AUDIO_IN,), (EVENTS_OUT,), ())
    player = plugin_player("ears", Catalog({"ears": info}), lambda _: Ears(), StreamSpec(48000, 128, 1))
    player.sound([x])
    assert [frame for frame, _ in player.emitted] == [at]


# ---- the command


@pytest.mark.parametrize(
    ("kind", "channels", "frames"),
    [
        *[("wav", 1, 1), ("wav", 2, 30_011), ("flac", 2, 1023), ("flac", 6, 4097), ("ogg", 1, 1), ("ogg", 6, 4097)],
        *[("ogg", 2, 1023), ("mp3", 1, 1), ("mp3", 1, 1025), ("mp3", 2, 30_011)],
    ],
)
def test_out_has_ins_rate_channels_and_exact_length(
    antiphon: Command, tmp_path: Path, kind: str, channels: int, frames: int, with_test_types: None
) -> None:
    audio.write(tmp_path / f"in.{kind}", audio.noise(frames, channels), 44100)
    done = antiphon("run", "late", f"in.{kind}", f"out.{kind}", "--fade", "0")
    assert (done.code, done.err) == (0, "")
    y, rate = audio.read(tmp_path / f"out.{kind}")
    assert (y.shape, rate) == ((channels, frames), 44100)
    if kind in ("wav", "flac"):
        assert np.array_equal(y, audio.read(tmp_path / f"in.{kind}")[0])


def test_a_trigger_parameter_is_the_seconds_at_which_it_fires(
    antiphon: Command, tmp_path: Path, with_test_types: None
) -> None:
    audio.write(tmp_path / "in.wav", np.zeros((1, 48_000), np.float32), subtype="FLOAT")
    done = antiphon("run", "late", "in.wav", "out.wav", "-p", "mark=0.5", "-p", "mark=0.25")
    assert done.code == 0
    assert audio.onsets(audio.read(tmp_path / "out.wav")[0]) == [12_000 - 700, 24_000 - 700]
    assert "fire at 3 s, after the end" in antiphon("run", "late", "in.wav", "o.wav", "-p", "mark=3").complaint
    assert "seconds at which it fires" in antiphon("run", "late", "in.wav", "o.wav", "-p", "mark=soon").complaint
    assert not (tmp_path / "o.wav").exists()


def test_a_plugin_that_fails_is_one_line_and_leaves_nothing(
    antiphon: Command, tmp_path: Path, with_test_types: None
) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(40_000))
    done = antiphon("run", "failing", "in.wav", "out.wav")
    assert done.code == 2
    assert done.complaint.startswith(
        "the plugin failing failed at 0.04 s: raised ValueError: no more (test_run.py, line"
    )
    assert os.listdir(tmp_path) == ["in.wav"]


def put_plugin(home: Path, name: str, body: str) -> None:
    """A plugin of one's own with a processor that has this body."""
    folder = home / "data" / "plugins" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "import antiphon.api as a\n\n\n@a.hookimpl\ndef antiphon_processors(register: a.Register) -> None:\n"
        f'    register("{name}", "{name}.own:Own")\n'
    )
    (folder / "own.py").write_text(f"import antiphon.api as a\n\n\nclass Own(a.Processor):\n{body}")


def test_a_plugin_that_fails_its_check_is_not_run(antiphon: Command, tmp_path: Path) -> None:
    body = "    def process(self, io: a.IO) -> None:\n        io.audio_out[0].fill(float('nan'))\n"
    put_plugin(tmp_path.parent / f"{tmp_path.name}-home", "holed", body)
    audio.write(tmp_path / "in.wav", audio.noise(1000))
    done = antiphon("run", "holed", "in.wav", "out.wav")
    assert done.code == 2
    assert done.complaint.startswith("the plugin 'holed' did not load: its output holds NaN")
    assert not (tmp_path / "out.wav").exists()


def test_rate_resamples_out_and_says_so(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.sine(440.0, 0.5, 96000), 96000)
    for arguments, said, rate in (
        (("gain", "in.wav", "a.mp3"), "a.mp3: 0:00.5, 48 kHz, mono, from in.wav, resampled from 96 kHz", 48000),
        (("stretch", "in.wav", "b.wav", "--rate", "22050"), "b.wav: 0:00.5, 22.05 kHz, mono, from in.wav", 22050),
    ):
        assert antiphon("run", *arguments).out.startswith(f"wrote {said}")
        assert audio.read(tmp_path / arguments[2])[1] == rate


@pytest.mark.parametrize(
    "line", ["gain in.wav out.mp3 -p gain=2", "gain in.wav out.ogg -p gain=2", "stretch in.wav out.opus -p factor=1.1"]
)
def test_what_players_will_clip_is_said_of_compressed_sound(antiphon: Command, tmp_path: Path, line: str) -> None:
    audio.write(tmp_path / "in.wav", audio.sine(440.0, 0.3, 48000, level=3.0), 48000, subtype="FLOAT")
    done = antiphon("run", *line.split())
    assert done.code == 0
    assert "samples were over full scale and are cut to it by what plays them" in done.complaint


def test_several_files_and_folders_go_to_a_folder_and_one_bad_one_stops_none(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "takes" / "deeper").mkdir(parents=True)
    for name in ("takes/b.flac", "takes/a.WAV", "takes/deeper/c.wav", "-dash.wav", "süß ☃.ogg"):
        audio.write(tmp_path / name, audio.noise(5000))
    (tmp_path / "takes" / "bad.wav").write_bytes(b"RIFF, or is it")
    (tmp_path / "takes" / "notes.txt").write_text("no sound")
    done = antiphon("run", "gain", "--out-dir", "out/here", "takes", "süß ☃.ogg", "none.wav", "--", "-dash.wav")
    assert done.code == 1
    lines = done.err.splitlines()
    assert lines[0] == "antiphon: folders in a folder are left out: takes/deeper; --recursive goes into them"
    assert lines[1].startswith("antiphon: left out: takes/notes.txt; taken are files whose names end in .wav, .flac")
    assert lines[2].startswith("antiphon: cannot read takes/bad.wav: it is not a wav")
    assert lines[3] == "antiphon: cannot read none.wav: there is no such file"
    assert lines[4] == "antiphon: 2 of 6 files could not be processed"
    assert sorted(os.listdir(tmp_path / "out" / "here")) == ["-dash.wav", "a.WAV", "b.flac", "süß ☃.ogg"]
    assert audio.read(tmp_path / "out" / "here" / "b.flac")[0].shape == (1, 5000)


def test_recursive_goes_into_folders_and_keeps_them_and_tags_are_kept(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "takes" / "deeper").mkdir(parents=True)
    with soundfile.SoundFile(tmp_path / "takes" / "deeper" / "c.flac", "w", 48000, 1) as file:
        file.title, file.artist = "Lied", "Ö"
        file.write(audio.noise(5000).T)
    run = ("run", "gain", "takes", "--out-dir", "takes/out", "--recursive", "--tag", "title=Song", "--tag", "key=Am")
    (tmp_path / "takes" / "deeper" / "back").symlink_to("..")
    done = antiphon(*run)
    assert (done.code, "links to folders are left out: takes/deeper/back" in done.complaint) == (0, True)
    made = tmp_path / "takes" / "out" / "deeper" / "c.flac"
    with soundfile.SoundFile(made) as file:
        assert (file.title, file.artist, file.frames) == ("Song", "Ö", 5000)
    assert b"INITIALKEY=Am" in made.read_bytes()
    # its own results are no sources
    assert antiphon(*run, "--force").out.count("wrote") == 1


MARKS = (
    chunk(b"smpl", struct.pack("<9I", 0, 0, 20833, 60, 0, 0, 0, 1, 0) + struct.pack("<6I", 7, 0, 100, 4000, 0, 0))
    + chunk(b"cue ", struct.pack("<III4sIII", 1, 7, 900, b"data", 0, 0, 900))
    + chunk(b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 7) + b"drop\0"))
)
"""A loop, a cue and its label, as samplers and editors write them."""


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("gain in.wav out.wav", True),
        ("gain in.wav out.wav -p gain=.5 --limit --tag bpm=120 --tag title=A", True),
        ("pitch in.wav out.wav -p semitones=5", True),
        ("gain in.wav out.flac -p gain=.5", False),
        ("gain in.wav out.wav --rate 24000", False),
        ("stretch in.wav out.wav -p factor=.5", False),
    ],
)
def test_loops_and_cues_are_kept_with_the_length_or_said_to_be_left_out(
    antiphon: Command, tmp_path: Path, words: str, kept: bool
) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(48000))
    with open(tmp_path / "in.wav", "r+b") as file:
        plain = file.read()
        file.write(MARKS)
        file.seek(4)
        file.write(struct.pack("<I", len(plain) + len(MARKS) - 8))
    done = antiphon("run", *words.split())
    assert done.code == 0
    assert ("without the loop and cue points of IN" in done.out) is not kept
    made = (tmp_path / words.split()[2]).read_bytes()
    moved = "pitch" in words
    assert ("without the loop and root note of IN" in done.out) is moved
    assert (MARKS in made, MARKS[68:] in made) == (kept and not moved, kept)
    if made[:4] == b"RIFF":
        assert struct.unpack("<I", made[4:8]) == (len(made) - 8,)
    assert soundfile.info(tmp_path / words.split()[2]).frames > 20000


def bext(version: int, samples: int, more: bytes = b"") -> bytes:
    """A description, and the time of its first sample."""
    body = (
        b"a take".ljust(338, b"\0") + struct.pack("<QH", samples, version) + bytes(64) + struct.pack("<5h", *range(5))
    )
    return chunk(b"bext", body.ljust(602, b"\0") + more)


ACID = chunk(b"acid", struct.pack("<IHHfIHHf", 2, 60, 0x8000, 0.0, 2, 4, 4, 120.0))
INST = chunk(b"inst", bytes((60, 0, 0, 127, 1, 127)) + b"\x7f")
IXML = chunk(b"iXML", b"<BWFXML><TAPE>1</TAPE></BWFXML>")
XMP = chunk(b"_PMX", b"<x:xmpmeta/>") + chunk(b"DISP", b"\1\0\0\0A\0")
TAKE, LATER = XMP + bext(1, 480_000, b"A=PCM"), XMP + bext(1, 240_000, b"A=PCM")
LOST = "without the notes on the recording (_PMX, DISP, bext, iXML), the tempo and the root note of IN"


@pytest.mark.parametrize(
    ("words", "kept", "said"),
    [
        ("gain in.wav out.wav", TAKE + IXML + ACID + INST, ""),
        ("gain in.wav out.wav -p gain=.5 --tag title=A", TAKE + IXML + ACID + INST, ""),
        ("gain in.wav out.wav --rate 24000", LATER + ACID + INST, "without the notes on the recording (iXML) of IN"),
        ("stretch in.wav out.wav -p factor=.5", TAKE + IXML + INST, "without the tempo of IN"),
        ("pitch in.wav out.wav -p semitones=5", TAKE + IXML + ACID[:8] + bytes(1) + ACID[9:], "root note of IN"),
        ("gain in.wav out.flac", b"", LOST),
        ("gain in.wav out.aiff", b"", LOST),
    ],
)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_tempo_and_notes_on_the_recording_are_kept_while_they_hold(
    antiphon: Command, tmp_path: Path, words: str, kept: bytes, said: str, place: str
) -> None:
    """In front of the sound or behind it; a time of day in samples is that of the new rate."""
    audio.write(tmp_path / "in.wav", audio.noise(48000))
    plain, added = (tmp_path / "in.wav").read_bytes(), TAKE + IXML + ACID + INST
    whole = plain[:12] + added + plain[12:] if place == "before" else plain + added
    (tmp_path / "in.wav").write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    done = antiphon("run", *words.split())
    assert done.code == 0
    assert said in done.out
    assert ("without" in done.out) is bool(said)
    made = (tmp_path / words.split()[2]).read_bytes()
    assert kept in made
    assert [name in made for name in (b"bext", b"iXML", b"acid")] == [
        name in kept for name in (b"bext", b"iXML", b"acid")
    ]


def test_measures_of_loudness_are_not_those_of_another_sound(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(48000))
    whole = (tmp_path / "in.wav").read_bytes() + bext(2, 7)
    (tmp_path / "in.wav").write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    assert antiphon("run", "gain", "in.wav", "out.wav", "-p", "gain=.5").code == 0
    made = (tmp_path / "out.wav").read_bytes()
    body = made[made.index(b"bext") + 8 :]
    assert (body[:6], struct.unpack_from("<Q", body, 338)[0]) == (b"a take", 7)
    assert struct.unpack_from("<5h", body, 412) == (0x7FFF,) * 5


def test_places_in_an_aiff_are_kept_in_an_aiff(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(48000))
    assert antiphon("run", "gain", "in.wav", "in.aiff").code == 0
    mark = struct.pack(">HHI", 1, 1, 900) + b"\4drop\0"
    added = b"MARK" + struct.pack(">I", len(mark)) + mark + b"INST" + struct.pack(">I", 20) + bytes(20)
    whole = (tmp_path / "in.aiff").read_bytes() + added
    (tmp_path / "in.aiff").write_bytes(whole[:4] + struct.pack(">I", len(whole) - 8) + whole[8:])
    for words, kept in (("out.aiff -p gain=.5", True), ("out.wav", False), ("half.aiff --rate 24000", False)):
        done = antiphon("run", "gain", "in.aiff", *words.split())
        assert done.code == 0
        made = (tmp_path / words.split()[0]).read_bytes()
        assert (added in made, "without the loop and cue points of IN" in done.out) == (kept, not kept)
        if kept:
            assert struct.unpack(">I", made[4:8]) == (len(made) - 8,)
            assert b"ID3 " not in made
    rooted = whole.replace(b"INST" + struct.pack(">I", 20) + b"\0", b"INST" + struct.pack(">I", 20) + b"\x39")
    (tmp_path / "in.aiff").write_bytes(rooted[:4] + struct.pack(">I", len(rooted) - 8) + rooted[8:])
    done = antiphon("run", "gain", "in.aiff", "rooted.wav")
    assert "without the loop and cue points and the root note of IN" in done.out


def test_names_with_newlines_stay_in_one_line(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "two\nlines.wav", audio.noise(10))
    assert antiphon("run", "gain", "two\nlines.wav", "out\n.wav").code == 0
    assert (tmp_path / "out\n.wav").exists()
    (tmp_path / "bad\n.wav").write_text("junk")
    assert r"bad\n.wav" in antiphon("run", "gain", "bad\n.wav", "out.wav").complaint


# ---- as a process


@pytest.fixture(scope="module")
def long_sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes, which take a command longer than any test waits before it does something."""
    path = tmp_path_factory.mktemp("long") / "in.wav"
    with soundfile.SoundFile(path, "w", 48_000, 2) as file:
        file.seek(48_000 * 600 - 1)  # a hole, which takes no time to write
        file.write(np.zeros((1, 2), np.float32))
    return path


def test_a_signal_midway_leaves_what_was_there(spawn: Command, tmp_path: Path, long_sound: Path) -> None:
    os.link(long_sound, tmp_path / "in.wav")
    (tmp_path / "out.mp3").write_text("the old one")
    # it says when it is at work, by the writer's first chunk
    before = (
        "import sys\nfrom antiphon.files import audiowrite as w\nreal = w.AudioWriter._hand_over\n"
        "def told(self):\n    real(self); print('writing', flush=True)\nw.AudioWriter._hand_over = told\n"
    )
    process = spawn("run", "gain", "in.wav", "out.mp3", "--force", before=before)
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM
    assert err == "antiphon: stopped; no incomplete file was left\n"
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "out.mp3"]
    assert (tmp_path / "out.mp3").read_text() == "the old one"


def test_memory_is_bounded_on_a_long_file_and_a_full_disk_is_one_line(
    spawn: Command, tmp_path: Path, long_sound: Path
) -> None:
    os.link(long_sound, tmp_path / "in.wav")
    before = (
        "import resource, atexit\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000_000, 30_000_000))\n"
        "atexit.register(lambda: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]))\n"
    )
    process = spawn("run", "gain", "in.wav", "out.wav", before=before)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert err == "antiphon: cannot write out.wav: file too large for this disk or account; write elsewhere\n"
    assert int(out) < 200 * 1024
    assert os.listdir(tmp_path) == ["in.wav"]


def test_each_file_gives_back_what_its_processor_held(antiphon: Command, with_test_types: None) -> None:
    """Else a folder of files takes all places in workers there are."""
    for name, level in (("a", 0.1), ("b", 0.9), ("c", 0.1)):
        soundfile.write(f"{name}.wav", np.full((4000, 2), level, np.float32), 48000)
    done = antiphon("run", "holding", "a.wav", "b.wav", "c.wav", "--out-dir", "out")
    assert "too loud" in done.err
    assert "1 of 3 files could not be processed" in done.err
    assert Holding.held == 0


def test_the_performers_own_folder_comes_before_the_one_that_ships(antiphon_home: Path) -> None:
    use = FileUse("its:job", default_source="loops")
    info = ProcessorInfo("loops", "", "loops", (), (AUDIO_OUT,), (), on_files=use)
    asked, catalog = RunRequest("loops", ("out.wav",)), Catalog({"loops": info})
    ours = plan(asked, catalog).tasks[0].source
    assert ours == resources.folder("library") / "loops"
    own = antiphon_home / "data" / "library" / "loops"
    own.mkdir(parents=True)
    assert plan(asked, catalog).tasks[0].source == own
