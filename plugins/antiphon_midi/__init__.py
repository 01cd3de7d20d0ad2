"""MIDI: ports to commands, learning, pedals, and what goes out to other instruments.

Imports the server's `session`, `contract`, `native`, `runtime` and `errors`; libraries only where MIDI is asked for.
"""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `midi`."""
    register("midi", "antiphon_midi.transport:MidiTransport", "Notes, controllers and pedals by MIDI ports, both ways.")
