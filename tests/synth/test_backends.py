"""A backend of a plugin in the performer's folder: its option of `serve`, the doctor's lines, a render."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import accepted
from tests.cli.conftest import Command, in_process

from antiphon.backends import info as synths, null
from antiphon.backends.backend import SynthSettings
from antiphon.backends.null import Null
from antiphon.backends.serving import ServedSynth
from antiphon.cli.serve import select_synth_by_option
from antiphon.kernel.contract.event import Event
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.plugins import loader
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import preload
from antiphon.kernel.supervisor.companions import Companions
from antiphon.recording import requests
from antiphon.synths.processor import Dial, parse

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
from antiphon.backends.info import SynthInfo

def lute():
    return SynthInfo("lute", "lute.player:Lute", support="lute.support:LuteSupport",
                     option=ServeOption("wood", "What it is made of."), jack=True)
"""
SUPPORT = """
from dataclasses import replace
from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.errors import ParamError, UsageError
from antiphon.backends.info import SynthSupport

class LuteSupport(SynthSupport):
    def delay(self, rate, hop):
        return 2

    def check_settings(self, settings, *, instead):
        if settings.instrument != "pluck":
            raise ParamError(f"a lute plays pluck, not {settings.instrument}")
        return settings

    def check_option(self, value):
        if value != "plum":
            raise UsageError(f"--wood takes plum, not {value!r}")

    def with_option(self, choice, value, rate):
        info = replace(choice.info, backend="lute.player:Carved")
        return replace(choice, info=info, settings=(("wood", f"{value} at {rate}"),))

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


@pytest.fixture
def antiphon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    folder = paths.plugins() / "lute"
    folder.mkdir(parents=True)
    for name, text in (("__init__", HOOKS), ("info", INFO), ("support", SUPPORT), ("player", PLAYER)):
        (folder / f"{name}.py").write_text(text)

    yield in_process(capsys)
    synths.use(None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "lute"]:
        del sys.modules[name]


@pytest.mark.needs("pyo")
def test_serve_takes_its_option(antiphon: Command) -> None:
    assert "--wood takes plum, not 'oak'" in antiphon("serve", "--wood", "oak").complaint
    said = antiphon("serve", "--wood=plum", "--synth", "null").complaint
    assert "--wood is of --synth lute, and --synth null plays by something else" in said
    page = " ".join(antiphon("serve", "--help").out.split())
    assert "--wood <str> What it is made of." in page
    assert "The synth for notes: auto, pyo, null, lute, soundfont or supercollider" in page
    assert "No such option '--weed'" in antiphon("serve", "--weed", "plum").complaint


def test_a_server_plays_as_the_option_says(antiphon: Command) -> None:
    asked = select_synth_by_option(ServeSettings(options={"wood": "plum"}, rate=44100))
    info = synths.requested_backend(asked)
    assert info is not None
    assert (asked.synth, info.name, info.jack, info.delay(44100, 64)) == ("lute", "lute", True, 2)
    choice = synths.apply_backend_option(asked, synths.BackendChoice(info))
    assert (choice.info.backend, choice.settings) == ("lute.player:Carved", (("wood", "plum at 44100"),))
    synths.use(choice)
    warm = preload.PreloadedModules(asked, loader.load(), Companions(recording=requests, notes=ServedSynth()), None)
    assert pickle.dumps(warm), "a fresh interpreter gets it whole where there is no fork"
    told = pickle.dumps(warm.loading())
    synths.use(None)
    preload.load_again(pickle.loads(told))
    assert synths.chosen_backend() == choice, "a fresh interpreter plays by the same"
    assert synths.apply_backend_option(ServeSettings(), synths.BackendChoice(info)).settings == ()
    assert synths.requested_backend(ServeSettings()) is None


def test_a_file_is_rendered_by_it(antiphon: Command) -> None:
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
def test_what_is_no_synth_is_said_where_it_is_asked_for(antiphon: Command, name: str, why: str) -> None:
    Path("mine.toml").write_text('format = 1\n[nodes.keys]\ntype = "synth"\n[wires]\n"keys" = "out"\n')
    done = antiphon("render", "mine.toml", "--out", "out.wav", "--seconds", "0.2", "--synth", name)
    assert done.code != 0
    assert why in done.err
    assert "Traceback" not in done.err


def test_numbers_and_ranges():
    found = parse("cutoff=800 density=1:200 tone=200:8000:log  pan=-1:1")
    assert found.fixed == (("cutoff", 800.0),)
    assert found.dials == (Dial("density", 1.0, 200.0), Dial("tone", 200.0, 8000.0, True), Dial("pan", -1.0, 1.0))
    assert parse("").names == ()


def test_a_dial_goes_from_end_to_end():
    assert [Dial("x", -1.0, 3.0).value(p) for p in (0.0, 0.25, 1.0, 7.0)] == [-1.0, 0.0, 3.0, 3.0]
    assert Dial("x", 100.0, 10000.0, True).value(0.5) == pytest.approx(1000.0)
    assert Dial("x", 2.0, 1.0).value(1.0) == 1.0


def test_what_makes_no_sense_is_refused():
    accepted.compare(__file__, lambda text: accepted.refusal(lambda: parse(text)))


def _tell(backend: Null, hop: int, *events: Event) -> None:
    out = np.ones((4, 2, 64), np.float32)
    backend.play(1, hop * 64, events)
    backend.render(out, np.array([False, True, False, False]))
    assert np.abs(out[1]).max() == 0.0
    assert out[0].min() == 1.0


def test_it_keeps_what_it_was_told() -> None:
    backend = Null(48000, 64)
    backend.open(1, SynthSettings("bass"))
    _tell(backend, 3, Event("on", 5, 40, 0.5, 2), Event("off", 9, 40, 0.0, 2))
    assert list(backend.received) == [
        {"sample": 192, "slot": 1, "instrument": "bass", "kind": "on", "offset": 5, "number": 40, "value": 0.5,
         "channel": 2},
        {"sample": 192, "slot": 1, "instrument": "bass", "kind": "off", "offset": 9, "number": 40, "value": 0.0,
         "channel": 2},
    ]  # fmt: skip


def test_it_writes_lines_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null, "MAX_EVENTS", 5)
    path = tmp_path / "notes.jsonl"
    backend = Null(48000, 64, path=str(path))
    backend.open(1, SynthSettings())
    for hop in range(4):
        _tell(backend, hop, Event("on", hop, 60, 1.0), Event("bend", hop, 0, -0.5))
        assert len(path.read_text().splitlines()) == min(5, 2 * (hop + 1))  # at once, for whoever looks
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["sample"] for line in lines] == [0, 0, 64, 64, 128]
    assert (backend.count, backend.lost) == (8, 3)


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(AntiphonError, match="cannot be recorded in"):
        Null(48000, 64, path=str(tmp_path / "no" / "folder"))
