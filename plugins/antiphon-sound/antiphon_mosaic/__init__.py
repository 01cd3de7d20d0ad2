"""Concatenative synthesis: a sound, or notes, played by units of a reference."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `mosaic`, and `third` for files."""
    register(
        "mosaic",
        "antiphon_mosaic.processor:Mosaic",
        "Audio mosaicing: a sound, notes or a finger, played by short units of a reference.",
    )
    register(
        "third",
        "antiphon_mosaic.processor:Third",
        "A third song of two files: notes and beats of one, timbre and drums of the other; live, `mosaic`.",
    )
