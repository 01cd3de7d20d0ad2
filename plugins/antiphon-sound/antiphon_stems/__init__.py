"""Stems: separates sound into drums, bass, voice and the rest, live and in files."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `stems`."""
    register(
        "stems", "antiphon_stems.processor:Stems", "Stems: a sound taken apart into drums, bass, voice and the rest."
    )


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers `stems`."""
    register("stems", "antiphon_stems.jobs:StemLevels", "Drums, bass, voice and the rest: how loud each is.")


@hookimpl
def antiphon_models(register: Register) -> None:
    """Registers the network of the node."""
    register("stems-live", "antiphon_stems.grids:live", "Shares of drums, bass and voice in a hop, for `stems`.")
