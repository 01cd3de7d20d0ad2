"""The accompanist: takes the notes of a melody and plays a piano accompaniment on the clock."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `accompany`."""
    register(
        "accompany",
        "antiphon_accompany.processor:Accompany",
        "Accompaniment: plays piano chords under a melody, in several styles.",
    )
