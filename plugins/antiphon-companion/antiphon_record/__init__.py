"""A recording that plays with the person who plays: its stems by beats, stretched to the clock."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `record`."""
    register("record", "antiphon_record.processor:Record", "A recording without its soloist, which follows the clock.")


@hookimpl
def antiphon_services(register: Register) -> None:
    """Registers `record`."""
    register("record", "antiphon_record.preparing:Records", "Prepares recordings for the node record.")
