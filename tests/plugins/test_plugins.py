"""Plugins from folders: the good load, and each kind of bad one is a reason and stops no other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests import accepted
from tests.sources import PROJECTS, ROOT

from antiphon.api import hookimpl
from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.harness import render, run_processor
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import Port
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.plugins import collecting, finding, loader
from antiphon.kernel.plugins.finding import PluginSource
from antiphon.kernel.plugins.hook_lists import import_plugins
from antiphon.kernel.runtime import importing, paths

HEAD = """
import numpy as np
from antiphon.kernel.contract.hookspecs import hookimpl
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import Port
from antiphon.kernel.contract.processor import Processor
"""
FUTURE = f"from __future__ import annotations\n{HEAD}"
GOOD = """
class P(Processor):
    params = (Param("by", default=2.0, low=0.0, high=9.0),)
    def process(self, io):
        np.multiply(io.audio_in[0], io.curve("by"), out=io.audio_out[0])
"""
HOOK = """
@hookimpl
def antiphon_processors(register):
    register("NAME", P, "Doubles it.")
"""


@pytest.fixture(autouse=True)
def forget(tmp_path):
    """Takes the modules a test made out of the interpreter again."""
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def put(folder, name, text):
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)


def good(name):
    return HEAD + GOOD + HOOK.replace("NAME", name)


def failed(loaded):
    return {f.name: f.reason for f in loaded.catalog.failures}


def body(code, extra=""):
    """A plugin whose processor has this class body."""
    lines = "\n".join("    " + line for line in code.splitlines())
    rest = "" if "def process" in code else "\n    def process(self, io): io.audio_out[0][:] = 0.0"
    return f"{HEAD}\nclass P(Processor):\n{lines}{rest}\n{extra}{HOOK.replace('NAME', 'bad')}"


@pytest.mark.needs("hum", "library", "host")
def test_every_plugin_that_ships_is_built_in():
    """Any other is tried in a child process at each start of a command."""
    read = [tomllib.loads(file.read_text())["project"] for file in PROJECTS]
    declared = [name for project in read for name in project["entry-points"]["antiphon"].values()]
    assert sorted(declared) == sorted(finding.BUILT_IN)
    there = {file.parent.name for file in ROOT.glob("plugins/*/antiphon_*/__init__.py")}
    assert there == {name for name in declared if name != "antiphon_models"}


@pytest.mark.needs("hum", "library", "host")
def test_the_lists_of_plugins_in_the_project_are_current():
    assert subprocess.run([sys.executable, ROOT / "tools/plugin_lists.py"], capture_output=True).returncode == 0


def test_a_good_one_loads_beside_the_built_in_ones(tmp_path):
    put(tmp_path, "mine", good("twice"))
    loaded = loader.load(tmp_path)
    info = loaded.catalog["twice"]
    assert (info.plugin, info.doc, [p.name for p in info.params]) == ("mine", "Doubles it.", ["by"])
    assert {"gain", "filter", "delay", "pan", "mix", "meter", "limiter", "click", "tone"} <= set(loaded.catalog)
    out = run_processor(loaded.make("twice"), StreamSpec(), np.full((2, 700), 0.25, np.float32))
    assert (out == 0.5).all()
    assert Catalog.from_json(loaded.catalog.to_json()).types == loaded.catalog.types


def test_a_factory_by_name_is_imported_when_used_and_no_sooner(tmp_path):
    text = HEAD + HOOK.replace("NAME", "lazy").replace("P,", '"mine.inner:P",')
    put(tmp_path, "mine", text)
    (tmp_path / "mine" / "inner.py").write_text(HEAD + GOOD)
    assert "lazy" in loader.load(tmp_path).catalog
    importing.import_folder(tmp_path / "mine")
    assert "mine.inner" not in sys.modules


def test_loading_again_sees_what_was_edited(tmp_path):
    put(tmp_path, "mine", good("one"))
    loader.load(tmp_path)
    (tmp_path / "mine" / "__init__.py").write_text(good("another"))
    assert "another" in loader.load(tmp_path).catalog


def test_another_process_of_the_server_has_those_that_are_still_good(tmp_path, monkeypatch):
    """A processor beside one that fails, one whose plugin's hook of the same name fails; then a version that hangs."""
    monkeypatch.setattr(paths, "plugins", lambda: tmp_path)
    aborts = "class Q(P):\n    def prepare(self, spec):\n        import os\n        os.abort()\n"
    both = good("fine").replace('    register("fine"', '    register("aborts", Q)\n    register("fine"')
    put(tmp_path, "duo", both.replace("@hookimpl", f"{aborts}@hookimpl"))
    put(tmp_path, "echoes", good("echoes") + "\n@hookimpl\ndef antiphon_addresses(osc):\n    raise ValueError\n")
    loaded = loader.load(check=False)
    for name in ("fine", "echoes"):
        loaded.check(name)
        assert isinstance(loader.load_again(loaded.catalog).make(name), Processor)
    with pytest.raises(PluginError, match="SIGABRT"):
        loaded.check("aborts")
    monkeypatch.setattr(collecting, "CHECK_LIMIT", 1.0)
    (tmp_path / "duo" / "__init__.py").write_text("while True: pass")
    put(tmp_path, "later", good("later"))
    again = loader.load_again(loaded.catalog)
    assert "echoes" in again.factories["processors"]
    assert not {"fine", "later"} & set(again.factories["processors"])


