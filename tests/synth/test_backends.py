"""A backend of a plugin in the performer's folder: its option of `serve`, the doctor's lines, a render."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.cli.conftest import Done

from antiphon.cli.commands import application
from antiphon.cli.terminal import errors
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.synth import backends, info as synths

HOOKS = """
from antiphon.kernel.contract.hookspecs import hookimpl

@hookimpl
def antiphon_synths(register):
    register("lute", "lute.info:lute", "One string.")
    register("nothing", lambda: None, "No synth at all.")
    register("broken", "lute.there_is_no_such_module:lute", "Raises.")
"""
INFO = """
from antiphon.kernel.runtime.settings import ServeOption
from antiphon.kernel.synth.info import SynthInfo

def lute():
    return SynthInfo("lute", "lute.player:Lute", support="lute.support:LuteSupport",
                     option=ServeOption("wood", "What it is made of."), jack=True)
"""
SUPPORT = """
from dataclasses import replace
from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.errors import ParamError, UsageError
from antiphon.kernel.synth.info import SynthSupport

class LuteSupport(SynthSupport):
    def delay(self, rate, hop):
        return 2

    def playable(self, settings, *, instead):
        if settings.instrument != "pluck":
            raise ParamError(f"a lute plays pluck, not {settings.instrument}")
        return settings

    def check_option(self, value):
        if value != "plum":
            raise UsageError(f"--wood takes plum, not {value!r}")

    def with_option(self, choice, value, rate):
        return replace(choice, settings=(("wood", f"{value} at {rate}"),))

    def findings(self):
        yield Finding("lute", "limited", "one string has gone", "tie it")
"""
PLAYER = """
class Lute:
    name, rehearses = "lute", False

    def __init__(self, rate, hop, slots):
        pass

    def open(self, slot, settings):
        pass

    def close(self, slot):
        pass

    def play(self, slot, sample, events):
        pass

    def render(self, out, active):
        out[active] = 0.25
"""
Run = Callable[..., Done]


@pytest.fixture
def antiphon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    folder = paths.plugins() / "lute"
    folder.mkdir(parents=True)
    for name, text in (("__init__", HOOKS), ("info", INFO), ("support", SUPPORT), ("player", PLAYER)):
        (folder / f"{name}.py").write_text(text)

    def command(*arguments: str) -> Done:
        code = errors.run(application(arguments), list(arguments))
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    yield command
    backends.use(None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "lute"]:
        del sys.modules[name]


def test_serve_takes_its_option(antiphon: Run) -> None:
    assert "--wood takes plum, not 'oak'" in antiphon("serve", "--wood", "oak").complaint
    said = antiphon("serve", "--wood=plum", "--synth", "null").complaint
    assert "--wood is of --synth lute, and --synth null plays by something else" in said
    page = " ".join(antiphon("serve", "--help").out.split())
    assert "--wood <str> What it is made of." in page
    assert "The synth for notes: auto, pyo, null, lute, soundfont or supercollider" in page
    assert "No such option: --weed" in antiphon("serve", "--weed", "plum").complaint


def test_a_server_plays_as_the_option_says(antiphon: Run) -> None:
    asked = backends.with_options(ServeSettings(options={"wood": "plum"}, rate=44100))
    info = backends.requested_backend(asked)
    assert info is not None
    assert (asked.synth, info.name, info.jack, info.delay(44100, 64)) == ("lute", "lute", True, 2)
    choice = backends.choice_with(asked, synths.BackendChoice(info))
    assert choice.settings == (("wood", "plum at 44100"),)
    assert backends.choice_with(ServeSettings(), synths.BackendChoice(info)).settings == ()
    assert backends.requested_backend(ServeSettings()) is None


def test_the_doctor_says_what_it_finds(antiphon: Run) -> None:
    found = {f["subject"]: f for f in json.loads(antiphon("doctor", "--json").out)["findings"]}
    assert found["lute"] == {"subject": "lute", "state": "limited", "said": "one string has gone", "mend": "tie it"}
    assert {"pyo", "scsynth"} <= set(found)


def test_a_file_is_rendered_by_it(antiphon: Run) -> None:
    Path("mine.toml").write_text(
        'format = 1\n[nodes.keys]\ntype = "synth"\ninstrument = "pluck"\n[wires]\n"keys" = "out"\n'
    )
    done = antiphon("render", "mine.toml", "--out", "out.wav", "--seconds", "0.2", "--synth", "lute")
    assert (done.code, done.err) == (0, "")
    sound, _ = soundfile.read("out.wav")
    assert np.abs(sound).max() > 0.2
    Path("mine.toml").write_text(Path("mine.toml").read_text().replace("pluck", "piano"))
    said = antiphon("render", "mine.toml", "--out", "other.wav", "--seconds", "0.2", "--synth", "lute").complaint
    assert "a lute plays pluck, not piano" in said


@pytest.mark.parametrize(
    ("name", "why"), [("nothing", "gave NoneType, not a SynthInfo"), ("broken", "there_is_no_such_module")]
)
def test_what_is_no_synth_is_said_where_it_is_asked_for(antiphon: Run, name: str, why: str) -> None:
    Path("mine.toml").write_text('format = 1\n[nodes.keys]\ntype = "synth"\n[wires]\n"keys" = "out"\n')
    done = antiphon("render", "mine.toml", "--out", "out.wav", "--seconds", "0.2", "--synth", name)
    assert done.code != 0
    assert why in done.err
    assert "Traceback" not in done.err
