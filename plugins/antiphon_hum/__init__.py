"""`hum`: sound to notes."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `hum`."""
    register("hum", "antiphon_hum.processor:Hum", "Turns a voice or a wind instrument into notes.")


@hookimpl
def antiphon_models(register: Register) -> None:
    """Registers the networks of `mode=learned` and `mode=spectrogram`."""
    register("hum-learned", "antiphon_hum.spec:learned", "Pitch, beginnings and notes of a voice, hop by hop.")
    register("hum-spectrogram", "antiphon_hum.spec:spectrogram", "Paints a piano's spectrogram from a voice's.")


@hookimpl
def antiphon_trainings(register: Register) -> None:
    """Registers the network of `mode=learned`."""
    register("hum", "antiphon_hum.training.recipe:HumRecipe", "The network that hears pitch, beginnings and notes.")
    register("hum-spectrogram", "antiphon_hum.training.plain:PlainRecipe", "The plain way, to be measured beside it.")


@hookimpl
def antiphon_evaluations(register: Register) -> None:
    """Registers the evaluation."""
    register("hum", "antiphon_hum.evaluation:Hearing", "Notes heard in singing, winds and hums; false notes; lateness.")
