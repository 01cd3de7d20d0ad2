"""`antiphon doctor`."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli.option_records import Json
from antiphon.cli.terminal.progress import Role, style_text
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.settings import ServeSettings

WIDTH = 8
"""Column width of a finding's state."""
ROLES: dict[str, Role] = {"works": "good", "limited": "warn", "missing": "faint", "broken": "bad"}


def doctor(
    loopback: Annotated[bool, argument("Measure the round trip: connect the output to the input first.")] = False,
    *,
    server: Annotated[ServeSettings, ("audio", "input", "output", "rate", "block", "ahead")],
    as_json: Json = False,
) -> None:
    """Show what works on this machine, what does not, and the command that fixes it. Exit 1 if Antiphon cannot work.

    --audio, --input, --output, --rate, --block and --ahead are of --loopback, as of serve.
    """
    if loopback:
        if as_json:
            raise UsageError("--loopback has no --json; leave one of them out")
        _loopback(server.check())
        return
    from antiphon.cli.transports import transports
    from antiphon.doctor import machine, software, sound
    from antiphon.doctor.machine import findings, lines

    broken, every = False, []
    checks = [transport.findings for _, transport in transports()]
    for finding in findings((*software.CHECKS, sound.checks, *checks, *machine.CHECKS)):
        broken = broken or finding.state == "broken"
        every.append({"subject": finding.subject, "state": finding.state, "said": finding.text, "mend": finding.mend})
        for line in () if as_json else lines(finding):
            typer.echo(f"{style_text(line[:WIDTH], ROLES[finding.state])}{line[WIDTH:]}")
    own = _own_pip()
    if own and not as_json and any(str(one["mend"]).startswith("pip ") for one in every):
        typer.echo(f"pip of this installation: {own}")
    if as_json:
        typer.echo(json.dumps({"works": not broken, "findings": every}))
    elif broken:
        typer.echo("broken: see above")
    else:
        typer.echo("Antiphon works here; antiphon doctor --loopback measures its latency")
    if broken:
        raise typer.Exit(1)


def _own_pip() -> str:
    """Path of this installation's pip, from here; "" where it is the one that a shell finds."""
    own = Path(sys.executable).with_name("pip")
    if not own.is_file() or own == Path(shutil.which("pip") or ""):
        return ""
    return os.path.relpath(own) if own.is_relative_to(Path.cwd()) else str(own)


def _loopback(settings: ServeSettings) -> None:
    from antiphon.doctor.loopback import in_child, keep, report

    typer.echo("five short bursts of noise go out at -12 dBFS; take headphones off")
    trip = in_child(settings)
    for line in report(trip):
        typer.echo(line)
    if trip.frames < 0:
        raise typer.Exit(1)
    if name := keep(trip, settings):
        typer.echo(f"kept: echo_cancel begins with this delay where {name} plays")
