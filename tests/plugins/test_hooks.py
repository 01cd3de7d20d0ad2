"""Every hook, by an installed plugin and one in the performer's folder: the loader, a server, the command line."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.cli.conftest import Command, Done, in_process
from tests.waiting import until
from tools.osc_reference import markdown

from antiphon.cli import help_page
from antiphon.kernel.contract import hookspecs
from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.hookspecs import hookimpl
from antiphon.kernel.control import hooks as server_hooks
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.plugins import hook_lists, loader
from antiphon.kernel.plugins.dispatcher import HookDispatcher
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.operations.lists import ask, shared_operations
from antiphon.operations.shared import add_operation_addresses
from antiphon_bench.rig import ServerProcess

LOG = "ANTIPHON_TEST_HOOKS_LOG"
INSTALLED, OWN, PLAYS, BREAKS = "antiphon_wobble", "wabble", "plays_only", "breaks"
NAMES = {INSTALLED: "wobble", OWN: "wabble"}
"""By plugin, what it registers everything under."""

HEAD = f"""
import os, sys
import click
from antiphon.kernel.contract.hookspecs import hookimpl

def note(what):
    with open(os.environ["{LOG}"], "a") as file:
        file.write(f"{{__name__}} {{what}}\\n")

def here():
    for name in ("control", "web"):
        if any(word.startswith("antiphon.") and word.endswith("." + name + ".process") for word in sys.orig_argv):
            return name
    return "elsewhere"

note(f"imported {{here()}}")
"""
REGISTERING = [
    "antiphon_synths",
    "antiphon_models",
    "antiphon_trainings",
    "antiphon_evaluations",
    "antiphon_analyses",
    "antiphon_services",
]
"""Hooks that register a factory by a name alone."""
EVERY = (
    HEAD
    + "".join(
        f'\n@hookimpl\ndef {hook}(register):\n    register("NAME", lambda: "{hook[9:]}")\n' for hook in REGISTERING
    )
    + """
from antiphon.web.http_message import text

@hookimpl
def antiphon_processors(register):
    register("NAME", __name__ + ".parts:Quiet", "Silence.")

@hookimpl
def antiphon_benches(register):
    from antiphon_bench.entry import Bench
    def run(asked):
        click.echo(f"NAME measured {asked.seconds:g}")
    register("NAME", lambda: Bench(run, lambda asked: 5.0))

@hookimpl
def antiphon_transports(register):
    register("NAME", __name__ + ".parts:Line", "Notes that it runs.")

@hookimpl
def antiphon_commands(cli):
    @cli.command("NAME")
    def command(times: int = 1):
        \"\"\"Wobble a number of times.\"\"\"
        click.echo("NAME " * times)

@hookimpl
def antiphon_routes(http):
    http.add("GET", "/plugins/NAME", lambda request: text("NAME here"))

    async def turn(request):
        http.control.send("/node/gain/gain", 0.25)
        nodes = {item.node.name: item.values for item in await http.control.nodes()}
        status = await http.control.status()
        return text(f"in {here()}, {nodes['gain']['wet']}, {status['patch']}")

    http.add("GET", "/plugins/NAME/turn", turn)

@hookimpl
def antiphon_addresses(osc):
    from antiphon.kernel.session.commands import SetParam

    def shake(request):
        times, *rest = request.args
        if rest == ["wet"]:
            return SetParam("gain", "wet", 1 / times)
        request.reply("/NAME/shaken", times)

    osc.add("/NAME/shake", "i:times [s:what]", shake, "Shakes, or sets wet.")

@hookimpl
def antiphon_operations(operations):
    pass

@hookimpl
async def antiphon_startup(app):
    note(f"startup {type(app).__name__}")

@hookimpl
async def antiphon_shutdown():
    note("shutdown")

@hookimpl
def antiphon_event(event):
    note(f"event {event['kind']}")
"""
)
PARTS = """
import numpy as np
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.session.transport import Transport

class Quiet(Processor):
    def process(self, io):
        io.audio_out[0][:] = 0.0

class Line(Transport):
    async def start(self, server):
        from PLUGIN import note
        note("transport started")
    def stop(self):
        from PLUGIN import note
        note("transport stopped")
