"""Transport `midi`: the settings that request it, and its start."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from antiphon.api import UsageError
from antiphon.api.backends.runtime import Finding
from antiphon.api.backends.transports import ServeSettings, Transport, TransportServer
from antiphon.api.jobs import spell
from antiphon_midi.ports import CLOCKS, MIDI, MIDI_CLOCK, MIDI_IN, MIDI_OUT, MPE


class MidiTransport(Transport):
    """`antiphon serve --midi`, `--midi-in` and `--midi-out`, and their options `--mpe` and `--midi-clock`."""

    options = (MIDI, MIDI_IN, MPE, MIDI_OUT, MIDI_CLOCK)

    def check(self, settings: ServeSettings) -> None:
        from antiphon_midi.ports import check_mido_backend

        clock = settings.value(MIDI_CLOCK)
        if clock not in CLOCKS:
            raise UsageError(f"{spell('midi_clock')} takes follow or lead, not {clock!r}")
        if not (settings.value(MIDI) or settings.value(MIDI_IN)):
            whose = f"{spell('midi')} or {spell('midi_in')}"
            for name, given in (("mpe", settings.value(MPE)), ("midi_clock", clock == "follow")):
                if given:
                    shown = spell(name, "follow" if name == "midi_clock" else "")
                    raise UsageError(f"{shown} is about the ports of {whose}; give one of them too")
        if clock == "lead" and not settings.value(MIDI_OUT):
            raise UsageError(f"{spell('midi_clock')} lead is about the ports of {spell('midi_out')}; give that too")
        for ports in (MIDI_IN, MIDI_OUT):
            if not all(name.strip() for name in settings.value(ports)):
                raise UsageError(f"--{ports.name} takes a part of a port's name; antiphon devices lists them")
        check_mido_backend()

    def unasked(self) -> Mapping[str, Any]:
        return {MIDI.name: True}

    def findings(self) -> Iterator[Finding]:
        from antiphon_midi import ports

        return ports.checks()

    def ports(self) -> tuple[object, Iterable[str]]:
        from antiphon_midi import ports

        answer = ports.ask()
        return asdict(answer), ports.listing(answer)

    def start(self, server: TransportServer) -> None:
        from antiphon_midi.ports import ports_of
        from antiphon_midi.ports_input import MidiInput

        MidiInput(server, ports_of(server.settings)).install()
