"""What the server knows of MIDI: the settings that ask for it, and how it begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from antiphon.api.console import Finding
from antiphon.api.transports import ServeSettings, Transport, TransportServer


class MidiTransport(Transport):
    """`antiphon serve --midi`, `--midi-in` and `--midi-out`."""

    options = ("midi", "midi_in", "midi_out")

    def check(self, settings: ServeSettings) -> None:
        from antiphon_midi.devices.ports import check_choice

        check_choice()

    def findings(self) -> Iterator[Finding]:
        from antiphon_midi import report

        return report.checks()

    def ports(self) -> tuple[object, Iterable[str]]:
        from antiphon_midi import report

        answer = report.ask()
        return asdict(answer), report.listing(answer)

    def start(self, server: TransportServer) -> None:
        from antiphon_midi.devices.ports import ports_of
        from antiphon_midi.input.ports_input import MidiInput

        MidiInput(server, ports_of(server.settings)).install()
