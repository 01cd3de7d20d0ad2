"""Sampler: recorded sounds played by notes, from folders in the layout of Dirt-Samples."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `sampler`."""
    register(
        "sampler",
        "antiphon_sampler.processor:Sampler",
        "Sampler: plays folders of sounds by notes: drums, one-shots, slices.",
    )
