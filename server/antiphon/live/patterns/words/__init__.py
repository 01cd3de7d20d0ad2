"""The words of Tidal and Strudel that are not written in `pattern` and `controls`; importing it makes them methods."""

from antiphon.live.patterns import controls, pattern, signals as waves
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
)  # fmt: skip

table.load(
    (time, rhythm, layers, chance, values, harmony, samples, picking, making, signals, notes, controls, pattern, waves)
)