def test_one_that_hangs_is_given_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "CHECK_LIMIT", 0.3)
    put(tmp_path, "slow", body("def process(self, io):\n    while True: pass"))
    assert failed(loader.load(tmp_path))["slow"] == "its check took longer than 0.3 s"


def test_what_is_bad_is_a_reason_and_the_rest_go_on(tmp_path):
    second = GOOD.replace("class P", "class Q") + HOOK.replace("NAME", "fine").replace("P,", "Q,")
    inputs = accepted.inputs(__file__)
    for n, given in enumerate(inputs):
        kind, _, code = given.partition(": ")
        text = code.replace("HEAD\n", HEAD)
        if kind == "processor":
            both = f'register("bad{n}", P); register("fine{n}", Q)'
            text = body(code, "").replace('register("bad", P, "Doubles it.")', both) + second.partition("@hookimpl")[0]
        put(tmp_path, f"bad{n}", text)
    put(tmp_path, "z_good", good("twice"))
    loaded, reasons = loader.load(tmp_path), {}
    for n, given in enumerate(inputs):
        reasons[given] = re.sub(r"\bbad\d+", "bad", failed(loaded)[f"bad{n}"].replace(str(tmp_path), ""))
        assert (f"fine{n}" in loaded.catalog) is given.startswith("processor")
        assert f"bad{n}" not in loaded.catalog
    assert {"twice", "gain"} <= set(loaded.catalog.types)
    accepted.compare(__file__, reasons.__getitem__)


def test_names_are_taken_once(tmp_path):
    put(tmp_path, "mine", good("gain"))
    put(tmp_path, "other", good("list"))
    put(tmp_path, "antiphon_utilities", good("x"))
    put(tmp_path, "json", good("y"))
    put(tmp_path, "not-python", good("z"))
    (tmp_path / "empty").mkdir()
    loaded = loader.load(tmp_path)
    said = failed(loaded)
    assert "named 'gain' already, of antiphon_utilities" in said["gain"]
    assert loaded.catalog["gain"].plugin == "antiphon_utilities"
    assert "reserved" in said["list"]
    assert "already loaded" in said["antiphon_utilities"]
    assert "another Python module" in said["json"]
    assert "not a Python name" in said["not-python"]
    assert "__init__.py" in said["empty"]
    assert sys.modules["json"].__name__ == "json"


@pytest.mark.parametrize("check", [True, False])
def test_one_bad_kernel_holds_up_no_other(tmp_path, check):
    put(
        tmp_path,
        "mine",
        FUTURE
        + "from antiphon.native.compiling import kernel\nfrom antiphon.native.kernel import f32p, i64\n"
        + "@kernel\ndef same(x: f32p, n: i64) -> None:\n    x[0] = print(n)\n"
        + "class P(Processor):\n    def process(self, io): same(io.audio_out[0], 1)\n"
        + HOOK.replace("NAME", "bad"),
    )
    for number in (1, 2):
        put(
            tmp_path,
            f"k{number}",
            FUTURE
            + "from antiphon.native.compiling import kernel\nfrom antiphon.native.kernel import f32p, i64\n"
            + f"@kernel\ndef same(x: f32p, n: i64) -> None:\n    for i in range(n):\n        x[i] = {number}.0\n"
            + "class P(Processor):\n"
            + "    def process(self, io):\n        for row in io.audio_out[0]: same(row, io.frames)\n"
            + HOOK.replace("NAME", f"k{number}"),
        )
    loaded = loader.load(tmp_path, check=check)
    assert check is False or "print" in failed(loaded)["bad"]
    for number in (1, 2):
        out = run_processor(loaded.make(f"k{number}"), StreamSpec(), np.zeros((2, 300), np.float32))
        assert (out == number).all()