"""
ONE_PROCESSOR = (
    HEAD
    + """
@hookimpl
def antiphon_processors(register):
    register("plays", "antiphon_utilities.mix:Gain", "As gain.")
"""
)
LEVELS = """
from typing import Annotated
from msgspec import Struct
from antiphon.api import hookimpl
from antiphon.api.backends.runtime import Request, argument

class Levels(Request):
    \"\"\"Gives the mean of levels.\"\"\"

    levels: Annotated[tuple[float, ...], argument("Levels in dB.", placed=True)] = ()
    most: Annotated[int, argument("Levels that are taken.")] = 8

class Mean(Struct):
    mean: float

@hookimpl
def antiphon_operations(operations):
    take = lambda asked: Mean(sum(asked.levels[: asked.most]) / len(asked.levels))
    operations.add("levels mean", Levels, take, Mean, example={"levels": [-6, -12]})
"""
OFFERS = (
    HEAD
    + """
from typing import Annotated
from msgspec import Struct
from antiphon.api.backends.runtime import argument
from antiphon.api.backends.runtime import Request

class Count(Request):
    'Counts a letter in words.'
    letter: Annotated[str, argument("A letter.")]
    most: Annotated[int, argument("The most that is told.", low=1, high=9, unit="letters")] = 5
    words: Annotated[tuple[str, ...], argument("Words.")] = ()

class Counted(Struct):
    found: int
    by_word: list[int]

def count(asked):
    each = [word.count(asked.letter) for word in asked.words]
    return Counted(min(asked.most, sum(each)), each)

@hookimpl
def antiphon_operations(operations):
    lines = lambda told: [f"{told.found}!"]
    operations.add("offers count", Count, count, Counted, example={"letter": "a"}, lines=lines)
"""
)
RAISES = (
    HEAD
    + """
@hookimpl
def antiphon_routes(http):
    raise OSError("no road")

@hookimpl
async def antiphon_startup(app):
    raise OSError("the lamp is gone")

@hookimpl
def antiphon_event(app, event):
    raise OSError("no event")

@hookimpl
def antiphon_commands(cli):
    raise OSError("no orders")
"""
)


def write(folder: Path, plugin: str, text: str) -> None:
    (folder / plugin).mkdir(parents=True)
    (folder / plugin / "__init__.py").write_text(text)


def write_every(folder: Path, plugin: str) -> None:
    write(folder, plugin, EVERY.replace("NAME", NAMES[plugin]))
    (folder / plugin / "parts.py").write_text(PARTS.replace("PLUGIN", plugin))


def installed(site: Path) -> None:
    """A package with an entry point, as an installer leaves it; its module follows the custom antiphon_NAME."""
    write_every(site, INSTALLED)
    info = site / "wobble-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wobble\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[antiphon]\nwobble = {INSTALLED}\n")


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


@dataclass(frozen=True)
class Place:
    """site: where packages are installed.  own: the performer's folder.  log: what the plugins noted."""

    site: Path
    own: Path
    log: Path


