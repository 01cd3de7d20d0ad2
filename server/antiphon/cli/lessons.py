"""`antiphon lessons` checks the lessons of the page; `antiphon learn` opens the page at them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
from click.exceptions import Exit

from antiphon.cli.command import CommandGroup
from antiphon.client.finding import find_server
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.settings import ServeSettings

ROOM = "learn"


def register(app: CommandGroup) -> None:
    """Adds `list` and `check`."""
    from antiphon.cli.plugin_commands import command_group

    group = command_group("lessons", "List and check the lessons of the page.")
    group.command("list")(listed)
    group.command("check")(check)
    app.add_command(group)


def listed() -> None:
    """List the lessons by path."""
    from antiphon.lessons.lessons import PATHS, lessons

    for path, title in PATHS.items():
        click.echo(f"{path}  {title}")
        for one in lessons():
            if one.head.path == path:
                click.echo(f"  {one.name}  {one.head.title}")


def check(
    files: Annotated[
        list[Path] | None, argument("Lessons; without any those that ship.", "[FILE.md]…", placed=True)
    ] = None,
) -> None:
    """Check lessons: solutions pass, starts do not, and wrong tries get their answers. Exit code 1: one fails."""
    from antiphon.lessons.lessons import lessons, problems, read_lesson

    found = [read_lesson(file) for file in files] if files else lessons()
    wrong = 0
    for one in found:
        for problem in problems(one):
            wrong += 1
            click.echo(f"{one.head.path}/{one.name}: {problem}")
    click.echo(f"{len(found)} lessons, {wrong} faults" if wrong else f"{len(found)} lessons, all can be learned from")
    if wrong:
        raise Exit(1)


def learn(
    server: Annotated[ServeSettings, ("http_port", "osc_port", "audio")],
    no_open: Annotated[bool, argument("Print the address alone.")] = False,
) -> None:
    """Open the page at its lessons, on your running server, or on one started here. Ctrl-C ends the latter."""
    found = find_server(server)
    if found is not None:
        from antiphon.cli.running.page import show_page

        show_page(found, ROOM, opens=not no_open)
        return
    from antiphon.cli.errors import termination_signals
    from antiphon.cli.serve import check_ports_free, run

    asked = server.with_(patch="band", live=True, mute_input=server.audio != "headless").check()
    check_ports_free(asked)
    with termination_signals(ctrl_c=False):
        run(asked, opens=not no_open, room=ROOM)
