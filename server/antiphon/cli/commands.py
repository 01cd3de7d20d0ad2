"""Registers all commands. Their modules import slow modules inside functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command_name
from typer.models import CommandInfo

from antiphon.cli.examples import give_examples
from antiphon.cli.plugin_commands import CommandGroup, give_short_helps

WIDTH = 100
"""Columns of a help page at most: longer lines are hard to read, and the library's own 80 breaks most sentences."""


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """The whole command line, with `--version` and the shell completion that typer brings.

    Args:
        arguments: What was typed: if it begins with the name of a command, that is the only one in the result, because
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
    register(app)
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


def register(app: typer.Typer) -> None:
    """Adds every command."""
    from antiphon.cli import (
        approve,
        bench,
        deploy,
        devices,
        doctor,
        evaluate,
        live,
        models,
        monitor,
        newplugin,
        osc,
        patches,
        play,
        plugins,
        qr,
        serve,
        status,
        synthhelp,
    )
    from antiphon.cli.files import render, replay, run, run_help, surface
    from antiphon.cli.library import commands as library
    from antiphon.cli.repl import command as repl

    app.command(cls=synthhelp.ServeCommand)(serve.serve)
    app.command()(play.play)
    app.command()(live.live)
    app.command("eval")(evaluate.evaluate)
    app.command(cls=run_help.RunCommand)(run.run)
    app.command(cls=synthhelp.SynthCommand)(render.render)
    app.command()(replay.replay)
    app.command()(surface.surface)
    app.add_typer(library.application())
    app.add_typer(deploy.application())
    app.command(context_settings=osc.CONTEXT)(osc.osc)
    app.command()(monitor.monitor)
    app.command()(status.status)
    app.command()(repl.repl)
    patches.register(app)
    plugins.register(app)
    app.command("new-plugin")(newplugin.new_plugin)
    models.register(app)
    app.command()(devices.devices)
    app.command()(doctor.doctor)
    bench.register(app)
    approve.register(app)
    qr.register(app)
    give_short_helps(app)
    give_examples(app)


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
