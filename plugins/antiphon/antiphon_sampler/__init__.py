"""Sampler: recorded sounds played by notes, from folders in the layout of Dirt-Samples."""

from typing import Any

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `sampler`."""
    register(
        "sampler",
        "antiphon_sampler.processor:Sampler",
        "Sampler: plays folders of sounds by notes: drums, one-shots, slices.",
    )


@hookimpl
def antiphon_operations(operations: Any) -> None:
    """Adds `sounds add` and `sounds list`."""
    from antiphon_sampler.operations import add_to

    add_to(operations)
