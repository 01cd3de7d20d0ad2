"""Which sample a note plays: the names of General MIDI's drums, and places in order."""

from __future__ import annotations

from collections.abc import Mapping

FIRST = 36
"""The note of the first pad: General MIDI's bass drum, and the lowest pad of most drum machines."""
DRUMS: Mapping[int, tuple[str, ...]] = {
    35: ("bd", "kick", "kick2"), 36: ("bd", "kick"), 37: ("rs", "rim"), 38: ("sd", "sn", "snare"),
    39: ("cp", "clap"), 40: ("sd", "sn", "snare"), 41: ("lt", "tom"), 42: ("hh", "hc", "ch"), 43: ("lt", "tom"),
    44: ("hh", "hc", "ch"), 45: ("mt", "tom"), 46: ("oh", "ho"), 47: ("mt", "tom"), 48: ("ht", "tom"),
    49: ("cr", "crash"), 50: ("ht", "tom"), 51: ("rd", "ride"), 52: ("cr", "crash"), 53: ("rd", "ride"),
    54: ("tb", "tambourine"), 55: ("cr", "crash"), 56: ("cb", "cowbell"), 57: ("cr", "crash"), 58: ("vb",),
    59: ("rd", "ride"), 60: ("bongo",), 61: ("bongo",), 62: ("conga",), 63: ("conga",), 64: ("conga",),
    69: ("sh", "shaker"), 70: ("sh", "shaker"), 75: ("cl", "claves"), 76: ("wb",), 77: ("wb",), 81: ("tri",),
}  # fmt: skip
"""General MIDI percussion key (General MIDI System Level 1, 1991) to names of folders, the likeliest first.

The names are those of Dirt-Samples and of the Roland drum machines' panels.
"""
HATS = frozenset({42, 44, 46})
"""Keys that end one another: closed, pedal and open hi-hat."""
HAT_GROUP = -1
"""Their cut group, which no performer can set."""


def drum_rows(names: tuple[str, ...]) -> tuple[int, ...]:
    """The row of `names` that each of the 128 notes plays, -1 for none."""
    places = {name.lower(): place for place, name in reversed(list(enumerate(names)))}
    return tuple(next((places[name] for name in DRUMS.get(note, ()) if name in places), -1) for note in range(128))
