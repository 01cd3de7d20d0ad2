"""The words of Tidal and Strudel that are not methods in `pattern` and `controls`; importing it makes them methods."""

from antiphon.live.patterns.words import (
    chance,
    harmony,
    layers,
    making,
    notes,
    picking,
    rhythm,
    samples,
    signals,
    table,
    time,
    values,
)

table.camel_methods()

__all__ = [
    "chance", "harmony", "layers", "making", "notes", "picking", "rhythm", "samples", "signals", "table", "time",
    "values",
]  # fmt: skip
