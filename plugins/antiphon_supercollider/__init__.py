"""SuperCollider as a synth backend: scsynth in processes of its own, its sound brought back over JACK."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_synths(register: Register) -> None:
    """Registers `supercollider`."""
    register("supercollider", "antiphon_supercollider.info:supercollider", "Our SynthDefs in scsynth, over JACK.")
