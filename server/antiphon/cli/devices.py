"""`antiphon devices`: lists the names that options take, and changes the device of a running server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli import ports
from antiphon.cli.option_records import Json
from antiphon.cli.terminal.progress import echo_answer
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.shortening import printable
from antiphon.kernel.wire.osc import Arg

if TYPE_CHECKING:
    from antiphon.doctor.sound import LibraryReport


CHANGE_SECONDS = 20.0
"""Time in which a device must be open."""


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
        _use(use, rate, block, ports.osc_port(osc_port, http_port))
        return
    if rate or block:
        raise UsageError("--rate and --block are those of --use; name a device with it")
    from antiphon.cli.transports import transports
    from antiphon.doctor.sound import ask

    listed = {name: port_list for name, transport in transports() if (port_list := transport.ports()) is not None}
    report = ask()
    lines = (*listing(report), *(line for _, lines in listed.values() for line in lines))
    data = {**asdict(report), **{name: port_list for name, (port_list, _) in listed.items()}}
    echo_answer(as_json, data, map(printable, lines))


def _use(name: str, rate: int, block: int, port: int) -> None:
    from antiphon.cli.running.osc import ask

    args: list[tuple[str, Arg]] = [("s", name), ("i", rate), ("i", block)]
    for line in ask("/audio/device", args, "127.0.0.1", port, tcp=False, timeout=CHANGE_SECONDS):
        typer.echo(line.removeprefix("/done /audio/device "))


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
