"""Timbre transfer: plays the notes of a sound with the timbre of a reference."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `transfer`."""
    register(
        "transfer",
        "antiphon_transfer.processor:Transfer",
        "Timbre transfer: the notes of a sound with the timbre of another.",
    )
