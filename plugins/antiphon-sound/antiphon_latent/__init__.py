"""Synth that plays notes from a learned timbre space."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `latent`."""
    register("latent", "antiphon_latent.processor:Latent", "A learned synth: eight axes of timbre, moved inside notes.")
