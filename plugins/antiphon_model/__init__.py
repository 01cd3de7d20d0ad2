"""A streaming model in a worker process, played as a node; the reference model that exercises it."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `model`."""
    register("model", "antiphon_model.processor:Model", "Sends its sound through a model in a process of its own.")


@hookimpl
def antiphon_models(register: Register) -> None:
    """Registers `reference`."""
    register("reference", "antiphon_model.spec:reference", "Passes its input unchanged; for tests and measurements.")