def test_a_kernel_without_its_future_import_says_so(tmp_path):
    put(
        tmp_path,
        "mine",
        HEAD
        + "from antiphon.native.compiling import kernel\nfrom antiphon.native.kernel import i64\n"
        + "@kernel\ndef f(n: i64) -> i64:\n    return n\n",
    )
    assert "from __future__ import annotations" in failed(loader.load(tmp_path))["mine"]


def test_unknown_types_and_broken_factories_are_plugin_errors():
    loaded = loader.load(Path("/nonexistent"))
    with pytest.raises(PluginError, match="the nearest of"):
        loaded.make("no such")
    loaded.factories["processors"]["odd"] = dict
    with pytest.raises(PluginError, match="not a Processor"):
        loaded.make("odd")
    with pytest.raises(PluginError, match="module:Name"):
        importing.resolve("nothing")


class Steps(Processor):
    """Splits where `n` changes; adds notes and reports."""

    split = True
    inputs = (Port("in"), Port("notes", "events"))
    outputs = (Port("out"), Port("notes", "events"))
    params = (Param("n", "int", 0, low=0, high=9), Param("seen", readonly=True))

    def process(self, io):
        io.audio_out[0][:] = float(io.value("n"))
        for event in io.events_in:
            io.emit(Event("off", event.offset, event.number))
        io.report("seen", io.time.sample)


def test_the_harness_splits_and_carries_events_and_reports():
    notes = [Event("on", 5, 60), Event("on", 300, 61)]
    done = render(
        Steps(), StreamSpec(), np.zeros((2, 600), np.float32), {"n": 1}, [(100, "n", 2), (301, "n", 3)], notes=notes
    )
    expected = np.repeat([1, 2, 3], [100, 201, 299])
    np.testing.assert_array_equal(done.audio[0][0], expected)
    assert [(e.offset, e.number) for e in done.events] == [(5, 60), (300, 61)]
    assert done.reports == {"seen": 512}


def test_the_harness_refuses_what_makes_no_sense():
    silence = np.zeros((2, 10), np.float32)
    for bad in ({"blocks": [0]}, {"blocks": [300]}, {"settings": {"x": 1}}, {"events": [(0, "x", 1)]}):
        with pytest.raises(UsageError):
            run_processor(Steps(), StreamSpec(), silence, **bad)


def test_a_reason_is_one_short_line():
    reason = importing.reason_of(ValueError("a\nb" * 4000))
    assert "\n" not in reason
    assert len(reason) < 500


def plugin(name: str, called: list[str]) -> ModuleType:
    module = ModuleType(name)

    @hookimpl
    def antiphon_startup(app: object) -> None:
        called.append(name)

    module.antiphon_startup = antiphon_startup  # type: ignore[attr-defined]
    return module


def test_those_asked_for_are_imported_and_one_that_fails_does_not_keep_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []

    def broken() -> ModuleType:
        raise SystemExit("no")

    def never() -> ModuleType:
        raise AssertionError("imported, and nobody asked for it")

    found = [
        PluginSource("broken", broken),
        PluginSource("other", never),
        PluginSource("twice", never, problem="the name is taken"),
        PluginSource("first", lambda: plugin("first", called)),
        PluginSource("second", lambda: plugin("second", called)),
    ]
    monkeypatch.setattr("antiphon.kernel.plugins.finding.sources", lambda: found)
    failures: list[tuple[str, str]] = []
    dispatcher = import_plugins(
        {"broken", "twice", "first", "second"}, lambda name, error: failures.append((name, repr(error)))
    )
    assert failures == [("broken", "SystemExit('no')")]
    assert dispatcher.call("antiphon_startup", app=None) == ()
    assert called == ["first", "second"]
