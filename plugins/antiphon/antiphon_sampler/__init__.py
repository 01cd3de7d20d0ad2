"""Sampler: recorded sounds played by notes, from folders in the layout of Dirt-Samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.api import Register, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `sampler`."""
    register(
        "sampler",
        "antiphon_sampler.processor:Sampler",
        "Sampler: plays folders of sounds by notes: drums, one-shots, slices.",
    )


@hookimpl
def antiphon_commands(cli: typer.Typer) -> None:
    """Adds `antiphon sounds`."""
    from antiphon_sampler.commands import application

    cli.add_typer(application())
