"""MIDI: ports to commands, learning, pedals, what goes out to other instruments, and files as notes in a graph.

Imports the server's `session`, `contract`, `native`, `runtime` and `errors`; libraries only where MIDI is asked for.
"""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `midi`."""
    register("midi", "antiphon_midi.transport:MidiTransport", "Notes, controllers and pedals by MIDI ports, both ways.")


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `midifile`."""
    register("midifile", "antiphon_midi.file.midifile:MidiFile", "Plays a MIDI file as notes: on the clock, in a loop.")
