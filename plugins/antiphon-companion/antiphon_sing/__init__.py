"""A voice that sings lyrics at the pitches of notes."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `sing`."""
    register("sing", "antiphon_sing.processor:Sing", "Singing: lyrics at the pitches of notes, a syllable a note.")
