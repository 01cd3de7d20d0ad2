"""`antiphon doctor` shows what works on this machine, `antiphon devices` lists its sound devices and ports."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
from click.exceptions import Exit

from antiphon.cli import ports
from antiphon.cli.command import Json
from antiphon.cli.progress import Role, echo_answer, style_text
from antiphon.client import LOCAL
from antiphon.client.finding import osc_port as port_of
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.kernel.wire.osc import Arg

if TYPE_CHECKING:
    from antiphon.doctor.sound import LibraryReport

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
        _print_round_trip(server.check())
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
            click.echo(f"{style_text(line[:WIDTH], ROLES[finding.state])}{line[WIDTH:]}")
    own = _own_pip()
    if own and not as_json and any(str(one["mend"]).startswith("pip ") for one in every):
        click.echo(f"pip of this installation: {own}")
    if as_json:
        click.echo(json.dumps({"works": not broken, "findings": every}))
    elif broken:
        click.echo("broken: see above")
    else:
        click.echo("Antiphon works here; antiphon doctor --loopback measures its latency")
    if broken:
        raise Exit(1)


def _own_pip() -> str:
    """Path of this installation's pip, from here; "" where it is the one that a shell finds."""
    own = Path(sys.executable).with_name("pip")
    if not own.is_file() or own == Path(shutil.which("pip") or ""):
        return ""
    return os.path.relpath(own) if own.is_relative_to(Path.cwd()) else str(own)


def _print_round_trip(settings: ServeSettings) -> None:
    from antiphon.doctor.loopback import in_child, keep, report

    click.echo("five short bursts of noise go out at -12 dBFS; take headphones off")
    trip = in_child(settings)
    for line in report(trip):
        click.echo(line)
    if trip.frames < 0:
        raise Exit(1)
    if name := keep(trip, settings):
        click.echo(f"kept: echo_cancel begins with this delay where {name} plays")


# ---- `antiphon devices`: lists the names that options take, and changes the device of a running server

CHANGE_SECONDS = 20.0
"""Timeout in seconds for opening a device."""


def devices(
    as_json: Json = False,
    use: Annotated[str, argument("The running server changes to this device.", "NAME")] = "",
    rate: Annotated[int, argument("With --use, Hz of the device; 0 for the server's.", low=0)] = 0,
    block: Annotated[int, argument("With --use, frames that it asks for; 0 for the server's.", low=0)] = 0,
    osc_port: ports.Osc = None,
    http_port: ports.HttpBesideOsc = None,
) -> None:
    """List JACK's ports, PortAudio's devices and MIDI ports, as options take them: a part of the name is enough.

    `--use` takes a number or a name of the list, `jack`, `jack:SERVER`, `portaudio` or `headless`.
    """
    if use:
        _use(use, rate, block, port_of(osc_port, http_port))
        return
    if rate or block:
        raise UsageError("--rate and --block are those of --use; name a device with it")
    from antiphon.cli.transports import transports
    from antiphon.doctor.sound import ask

    listed = {name: port_list for name, transport in transports() if (port_list := transport.ports()) is not None}
    report = ask()
    lines = (*listing(report), *(line for _, lines in listed.values() for line in lines))
    data = {**asdict(report), **{name: port_list for name, (port_list, _) in listed.items()}}
    echo_answer(as_json, data, map(escape_unprintable, lines))


def _use(name: str, rate: int, block: int, port: int) -> None:
    from antiphon.cli.running.osc import ask

    args: list[tuple[str, Arg]] = [("s", name), ("i", rate), ("i", block)]
    for line in ask("/audio/device", args, LOCAL, port, tcp=False, timeout=CHANGE_SECONDS):
        click.echo(line.removeprefix("/done /audio/device "))


def listing(report: LibraryReport) -> Iterator[str]:
    """Yields the lines to print: JACK's ports, then PortAudio's devices."""
    from antiphon.doctor.sound import GET_JACK, GET_PORTAUDIO, START_JACK

    if report.jack is not None:
        yield f"{report.jack.kind}, {report.jack.rate} Hz, {report.jack.block} frames"
        for title, names in (("in", report.jack.sources), ("out", report.jack.sinks)):
            for name in names:
                yield f"    {title:<4}{name}"
    else:
        fix = GET_JACK if "librar" in report.jack_problem else START_JACK
        yield f"JACK: {report.jack_problem}; {fix}"
    if report.portaudio_problem:
        yield f"PortAudio: {report.portaudio_problem}; {GET_PORTAUDIO}"
        return
    yield report.portaudio
    for d in report.devices:
        mark = ("*" if d.default_in else "") + ("*" if d.default_out and not d.default_in else "")
        rates = ", ".join(f"{rate / 1000:g}" for rate in d.rates)
        yield (
            f"    {d.index:>2} {mark:<1} {d.name} ({d.api}): {d.inputs} in, {d.outputs} out, "
            f"{f'{rates} kHz' if rates else 'none of 44.1, 48, 96 kHz'}"
        )
    if report.devices:
        yield "    * is the default of serve"
    else:
        yield "    no device; plug a sound card in, or serve --audio headless"
