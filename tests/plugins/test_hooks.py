"""Each hook, called as the server calls it, by plugins made on the spot."""

from types import ModuleType

import typer
from typer.testing import CliRunner

from antiphon.contract.hookspecs import hookimpl
from antiphon.contract.processor import Processor
from antiphon.plugins import loader


class Quiet(Processor):
    """Makes silence."""

    def process(self, io):
        io.audio_out[0][:] = 0.0


def module(**hooks):
    made = ModuleType("made_up")
    for name, function in hooks.items():
        setattr(made, name, hookimpl(function, specname=name))
    return made


def loaded(*modules):
    loading = loader.PluginLoading(check=True)
    for number, one in enumerate(modules):
        loading.add(f"plugin{number}", lambda one=one: one)
    done = loading.loaded()
    assert not done.catalog.failures
    return done


def test_hook_antiphon_processors():
    def antiphon_processors(register):
        register("quiet", Quiet)

    made = loaded(module(antiphon_processors=antiphon_processors))
    assert made.catalog["quiet"].plugin == "plugin0"
    assert made.catalog["quiet"].doc == "Makes silence."
    assert isinstance(made.make("quiet"), Quiet)


def registered(kind):
    def hook(register):
        register("thing", lambda: kind, "A thing.")

    made = loaded(module(**{f"antiphon_{kind}": hook}))
    return made.factories[kind]["thing"]()


def test_hook_antiphon_synths():
    assert registered("synths") == "synths"


def test_hook_antiphon_models():
    assert registered("models") == "models"


def test_hook_antiphon_trainings():
    assert registered("trainings") == "trainings"


def test_hook_antiphon_evaluations():
    assert registered("evaluations") == "evaluations"


def test_hook_antiphon_transports():
    assert registered("transports") == "transports"


def test_hook_antiphon_commands():
    def antiphon_commands(cli):
        @cli.command("wobble")
        def wobble():
            typer.echo("wobbled")

    cli = typer.Typer()

    @cli.command("other")
    def other(): ...

    assert loaded(module(antiphon_commands=antiphon_commands)).call("antiphon_commands", cli=cli) == ()
    assert CliRunner().invoke(cli, ["wobble"]).stdout == "wobbled\n"


def test_hook_antiphon_routes():
    class Http(list):
        def add(self, *route):
            self.append(route)

    http = Http()
    loaded(module(antiphon_routes=lambda http: http.add("GET", "/plugins/x", print))).call("antiphon_routes", http=http)
    assert http == [("GET", "/plugins/x", print)]


async def test_hook_antiphon_startup():
    app = []

    async def later(app):
        app.append("async")

    def plain(app):
        app.append("plain")

    assert (
        await loaded(module(antiphon_startup=later), module(antiphon_startup=plain)).acall("antiphon_startup", app=app)
        == ()
    )
    assert sorted(app) == ["async", "plain"]


async def test_hook_antiphon_shutdown():
    app = []

    async def breaks(app):
        raise OSError("the lamp is gone")

    def goes_on(app):
        app.append("closed")

    made = loaded(module(antiphon_shutdown=breaks), module(antiphon_shutdown=goes_on))
    (failure,) = await made.acall("antiphon_shutdown", app=app)
    assert failure.name == "plugin0"
    assert "the lamp is gone" in failure.reason
    assert app == ["closed"]


def test_hook_antiphon_event():
    seen = []

    def breaks(event):
        raise ValueError("no")

    made = loaded(module(antiphon_event=lambda event: seen.append(event)), module(antiphon_event=breaks))
    failures = made.call("antiphon_event", app=None, event={"kind": "patch"})
    assert seen == [{"kind": "patch"}]
    assert [f.name for f in failures] == ["plugin1"]
