"""The band: plays an accompaniment in parts to incoming notes, on the clock."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `accompany`, and `generate` for files."""
    register(
        "accompany",
        "antiphon_accompany.processor:Accompany",
        "Accompaniment: plays the chords of a melody, a left hand or a text as a piano or a band, in many styles.",
    )
    register(
        "generate",
        "antiphon_accompany.files.generation:Generate",
        "Generation: a MIDI file of a melody and a band in a style, or a part that a file lacks; live, `accompany`.",
    )
