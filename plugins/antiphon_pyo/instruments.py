"""Parameters of the instruments: attack, release, and the effect of velocity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from antiphon_pyo import samples, tones
from antiphon_pyo.zone_sound import ZoneSound


@dataclass(frozen=True, slots=True)
class Instrument:
    """A sampled instrument."""

    name: str
    attack: float  # seconds
    release: float  # seconds
    level: float  # gain at full velocity
    curve: float  # exponent of the velocity
    one_shot: bool = False  # it plays to its end; note-offs have no effect
    free: bool = False  # a note begins at a random position of its loop
    damped: int = 127  # highest key with a damper; above it notes ring
    chokes: dict[int, int] = field(default_factory=dict)  # choke groups by key


_HATS = {42: 1, 44: 1, 46: 1}
_PAIRS = {71: 2, 72: 2, 73: 3, 74: 3, 78: 4, 79: 4, 80: 5, 81: 5}

INSTRUMENTS = {
    each.name: each
    for each in (
        Instrument("piano", 0.0005, 0.30, 1.45, 1.7, damped=88),
        Instrument("bass", 0.001, 0.12, 1.2, 1.25),
        Instrument("pad", 0.35, 1.2, 1.25, 1.3, free=True),
        Instrument("pluck", 0.0005, 0.25, 0.85, 1.6),
        Instrument("strings", 0.09, 0.45, 1.45, 1.4, free=True),
        Instrument("drums", 0.0003, 0.05, 1.3, 1.5, one_shot=True, chokes=_HATS | _PAIRS),
    )
}


def sounds(name: str, rate: int, where: Path | None = None) -> Iterator[ZoneSound]:
    """Zones of an instrument, generated on demand; `where` None is the plugin `antiphon_synth`'s folder.

    Raises SamplesError: the samples cannot be read.
    """
    match name:
        case "pad":
            return tones.ensemble(tones.PAD, rate, 11)
        case "strings":
            return tones.ensemble(tones.STRINGS, rate, 12)
        case "pluck":
            return tones.pluck(rate, 13)
        case _:
            return samples.load(name, where)
