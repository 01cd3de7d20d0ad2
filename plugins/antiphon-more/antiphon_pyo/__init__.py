"""Synth backend `pyo`: preallocated voices, gated by sample-exact signals."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_synths(register: Register) -> None:
    """Registers `pyo`."""
    register("pyo", "antiphon_pyo.info:pyo", "pyo's voices and a sampled piano, in a process of their own.")
