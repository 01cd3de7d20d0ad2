"""MIDI: converts port input to commands, with MIDI learn and pedals; plays external instruments and MIDI files.

Imports only `antiphon.api`, and libraries only if MIDI is requested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    from antiphon.api.backends.transports import AddressList, OscRequest


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `midi`."""
    register("midi", "antiphon_midi.transport:MidiTransport", "Notes, controllers and pedals by MIDI ports, both ways.")


@hookimpl
def antiphon_addresses(osc: AddressList) -> None:
    """Adds `/midi/out`."""

    def send(request: OscRequest) -> None:
        from antiphon_midi.output import send_out

        send_out(request)

    osc.add(
        "/midi/out",
        "s:port i:status i:number i:value",
        send,
        "Sends a message of three bytes to the outputs whose names contain a text, at the time of the message.",
        timed=True,
    )


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `midifile`."""
    register("midifile", "antiphon_midi.midifile:MidiFile", "Plays a MIDI file as notes: on the clock, in a loop.")
