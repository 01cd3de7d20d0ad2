"""Registers all commands. Their modules import slow modules inside functions."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command_name
from typer.models import CommandInfo

from antiphon.cli.examples import give_examples
from antiphon.cli.plugin_commands import CommandGroup, give_short_helps

COMMANDS = {
    "serve": "serve:serve",
    "play": "play:play",
    "live": "live:live",
    "eval": "evaluate:evaluate",
    "words": "words:words",
    "paste": "files.paste:paste",
    "rehearse": "files.rehearse:rehearse",
    "run": "files.run:run",
    "render": "files.render:render",
    "replay": "files.replay:replay",
    "surface": "files.surface:surface",
    "osc": "osc:osc",
    "monitor": "monitor:monitor",
    "status": "status:status",
    "repl": "repl.command:repl",
    "patches": "patches:patches",
    "sets": "patches:sets",
    "plugins": "plugins:plugins",
    "new-plugin": "newplugin:new_plugin",
    "models": "models:models",
    "devices": "devices:devices",
    "doctor": "doctor:doctor",
    "bench": "bench:register",
    "surfaces": "approve:register",
    "approve": "approve:register",
    "forget": "approve:register",
    "qr": "qr:register",
    "page": "page:page",
}
"""Commands, in the order of the help page, and where each is: a function, or what adds it, `register` among others."""
_OPTIONS = {
    "serve": {"cls": "serve_options:ServeCommand"},
    "run": {"cls": "files.run_help:RunCommand"},
    "render": {"cls": "synthhelp:SynthCommand"},
    "osc": {"context_settings": "osc:CONTEXT"},
}
"""What typer is given with a command, and where that is."""
WIDTH = 100
"""Columns of a help page at most: longer lines are hard to read, and the library's own 80 breaks most sentences."""


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """The whole command line, with `--version` and the shell completion that typer brings.

    `arguments`: what was typed: if it begins with the name of a command, that is the only one in the result, because
    typer builds all of them before it runs one, which takes longer than most take to run.
    """
    app = typer.Typer(
        name="antiphon",
        cls=CommandGroup,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"max_content_width": WIDTH},
    )
    app.callback()(_antiphon)
    register(app, arguments[0] if arguments else "")
    if arguments:
        _leave_only(app, arguments[0])
    return app


def _leave_only(app: typer.Typer, name: str) -> None:
    commands = [known for known in app.registered_commands if _name(known) == name]
    groups = [
        group for group in app.registered_groups if group.typer_instance and group.typer_instance.info.name == name
    ]
    if commands or groups:
        app.registered_commands, app.registered_groups = commands, groups


def _name(command: CommandInfo) -> str:
    return command.name or get_command_name(command.callback.__name__ if command.callback else "")


def register(app: typer.Typer, name: str = "") -> None:
    """Adds every command, or of those in `COMMANDS` the one of that name: the modules of others are not imported."""
    places = {name: COMMANDS[name]} if name in COMMANDS else COMMANDS
    for place in dict.fromkeys(places.values()):
        found = _at(place)
        match place.partition(":")[2]:
            case "register":
                found(app)
            case "application":
                app.add_typer(found())
            case _:
                (own,) = (known for known, where in COMMANDS.items() if where == place)
                app.command(own, **{option: _at(where) for option, where in _OPTIONS.get(own, {}).items()})(found)
    give_short_helps(app)
    give_examples(app)


def _at(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"antiphon.cli.{module}"), attribute)


def _version(asked: bool) -> None:
    if asked:
        from antiphon import __version__

        typer.echo(f"antiphon {__version__}")
        raise typer.Exit


def _antiphon(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A live audio server: processes and synthesises sound, controlled over OSC."""
