"""Signals besides those from 0 to 1: from -1 to 1, and such as take a number."""

from __future__ import annotations

from fractions import Fraction

from antiphon.live.patterns import queries, signals
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.spans import Number, exact

itri: Pattern[float] = signals.tri.map(lambda value: 1.0 - value)
envL: Pattern[float] = Pattern(queries.signal(lambda time, seed: float(min(max(time, Fraction(0)), Fraction(1)))))
SIGNALS = {
    **{
        f"{name}2": wave.map(lambda value: value * 2 - 1)
        for name, wave in {
            "sine": signals.sine, "cosine": signals.cosine, "saw": signals.saw, "isaw": signals.isaw,
            "tri": signals.tri, "itri": itri, "square": signals.square, "rand": signals.rand,
        }.items()
    },
    "itri": itri,
    "envL": envL,
    "env_l": envL,
    "brand": signals.rand.map(lambda value: value < 0.5),
    "time": Pattern(queries.signal(lambda time, seed: float(time))),
}  # fmt: skip
"""By name: those that end with 2 go from -1 to 1; `envL` rises from 0 to 1 in cycle 0 and stays there."""


def pulse(width: Number = 0.5) -> Pattern[float]:
    share = exact(width, "pulse")
    return Pattern(queries.signal(lambda time, seed: float(Fraction(time) % 1 < share)))


def steady(value: float) -> Pattern[float]:
    return Pattern(queries.signal(lambda time, seed: value))