@contextmanager
def home(folder: Path) -> Iterator[Place]:
    """An empty home, and a folder on the path in which packages may be installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTIPHON_HOME", str(folder / "home"))
        patch.setenv(LOG, str(folder / "log"))
        patch.setenv("COLUMNS", "200")
        (folder / "site").mkdir()
        patch.syspath_prepend(folder / "site")
        yield Place(folder / "site", paths.plugins(), folder / "log")
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with home(tmp_path) as made:
        yield made


# ---- the loader


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> loader.Loaded:
    """Both plugins, loaded."""
    with home(tmp_path_factory.mktemp("loaded")) as place:
        installed(place.site)
        write_every(place.own, OWN)
        return loader.load(check=False)


@pytest.mark.parametrize("plugin", NAMES)
def test_hook_antiphon_processors(loaded: loader.Loaded, plugin: str) -> None:
    assert loaded.catalog[NAMES[plugin]].plugin == plugin
    assert loaded.catalog[NAMES[plugin]].doc == "Silence."


@pytest.mark.parametrize("name", NAMES.values())
@pytest.mark.parametrize("hook", REGISTERING)
def test_a_hook_that_registers(loaded: loader.Loaded, hook: str, name: str) -> None:
    kind = hook.removeprefix("antiphon_")
    assert loaded.factories[kind][name]() == kind


def test_the_catalog_says_which_hooks_each_has(loaded: loader.Loaded) -> None:
    assert loaded.catalog.failures == ()
    hooks = tuple(sorted(name for name in vars(hookspecs) if name.startswith("antiphon_")))
    assert [loaded.catalog.hooks[plugin] for plugin in NAMES] == [hooks, hooks]
    assert loaded.catalog.from_json(loaded.catalog.to_json()) == loaded.catalog


# ---- a server


@dataclass(frozen=True)
class Served:
    """What one server did. answers: by plugin, its route's.  before, noted: lines before the end, and all of them."""

    answers: dict[str, str]
    before: list[str]
    noted: list[str]
    said: str
    turned: dict[str, str]
    gain: float
    shaken: dict[str, tuple[Any, ...]]
    offered: dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("hooks")
    site, log, own = folder / "site", folder / "log", folder / "data" / "plugins"
    installed(site)
    write_every(own, OWN)
    write(own, PLAYS, ONE_PROCESSOR)
    write(own, BREAKS, RAISES)
    write(own, "offers", OFFERS)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    options = ("--audio", "headless", "--patch", "through", "--synth", "null")
    with ServerProcess(*options, home=folder, env={LOG: str(log), "PYTHONPATH": path}) as server:
        server.send("/node/add", "quiet", "wobble")
        server.sync()
        until(lambda: all(f"{plugin} event patch" in lines(log) for plugin in NAMES), 10.0, "the event")

        def fetch(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.http}{path}", timeout=300) as answer:
                return str(answer.read().decode())

        answers = {plugin: fetch(f"/plugins/{name}").strip() for plugin, name in NAMES.items()}
        turned = {plugin: fetch(f"/plugins/{name}/turn") for plugin, name in NAMES.items()}
        server.sync()
        gain = server.ask("/node/gain/gain")[1][0]
        shaken = {}
        for name in NAMES.values():
            asked = [server.ask(f"/{name}/shake", *args)[1] for args in ((3.0,), ("loud",), ())]
            server.send(f"/{name}/shake", 4, "wet")
            server.sync()
            asked.append(server.ask("/node/gain/wet")[1])
            server.send("/node/gain/wet", 1.0)
            shaken[name] = (*asked, fetch(f"/{name}/shake"))
        offered: dict[str, Any] = {"osc": server.ask("/offers/count", "a", 3, "banana", "b")}
        offered["many"] = server.ask("/offers/count", "a", 10)
        for what, body in (("http", {"letter": "a", "words": ["banana"]}), ("wrong", {"letter": "a", "most": 10})):
            offered[what] = posted(f"http://127.0.0.1:{server.http}/api/offers/count", body, folder)
        offered["document"] = json.loads(fetch("/api/openapi.json"))["paths"]["/api/offers/count"]["post"]
        before = lines(log)
        assert server.stop(signal.SIGINT) == 0
        return Served(answers, before, lines(log), server.standard_error(), turned, gain, shaken, offered)


def posted(url: str, body: Any, folder: Path) -> Any:
    """The JSON of an answer to the owner."""
    token = (folder / "config" / "token").read_text().strip()
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


@pytest.mark.parametrize("plugin", NAMES)
def test_hook_antiphon_routes(served: Served, plugin: str) -> None:
    assert served.answers[plugin] == f"{NAMES[plugin]} here"


@pytest.mark.parametrize("plugin", NAMES)
def test_a_route_runs_in_the_web_process_and_reaches_control(served: Served, plugin: str) -> None:
    assert served.turned[plugin] == "in web, 1.0, Through"
    assert served.gain == 0.25


