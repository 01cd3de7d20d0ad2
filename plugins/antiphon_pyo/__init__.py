"""The synth backend `pyo`: voices that exist before they are needed, gated by signals exact to the sample."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_synths(register: Register) -> None:
    """Registers `pyo`."""
    register("pyo", "antiphon_pyo.info:pyo", "pyo's voices and a sampled piano, in a process of their own.")
