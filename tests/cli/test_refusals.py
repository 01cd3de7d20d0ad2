"""What the command line refuses: one sentence on one line, and nothing is written."""

import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from tests import accepted
from tests.cli.conftest import Command

from antiphon.cli.command import Command as DeclaredCommand
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.files.scores.midifile import write
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.plugins import loader
from antiphon.kernel.runtime.terms import NAMES, use_terms
from antiphon.operations import render_plan
from antiphon.operations.plan import plan
from antiphon.operations.requests import RenderRequest, RunRequest
from antiphon.testing import sound as audio

LINKS = {
    "link.wav": "in.wav", "in-lib.wav": "lib/deeper/x.wav", "link.mid": "in.wav", "new.mid": "new.wav",
    "out/pick.wav": "../takes/a.wav", "others/pick.wav": "in.wav",
}  # fmt: skip
"""Links by name, each with what it names, which is there or not."""
SCRIPT = 'from antiphon.live import *\ntrack("t", "bd*4")\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files to read, good and bad, and an earlier file under each name OUT may have."""
    audio.write(tmp_path / "in.wav", audio.sine(440.0, 0.25))
    audio.write(tmp_path / "nan.wav", np.full(100, np.nan), subtype="FLOAT")
    audio.write(tmp_path / "silent.wav", np.zeros(48_000, np.float32))
    audio.write(tmp_path / "short.wav", np.full(100, 0.5, np.float32))
    (tmp_path / "bad.wav").write_bytes((tmp_path / "in.wav").read_bytes()[:40] + b"\xff" * 4)
    write(tmp_path / "in.mid", [MidiTrack("melody", tuple(MidiNote(n, 1.0, 60 + n % 4) for n in range(16)))], 90.0)
    write(tmp_path / "empty.mid", [MidiTrack("nothing")])
    write(tmp_path / "drums.mid", [MidiTrack("", tuple(MidiNote(n, 0.2, 36, 0.9, 10) for n in range(8)))])
    write(tmp_path / "one.mid", [MidiTrack("", (MidiNote(0.0, 1.0, 60),))])
    write(tmp_path / "long.mid", [MidiTrack("", (MidiNote(0.0, 1.0, 60), MidiNote(300_000.0, 1.0, 60)))], 10.0)
    (tmp_path / "bad.mid").write_bytes(b"MThd, or is it")
    whole = (tmp_path / "in.mid").read_bytes()
    (tmp_path / "pieces.mid").write_bytes(whole[:9] + b"\2" + whole[10:] + whole[14:])
    (tmp_path / "lead.musicxml").write_text("<?xml version='1.0'?>")
    for name in ("loops", "folder", "folder.tosc", "empty", "lib/deeper", "takes", "out", "others", "again"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("pick.wav", "lib/deeper/x.wav", "takes/a.wav", "again/in.wav"):
        audio.write(tmp_path / name, audio.noise(100))
    audio.write(tmp_path / "frameless.wav", np.zeros((2, 0), np.float32))
    (tmp_path / "lib" / "rules.toml").write_text("section = 4\n")
    for name, to in LINKS.items():
        (tmp_path / name).symlink_to(to)
    os.link(tmp_path / "in.wav", tmp_path / "hard.wav")
    for name, kind, param, value, wires in (
        ("picks", "transfer", "reference", "pick.wav", '"in" = "n"\n'),
        ("bed", "loops", "library", f"{tmp_path}/lib", ""),
    ):
        node = f'[nodes.n]\ntype = "{kind}"\n{param} = "{value}"\n'
        (tmp_path / f"{name}.toml").write_text(f'format = 1\n{node}[wires]\n{wires}"n" = "out"\n')
    audio.write(tmp_path / "loops" / "a.wav", audio.clicks([0, 24_000, 48_000, 72_000], 96_000))
    (tmp_path / "bad.toml").write_text('format = 1\n[nodes.x]\ntype = "nothing"\n')
    (tmp_path / "set.py").write_text(SCRIPT.replace("\n", '\npatch("through")\n', 1))
    (tmp_path / "nameless.py").write_text(SCRIPT)
    for name in ("old.wav", "old.mid", "old.json", "old.tosc", "new-drums.wav"):
        (tmp_path / name).write_text("the old one")
    return tmp_path


@pytest.mark.needs("pyo")
@pytest.mark.usefixtures("plugins_read_once")
def test_each_refusal_is_one_line_and_leaves_nothing(antiphon: Command, folder: Path) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}

    def answer(line: str) -> str:
        before = contents()
        done = antiphon(*shlex.split(line))
        assert done.code in (1, 2), line
        assert contents() == before, line
        return f"{done.code}: {done.complaint}".replace(f"{folder}/", "")

    accepted.compare(__file__, answer)


@pytest.mark.needs("pyo")
@pytest.mark.usefixtures("plugins_read_once")
def test_plan_of_a_bad_request_is_refused_by_argument(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for every interface: before anything is opened, the argument and the reason."""
    monkeypatch.chdir(folder)
    before, catalog = sorted(folder.rglob("*")), loader.load(check=False).catalog

    def run(asked: RunRequest) -> None:
        plan(asked, catalog)

    def render(asked: RenderRequest) -> None:
        render_plan.plan(asked, catalog)

    def answer(line: str) -> str:
        words, command = shlex.split(line), DeclaredCommand("run", run)
        if words[0] == "render":
            words, command = words[1:], DeclaredCommand("render", render)
        with pytest.raises(AntiphonError) as refused, use_terms(NAMES):
            command.main(words, standalone_mode=False)
        return f"{getattr(refused.value, 'argument', '-')}: {refused.value}"

    accepted.compare(Path(__file__).with_name("test_plan"), answer)
    assert sorted(folder.rglob("*")) == before
