"""Nodes for loudspeakers and a microphone in one room.

Imports only `antiphon.api`.
"""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `echo_cancel`."""
    register("echo_cancel", "antiphon_room.processor:EchoCancel", "Takes the loudspeakers out of the microphone.")
    register(
        "howl_guard", "antiphon_room.guard:HowlGuard", "Lowers an input whose loop through the loudspeakers howls."
    )
