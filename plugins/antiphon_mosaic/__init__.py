"""Concatenative synthesis: a sound, or notes, played by units of a reference."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `mosaic`."""
    register(
        "mosaic",
        "antiphon_mosaic.processor:Mosaic",
        "Audio mosaicing: a sound, notes or a finger, played by short units of a reference.",
    )