@pytest.mark.parametrize("name", NAMES.values())
def test_hook_antiphon_addresses(served: Served, loaded: loader.Loaded, name: str) -> None:
    answer, wrong, missing, wet, described = served.shaken[name]
    assert answer == [3]
    assert wrong == [f"/{name}/shake", "times takes a whole number, not 'loud'"]
    assert missing == [f"/{name}/shake", f"times is missing; write /{name}/shake TIMES [WHAT]"]
    assert wet == [0.25]
    entry = json.loads(described)
    assert (entry["TYPE"], entry["DESCRIPTION"]) == ("i", "Shakes, or sets wet.")
    assert f"- `/{name}/shake i:times [s:what]` (owner): Shakes, or sets wet.\n" in markdown(loaded.catalog)


@pytest.mark.parametrize("path", ["/other/shake", "/wobble", "/wobble/*", "wobble/shake"])
def test_an_address_that_is_not_the_plugins_own_is_refused(path: str) -> None:
    with pytest.raises(PluginError, match="begins with /wobble/"):
        AddressList("antiphon_wobble").add(path, "", print, "Shakes.")


def test_an_operation_with_a_wrong_address_fails_alone(tmp_path: Path) -> None:
    text = """
import msgspec
from antiphon.api import hookimpl
class Asked(msgspec.Struct):
    \"\"\"Puts.\"\"\"
@hookimpl
def antiphon_operations(operations):
    operations.add("shelf put", Asked, print, dict)
"""
    folder = tmp_path / "shelves"
    folder.mkdir()
    (folder / "__init__.py").write_text(text)
    (failure,) = (each for each in loader.load(tmp_path).catalog.failures if each.name == "shelves")
    assert "begins with /shelves/" in failure.reason
    hooks = HookDispatcher()
    module = ModuleType("shelves")
    exec(text, module.__dict__)
    hooks.add("shelves", module)
    osc = AddressList("shelves")
    (failure,) = add_operation_addresses(hooks, osc)
    assert (failure.name, osc.added) == ("shelves", [])


@pytest.mark.parametrize("args", ["times", "q:times", "[i:times] s:what", "i:times… s:what"])
def test_arguments_that_cannot_be_written_so_are_refused(args: str) -> None:
    with pytest.raises(PluginError, match="are written as s:name"):
        AddressList("wobble").add("/wobble/shake", args, print, "Shakes.")


@pytest.mark.parametrize("plugin", NAMES)
def test_hook_antiphon_startup(served: Served, plugin: str) -> None:
    assert f"{plugin} startup ControlApp" in served.before


@pytest.mark.parametrize("plugin", NAMES)
def test_hook_antiphon_event(served: Served, plugin: str) -> None:
    assert f"{plugin} event patch" in served.before


@pytest.mark.parametrize("plugin", NAMES)
def test_hook_antiphon_shutdown(served: Served, plugin: str) -> None:
    assert f"{plugin} shutdown" not in served.before
    assert f"{plugin} shutdown" in served.noted


@pytest.mark.parametrize("plugin", NAMES)
def test_hook_antiphon_transports(served: Served, plugin: str) -> None:
    noted = served.noted
    assert noted.index(f"{plugin} startup ControlApp") < noted.index(f"{plugin} transport started")
    assert f"{plugin} transport started" in served.before
    assert noted.index(f"{plugin} transport stopped") < noted.index(f"{plugin} shutdown")


def test_one_that_raises_is_named_and_the_others_go_on(served: Served) -> None:
    assert f"plugin {BREAKS}: antiphon_routes: OSError: no road (__init__.py, line " in served.said
    assert f"plugin {BREAKS}: antiphon_startup: OSError: the lamp is gone" in served.said
    assert f"plugin {BREAKS}: antiphon_event: OSError: no event" in served.said


def test_control_imports_what_has_a_hook_for_it(served: Served) -> None:
    found = {line.split()[0] for line in served.noted if line.endswith("imported control")}
    assert found == {INSTALLED, OWN, BREAKS, "offers"}
    assert {line.split()[0] for line in served.noted if line.endswith("imported web")} == found
    assert f"{PLAYS} imported elsewhere" in served.noted


# ---- the command line


@pytest.fixture
def antiphon(place: Place, capsys: pytest.CaptureFixture[str]) -> Command:
    return in_process(capsys)


