"""What is written: nothing over what is there, and a line that says what it is."""

import json
import os
from pathlib import Path

import numpy as np
import py2tosc
import pytest
from tests import accepted
from tests.cli.conftest import Command

from antiphon.cli.command import Command as DeclaredCommand
from antiphon.cli.files.render import export, replay
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.files.scores.midifile import write
from antiphon.kernel.errors import FileError, UsageError
from antiphon.offline.output_summary import Written, duration
from antiphon.signal.loudness import LoudnessMeter
from antiphon.testing import sound as audio

TUNE = tuple(MidiNote(float(n), 1.0, 60 + (0, 2, 4, 5)[n % 4]) for n in range(16))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """in.wav, in.mid, a loop, and an earlier file under each name OUT may have."""
    audio.write(tmp_path / "in.wav", audio.sine(440.0, 0.25), subtype="FLOAT")
    write(tmp_path / "in.mid", [MidiTrack("melody", TUNE)], 90.0)
    (tmp_path / "loops").mkdir()
    audio.write(tmp_path / "loops" / "a.wav", audio.clicks([0, 24_000, 48_000, 72_000], 96_000))
    for name in ("old.wav", "old.mid", "old.json", "new-drums.wav"):
        (tmp_path / name).write_text("the old one")
    return tmp_path


def test_force_writes_over_it(antiphon: Command, sources: Path) -> None:
    assert antiphon("run", "gain", "in.wav", "old.wav", "--force").code == 0
    assert audio.read(sources / "old.wav")[0].shape == (1, 12_000)
    assert antiphon("render", "through", "--in", "in.wav", "--out", "old.wav", "--force").code == 0
    assert audio.read(sources / "old.wav")[0].shape == (2, 12_000)


@pytest.fixture
def kept_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorded set of two blocks, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    head = '{"session": 2, "rate": 48000, "block": 256, "channels": 2, "sample": 0}\n'
    (tmp_path / "set" / "session.jsonl").write_text(head)
    for name in ("input.wav", "output.wav"):
        audio.write(tmp_path / "set" / name, audio.noise(512, 2))


@pytest.mark.usefixtures("kept_set")
def test_a_replay_goes_over_nothing(sources: Path) -> None:
    with pytest.raises(UsageError, match=r"old\.wav is there already; give OUT another name, or --force"):
        DeclaredCommand(None, replay).call(session="set", out="old.wav")
    DeclaredCommand(None, replay).call(session="set", out="old.wav", force=True)
    assert audio.read(sources / "old.wav")[0].shape == (2, 512)
    DeclaredCommand(None, replay).call(session="set", stems="tracks")
    assert audio.read(sources / "tracks/output.wav")[0].shape == (2, 512)
    with pytest.raises(UsageError, match="name the file to write"):
        DeclaredCommand(None, replay).call(session="set")
    with pytest.raises(UsageError, match="--tag are for OUT"):
        DeclaredCommand(None, replay).call(session="set", stems="more", limit=True)


@pytest.mark.parametrize("out", ["set/input.wav", "set/output.wav", "set/../set/output.wav", "link.wav"])
@pytest.mark.usefixtures("kept_set")
def test_a_replay_goes_over_nothing_of_its_set(tmp_path: Path, out: str) -> None:
    (tmp_path / "link.wav").symlink_to("set/input.wav")
    before = {p.name: p.read_bytes() for p in (tmp_path / "set").iterdir()}
    with pytest.raises(UsageError, match=r"(in|out)put.wav of the set and OUT are the same file, .*; give OUT a name"):
        DeclaredCommand(None, replay).call(session="set", out=out)
    assert {p.name: p.read_bytes() for p in (tmp_path / "set").iterdir()} == before
    with pytest.raises(FileError, match=r"--stems: set is the set itself"):
        DeclaredCommand(None, replay).call(session="set", out="new.wav", stems="set", force=True)
    with pytest.raises(FileError, match=r"--stems: stems/output.wav would be among the tracks in stems"):
        DeclaredCommand(None, replay).call(session="set", out="stems/output.wav", stems="stems", force=True)
    (tmp_path / "stems").mkdir()
    os.link("set/input.wav", "stems/input.wav")
    DeclaredCommand(None, replay).call(session="set", stems="stems", force=True)
    (tmp_path / "same").symlink_to("set")
    with pytest.raises(FileError, match="DIR: same is the set itself"):
        export("set", Path("same"), force=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "set").iterdir()} == before
    DeclaredCommand(None, replay).call(session="set", out="set/again.wav")
    assert (tmp_path / "set" / "again.wav").exists()


