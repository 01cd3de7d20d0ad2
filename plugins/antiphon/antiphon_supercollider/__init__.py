"""SuperCollider as a synth backend: runs scsynth processes, whose sound returns over JACK."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_synths(register: Register) -> None:
    """Registers `supercollider`."""
    register("supercollider", "antiphon_supercollider.info:supercollider", "Our SynthDefs in scsynth, over JACK.")
