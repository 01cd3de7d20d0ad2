"""`antiphon devices`: lists the names that --input, --output, --midi-in and --midi-out take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from antiphon.cli.terminal.progress import Json, echo_answer
from antiphon.kernel.wire.text import printable

if TYPE_CHECKING:
    from antiphon.doctor.sound import LibraryReport


def devices(as_json: Json = False) -> None:
    """List JACK's ports, PortAudio's devices and MIDI ports, as options take them: a part of the name is enough."""
    from antiphon.cli.transports import transports
    from antiphon.doctor.sound import ask

    ports = {name: port_list for name, transport in transports() if (port_list := transport.ports()) is not None}
    report = ask()
    lines = (*listing(report), *(line for _, lines in ports.values() for line in lines))
    data = {**asdict(report), **{name: port_list for name, (port_list, _) in ports.items()}}
    echo_answer(as_json, data, map(printable, lines))


def listing(report: LibraryReport) -> Iterator[str]:
    """Yields the lines to print: JACK's ports, then PortAudio's devices."""
    from antiphon.doctor.sound import GET_JACK, GET_PORTAUDIO, START_JACK

    if report.jack is not None:
        yield f"JACK, {report.jack.rate} Hz, {report.jack.block} frames"
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
