"""Notes to sound: the `synth` node, and the backends that play it."""

from __future__ import annotations

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
    """Registers `pyo`, `supercollider` and `null`."""
    register("pyo", "antiphon_synth.backends:pyo", "pyo's voices and a sampled piano, in a process of their own.")
    register("supercollider", "antiphon_synth.backends:supercollider", "Our SynthDefs in scsynth, over JACK.")
    register("null", "antiphon_synth.backends:null", "Silence; records what it was told.")