def test_hook_antiphon_commands(antiphon: Command, place: Place) -> None:
    installed(place.site)
    write_every(place.own, OWN)
    for name in NAMES.values():
        assert antiphon(name, "--times", "2") == Done(0, f"{name} {name} \n", "")
    page = antiphon("--help")
    assert "  wobble      Wobble a number of times.\n" in page.out
    assert page.err == ""
    assert antiphon("wobble", "--help").out.startswith("Usage: antiphon wobble")
    assert "No such command 'wibble'. (Did you mean one of: 'wabble', 'wobble'?)" in antiphon("wibble").complaint


REFUSED = "most takes 1 to 9 letters, not 10"
"""One sentence at every door, in which an option has its dashes on the command line."""


def test_hook_antiphon_operations(served: Served, antiphon: Command, place: Place) -> None:
    assert served.offered["osc"] == ("/offers/count.reply", [3, 3, 0])
    assert served.offered["many"][1] == ["/offers/count", REFUSED]
    assert served.offered["http"] == {"found": 3, "by_word": [3]}
    assert served.offered["wrong"] == {"error": REFUSED}
    assert served.offered["document"]["summary"] == "Counts a letter in words."
    write(place.own, "offers", OFFERS)
    assert antiphon("offers", "count", "a", "--words", "banana") == Done(0, "3!\n", "")
    assert json.loads(antiphon("offers", "count", "a", "--json").out) == {"found": 0, "by_word": []}
    assert antiphon("offers", "count", "a", "--most", "10").complaint == f"--{REFUSED}"
    assert "The most that is told. 1 to 9 letters." in " ".join(antiphon("offers", "count", "--help").out.split())
    assert ask("offers count", letter="a", words=["banana"]).by_word == [3]
    with pytest.raises(UsageError, match=REFUSED):
        ask("offers count", letter="a", most=10)
    assert [one.osc.arguments for one in shared_operations().values()][-1] == "s:letter [i:most] [s:words]…"


def test_numbers_of_an_operation_are_numbers_on_the_command_line_too(antiphon: Command, place: Place) -> None:
    write(place.own, "levels", LEVELS)
    assert antiphon("levels", "mean", "-6", "-12", "--most", "9") == Done(0, '{"mean":-9.0}\n', "")
    assert antiphon("levels", "mean", "6", "x").complaint == "levels takes a number, not 'x'"
    assert antiphon("levels", "mean", "6", "--least", "1").complaint == "levels takes a number, not '--least'"


def test_hook_antiphon_benches(antiphon: Command, place: Place) -> None:
    installed(place.site)
    write_every(place.own, OWN)
    for name in NAMES.values():
        done = antiphon("bench", name, "--seconds", "3")
        assert (done.code, done.out) == (0, f"{name} measured 3\n")
        assert done.err == f"bench {name} takes about 0 s on two idle cores\n"
    page = " ".join(antiphon("bench", "--help").out.split())
    assert all(f", {name}" in page for name in NAMES.values())
    assert "there is no bench 'wibble'; did you mean wobble or wabble?" in antiphon("bench", "wibble").complaint


def test_one_without_commands_is_imported_again_only_when_its_files_change(antiphon: Command, place: Place) -> None:
    write(place.own, PLAYS, ONE_PROCESSOR)
    antiphon("--help")
    assert len(lines(place.log)) == 1
    antiphon("--help")
    assert len(lines(place.log)) == 1
    (file,) = paths.cache().glob(f"{hook_lists.NAME}-*")
    (place.own / PLAYS / "__init__.py").write_text(EVERY.replace("NAME", "plays"))
    assert antiphon("plays").out == "plays \n"
    file.write_text("not JSON")
    assert antiphon("plays").out == "plays \n"


def test_the_help_page_is_kept_and_nonsense_in_its_file_is_as_none(place: Place) -> None:
    def helped() -> tuple[str, set[str]]:
        program = "import sys; from antiphon.cli import main; sys.argv[1:] = ['--help']; main()"
        line = [sys.executable, "-X", "importtime", "-c", program]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return done.stdout, {row.split("|")[-1].strip() for row in done.stderr.splitlines()}

    page, imported = helped()
    assert "click" in imported
    (file,) = paths.cache().glob(f"{help_page.NAME}-*")
    again, imported = helped()
    assert again == page
    assert not imported & {"click", "msgspec", "numpy", "subprocess", "inspect"}
    for nonsense in ("5", "[1]", json.dumps([json.loads(file.read_bytes())[0], 5])):
        file.write_text(nonsense)
        assert helped()[0] == page
    write_every(place.own, OWN)
    assert helped()[0] != page


