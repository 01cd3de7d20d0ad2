"""The words of Tidal and Strudel that are not written in `pattern` and `controls`; importing it makes them methods."""

from antiphon.live.patterns import controls, pattern, signals
from antiphon.live.patterns.words import chance, harmony, layers, making, picking, rhythm, samples, table, time, values

table.load((time, rhythm, layers, chance, values, harmony, samples, picking, making, controls, pattern, signals))
table.promote()