def test_what_a_patch_reads_in_the_library_is_never_out(
    antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    (tmp_path / "data" / "library").mkdir(parents=True)
    known = audio.write(tmp_path / "data" / "library" / "known.wav", audio.noise(100))
    (tmp_path / "p.toml").write_text(
        'format = 1\n[nodes.t]\ntype = "transfer"\nreference = "known.wav"\n[wires]\n"in" = "t"\n"t" = "out"\n'
    )
    before = known.read_bytes()
    done = antiphon("render", "p.toml", "--seconds", "1", "--out", "data/library/known.wav")
    assert done.complaint.startswith("t.reference and --out are the same file, data/library/known.wav; give --out a")
    assert known.read_bytes() == before


def test_of_many_files_one_that_is_there_is_named_and_the_others_are_done(antiphon: Command, sources: Path) -> None:
    for name in ("a.wav", "b.wav"):
        audio.write(sources / name, audio.noise(100))
    (sources / "out").mkdir()
    (sources / "out" / "a.wav").write_text("the old one")
    done = antiphon("run", "gain", "a.wav", "b.wav", "--out-dir", "out")
    assert done.code == 1
    assert done.err.splitlines() == [
        "antiphon: out/a.wav is there already; give --out-dir another name, or --force to write over it",
        "antiphon: 1 of 2 files could not be processed",
    ]
    assert done.out == "wrote out/b.wav: 0:00.0, 48 kHz, mono, from b.wav, unchanged by gain\n"
    assert (sources / "out" / "a.wav").read_text() == "the old one"


def test_a_line_says_what_was_written(antiphon: Command, sources: Path) -> None:
    def answer(line: str) -> str:
        done = antiphon(*line.split(), "--force")
        assert done.code == 0, done.err
        return " / ".join(done.out.splitlines())

    accepted.compare(__file__, answer)


def test_what_is_said_of_clipping_can_be_done(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.sine(440.0, 0.25, level=-1.0))
    said = antiphon("run", "gain", "in.wav", "a.wav", "-p", "gain=2").complaint
    assert said.endswith("over full scale and are cut to it; --limit keeps them below it")
    for option in (["--limit"], ["--normalise", "-14"]):
        done = antiphon("run", "gain", "in.wav", "b.wav", "-p", "gain=2", "--force", *option)
        assert (done.code, done.err) == (0, "")


def test_the_loudness_that_is_said_is_that_of_the_file(antiphon: Command, tmp_path: Path) -> None:
    """A limiter keeps some sounds below what is asked."""
    hits = audio.noise(4 * 48000) * np.exp(-(np.arange(4 * 48000) % 24000) / 12000.0)
    audio.write(tmp_path / "in.wav", hits.astype(np.float32))
    said = antiphon("run", "gain", "in.wav", "b.wav", "--normalise", "-5", "--limit").out
    meter = LoudnessMeter(48000, 1)
    meter.feed(audio.read(tmp_path / "b.wav")[0])
    assert meter.integrated_loudness() < -7.0
    assert f"dB to {meter.integrated_loudness():.1f} LUFS" in said


def test_the_words_of_a_line() -> None:
    assert [duration(s) for s in (0.0, 59.96, 69.84, 3599.96)] == ["0:00.0", "1:00.0", "1:09.8", "1:00:00.0"]
    assert str(Written("o.wav", "in.wav", 1.0, 22050, 6)) == "wrote o.wav: 0:01.0, 22.05 kHz, 6 channels, from in.wav"
    assert str(Written("o.mid", "in.wav", 1.0, notes=1)) == "wrote o.mid: 0:01.0, 1 note, from in.wav"
    assert str(Written("a\nb", "x")) == r"wrote a\nb: from x"


@pytest.mark.needs("answer")
def test_it_writes_a_layout_and_a_session(antiphon: Command, tmp_path: Path) -> None:
    for name in ("answer.tosc", "answer.json"):
        done = antiphon("surface", name)
        assert (done.code, done.err) == (0, "")
        assert f"{name}: " in done.out
        assert "controls of Answer" in done.out
    assert py2tosc.load(tmp_path / "answer.tosc").validate() == []
    assert json.loads((tmp_path / "answer.json").read_text())["createdWith"] == "Open Stage Control"
    assert antiphon("surface", "mine.tosc", "--patch", "keys").code == 0


def test_a_layout_without_a_name_is_of_its_patch(
    antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert antiphon("surface", "--patch", "keys").code == 0
    assert py2tosc.load(tmp_path / "keys.tosc").validate() == []
    playing = {"patch": "Answer"}
    monkeypatch.setattr("antiphon.cli.files.surface.get_answer", lambda *_: playing)
    assert antiphon("surface").out.startswith("answer.tosc: ")
    playing = {"patch": ""}
    assert "name a file, as in `antiphon surface band.tosc`" in antiphon("surface").err
