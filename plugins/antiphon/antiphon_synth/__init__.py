"""Synth node `synth`, and the silent backend."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `synth`."""
    register(
        "synth",
        "antiphon_synth.processor:Synth",
        "Plays notes: piano, bass, pad, pluck, strings or drums, by scsynth alone electric_piano, organ, sampler or "
        "grains.",
    )


@hookimpl
def antiphon_synths(register: Register) -> None:
    """Registers `null`."""
    register("null", "antiphon_synth.processor:null", "Silence; records its events.")
