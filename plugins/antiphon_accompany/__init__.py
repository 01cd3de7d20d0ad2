"""The accompanist: hears a melody as notes and plays piano under it, on the clock."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `accompany`."""
    register("accompany", "antiphon_accompany.processor:Accompany", "Plays piano under a melody, in several styles.")
