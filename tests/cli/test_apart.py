"""What a command writes: nothing that it reads, by whatever name, and nothing where there is no place."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.cli.command import Command as DeclaredCommand
from antiphon.cli.files.render import export, replay
from antiphon.kernel.errors import FileError, UsageError
from antiphon.testing import sound as audio

Command = Callable[..., Any]


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