def test_one_whose_commands_raise_is_named_and_the_others_work(antiphon: Command, place: Place) -> None:
    write(place.own, BREAKS, RAISES)
    write(place.own, "broken", "1 / 0")
    write(place.own, "gone", "import os\nos._exit(7)")
    write_every(place.own, OWN)
    done = antiphon("wabble")
    assert (done.code, done.out) == (0, "wabble \n")
    assert done.err.count("\n") == 3
    assert "antiphon: plugin breaks: antiphon_commands: OSError: no orders (__init__.py, line " in done.err
    assert "antiphon: plugin broken: ZeroDivisionError: division by zero (__init__.py, line 1)" in done.err
    assert "antiphon: plugin gone: its check ended the process with exit status 7" in done.err


def test_a_command_takes_nobodys_name(antiphon: Command, place: Place) -> None:
    clash = HEAD + "@hookimpl\ndef antiphon_commands(cli):\n"
    for name in ("serve", "wabble"):
        clash += f"    @cli.command('{name}')\n    def {name}():\n        click.echo('mine')\n"
    write_every(place.own, OWN)
    write(place.own, "zzz", clash)
    done = antiphon("wabble")
    assert done.out == "wabble \n"
    assert "plugin zzz: antiphon_commands: the command 'serve' is Antiphon's own; choose another name" in done.err
    assert "plugin zzz: antiphon_commands: the command 'wabble' is another plugin's; choose another name" in done.err
    assert antiphon("serve", "--help").out.startswith("Usage: antiphon serve")


# ---- the dispatcher


def dispatcher(**hooks: Callable[..., object]) -> HookDispatcher:
    """hooks: by plugin, its antiphon_event."""
    made = HookDispatcher()
    for plugin, function in hooks.items():
        module = ModuleType(plugin)
        vars(module)["antiphon_event"] = hookimpl(function, specname="antiphon_event")
        made.add(plugin, module)
    return made


def test_what_raises_is_counted() -> None:
    seen: list[dict[str, str]] = []

    def breaks(event: dict[str, str]) -> None:
        raise ValueError("no")

    made = dispatcher(bad=breaks, good=lambda event: seen.append(event))
    for number in (1, 2):
        (failure,) = made.call("antiphon_event", app=None, event={"kind": "patch"})
        assert failure.name == "bad"
        assert failure.reason.startswith("antiphon_event: ValueError: no")
        assert len(seen) == made.count["bad", "antiphon_event"] == number


def test_event_hook_raises_again_log_counts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def breaks(event: dict[str, str]) -> None:
        raise ValueError("no")

    monkeypatch.setattr(server_hooks, "EVENT_LOG_SECONDS", 0.0)
    made, served = dispatcher(bad=breaks), server_hooks.ServerHooks(Catalog(), ServeSettings(), fresh=True)
    for _ in range(2):
        served._event(made, None, {"kind": "patch"})
    assert [" 2 times" in line for line in caplog.messages] == [False, True]


def test_an_async_hook_where_nothing_waits_is_refused() -> None:
    async def later(event: dict[str, str]) -> None: ...

    (failure,) = dispatcher(late=later).call("antiphon_event", app=None, event={})
    assert "make it a plain function" in failure.reason


def test_one_that_does_not_fit_leaves_nothing_behind() -> None:
    made = HookDispatcher()
    bad = ModuleType("bad")
    vars(bad)["antiphon_event"] = hookimpl(lambda wrong: None, specname="antiphon_event")
    with pytest.raises(PluginError, match="wrong"):
        made.add("bad", bad)
    with pytest.raises(PluginError, match="no hook"):
        made.add("empty", ModuleType("empty"))
    assert made.implemented == {}
    assert made.call("antiphon_event", app=None, event={}) == ()
