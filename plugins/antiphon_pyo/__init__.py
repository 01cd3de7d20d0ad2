"""The pyo backend: voices that exist before they are needed, gated by signals exact to the sample."""

from antiphon.synth.pyo.backend import Pyo

__all__ = ["Pyo"]
