"""What a command writes: nothing that it reads, by whatever name, and nothing where there is no place."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import audio

from antiphon.cli.files.replay import export, replay
from antiphon.kernel.errors import FileError, UsageError

Command = Callable[..., Any]


def test_no_out_of_a_folder_is_an_in_of_another(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "takes").mkdir()
    (tmp_path / "same").symlink_to("takes")
    for name in ("takes/a.wav", "takes/b.wav", "c.wav"):
        audio.write(tmp_path / name, audio.noise(4_000))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "c.wav").symlink_to("../takes/a.wav")
    before = (tmp_path / "takes" / "a.wav").read_bytes()
    for arguments, same in ((["takes", "c.wav", "--out-dir", "out"], "out/c.wav"),):
        done = antiphon("run", "gain", *arguments)
        assert done.code == 2
        assert done.complaint == f"IN and OUT are the same file, {same}; name another folder with --out-dir"
    assert (tmp_path / "takes" / "a.wav").read_bytes() == before
    assert os.listdir(tmp_path / "out") == ["c.wav"]
    assert antiphon("run", "gain", "takes", "--out-dir", "new").code == 0


def test_what_a_parameter_reads_is_never_out(antiphon: Command, tmp_path: Path) -> None:
    for name in ("in.wav", "pick.wav"):
        audio.write(tmp_path / name, audio.noise(100))
    before = (tmp_path / "pick.wav").read_bytes()
    done = antiphon("run", "transfer", "in.wav", "pick.wav", "-p", "reference=pick.wav")
    assert done.complaint == "reference and OUT are the same file, pick.wav; give OUT a name of its own"
    done = antiphon("run", "transfer", "pick.wav", "in.wav", "--out-dir", ".", "-p", "reference=pick.wav")
    assert done.complaint == "IN and OUT are the same file, pick.wav; name another folder with --out-dir"
    assert (tmp_path / "pick.wav").read_bytes() == before


def test_what_a_patch_reads_is_never_out(antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    library = tmp_path / "home" / "data" / "library"
    library.mkdir(parents=True)
    for name in ("in.wav", "pick.wav", "home/data/library/known.wav"):
        audio.write(tmp_path / name, audio.noise(100))
    for reference, out in (("pick.wav", "pick.wav"), ("known.wav", "home/data/library/known.wav")):
        (tmp_path / "p.toml").write_text(
            f'format = 1\n[nodes.t]\ntype = "transfer"\nreference = "{reference}"\n[wires]\n"in" = "t"\n"t" = "out"\n'
        )
        before = (tmp_path / out).read_bytes()
        done = antiphon("render", "p.toml", "--in", "in.wav", "--out", out)
        assert done.complaint == f"t.reference and --out are the same file, {out}; give --out a name of its own"
        assert (tmp_path / out).read_bytes() == before


def test_nothing_in_a_folder_that_is_read_is_out(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "lib" / "deeper").mkdir(parents=True)
    audio.write(tmp_path / "lib" / "deeper" / "x.wav", audio.noise(100))
    (tmp_path / "lib" / "rules.toml").write_text("section = 4\n")
    (tmp_path / "link.wav").symlink_to("lib/deeper/x.wav")
    before = (tmp_path / "link.wav").read_bytes()
    for out in ("lib/deeper/x.wav", "link.wav"):
        said = antiphon("run", "loops", "lib", out).complaint
        assert said == f"IN and OUT are the same file, {out}; give OUT a name of its own"
    said = antiphon("run", "loops", "lib", "out.wav", "--analysis", "lib/rules.toml").complaint
    assert said == "IN and --analysis are the same file, lib/rules.toml; give --analysis a name of its own"
    patch = f'format = 1\n[nodes.bed]\ntype = "loops"\nlibrary = "{tmp_path}/lib"\n[wires]\n"bed" = "out"\n'
    (tmp_path / "p.toml").write_text(patch)
    said = antiphon("render", "p.toml", "--seconds", "1", "--out", "link.wav").complaint
    assert said == "bed.library and --out are the same file, link.wav; give --out a name of its own"
    assert (tmp_path / "link.wav").read_bytes() == before


def test_two_outs_are_two_files(antiphon: Command, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        audio.write(tmp_path / name, audio.noise(100))
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "a.wav").symlink_to("b.wav")
    said = antiphon("run", "gain", "a.wav", "b.wav", "--out-dir", "o").complaint
    assert said == "two of OUT are the same file, o/b.wav; name another folder with --out-dir"
    assert os.listdir(tmp_path / "o") == ["a.wav"]


def test_what_is_written_beside_out_is_neither_in_nor_out(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(100))
    (tmp_path / "in.mid").symlink_to("in.wav")
    (tmp_path / "out.mid").symlink_to("out.wav")
    said = antiphon("run", "hum", "in.wav", "out.wav", "--midi-out", "in.mid").complaint
    assert said == "IN and --midi-out are the same file, in.mid; give --midi-out a name of its own"
    said = antiphon("run", "hum", "in.wav", "out.wav", "--midi-out", "out.mid").complaint
    assert said == "OUT and --midi-out are the same file, out.mid; give --midi-out a name of its own"
    (tmp_path / "loops").mkdir()
    said = antiphon("run", "loops", "loops", "out.wav", "--analysis", "./out.wav").complaint
    assert said == "OUT and --analysis are the same file, ./out.wav; give --analysis a name of its own"
    assert sorted(os.listdir(tmp_path)) == ["in.mid", "in.wav", "loops", "out.mid"]


@pytest.mark.parametrize("out", ["set/input.wav", "set/output.wav", "set/../set/output.wav", "link.wav"])
def test_a_replay_goes_over_nothing_of_its_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    head = '{"session": 2, "rate": 48000, "block": 256, "channels": 2, "sample": 0}\n'
    (tmp_path / "set" / "session.jsonl").write_text(head)
    for name in ("input.wav", "output.wav"):
        audio.write(tmp_path / "set" / name, audio.noise(512, 2))
    (tmp_path / "link.wav").symlink_to("set/input.wav")
    before = {p.name: p.read_bytes() for p in (tmp_path / "set").iterdir()}
    with pytest.raises(UsageError, match=r"(in|out)put.wav of the set and OUT are the same file, .*; give OUT a name"):
        replay(session="set", out=out)
    assert {p.name: p.read_bytes() for p in (tmp_path / "set").iterdir()} == before
    with pytest.raises(FileError, match=r"--stems: set is the set itself"):
        replay(session="set", out="new.wav", stems="set", force=True)
    with pytest.raises(FileError, match=r"--stems: stems/output.wav would be among the tracks in stems"):
        replay(session="set", out="stems/output.wav", stems="stems", force=True)
    (tmp_path / "stems").mkdir()
    os.link("set/input.wav", "stems/input.wav")
    replay(session="set", stems="stems", force=True)
    (tmp_path / "same").symlink_to("set")
    with pytest.raises(FileError, match="DIR: same is the set itself"):
        export("set", Path("same"), force=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "set").iterdir()} == before
    replay(session="set", out="set/again.wav")
    assert (tmp_path / "set" / "again.wav").exists()
