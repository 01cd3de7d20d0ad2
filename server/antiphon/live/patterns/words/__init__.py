"""The words of Tidal and Strudel that are not written in `pattern` and `controls`; importing it makes them methods."""

from antiphon.live.patterns import controls, pattern, signals
from antiphon.live.patterns.words import harmony, layers, making, picking, samples, table, time, values

table.load((time, layers, picking, values, harmony, samples, making, controls, pattern, signals))
table.extend_plain_patterns()
