"""Improviser: learns from the player, and answers on the clock or continues a file."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `answer`, and `continue` for files."""
    register(
        "answer",
        "antiphon_answer.processor:Answer",
        "Improvisation: learns the notes one plays, and answers them in time with the clock.",
    )
    register(
        "continue",
        "antiphon_answer.processor:Continue",
        "Continuation: a MIDI file and some bars more, improvised on its melody; live, `answer` after a pause.",
    )
