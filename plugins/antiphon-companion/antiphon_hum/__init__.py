"""`hum`: transcribes sound to notes."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `hum`."""
    register(
        "hum",
        "antiphon_hum.processor:Hum",
        "Sung notes into MIDI: tracks the pitch of singing, whistling or a wind instrument.",
    )


@hookimpl
def antiphon_models(register: Register) -> None:
    """Registers the network of `mode=learned`."""
    register(
        "hum-learned",
        "antiphon_hum.learned:learned_model",
        "Pitch, beginnings and notes of a voice, hop by hop.",
    )
