"""Words that combine several patterns to one, and signals other than those from 0 to 1."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import queries, signals
from antiphon.live.patterns.arguments import Argument, each, whole
from antiphon.live.patterns.controls import ControlPattern, mini
from antiphon.live.patterns.pattern import MAX_TIMES, Pattern, cat, fastcat, stack, timecat
from antiphon.live.patterns.spans import Number, exact
from antiphon.live.patterns.words.time import P, above


def convert_to_pattern(value: Any) -> P:
    """Converts an argument to a pattern: text is mini-notation, a list is a sequence, another value is once a cycle."""
    if isinstance(value, Pattern):
        return value
    if isinstance(value, str):
        return mini(value)
    if isinstance(value, list):
        return seq(*value)
    return Pattern(queries.pure(value))


def seq(*steps: Any) -> P:
    return fastcat(*(convert_to_pattern(step) for step in steps)) if steps else Pattern(queries.silence)


def arrange(*sections: Any) -> P:
    given = [(above(exact(n, "arrange"), "arrange"), convert_to_pattern(p)) for n, p in _pairs(sections, "arrange")]
    total = sum((count for count, _ in given), Fraction(0))
    stretched = [(count, queries.fast(pattern.events, count)) for count, pattern in given]
    return given[0][1]._new(queries.fast(queries.timecat(stretched), 1 / total))


def _spread(change: Any, values: Sequence[Any], pattern: P, what: str) -> list[P]:
    example = f'{what}(fast, [1, 2], s("bd sd"))'
    if not callable(change) or isinstance(values, str) or not values or not isinstance(pattern, Pattern):
        raise UsageError(f"{what} takes a change, a list of values and a pattern, as in {example}")
    return [pattern._changed(change(value), example) for value in values]


def interlace(one: P, other: P) -> P:
    from antiphon.live.patterns.signals import sine

    moving = sine.slow(16).range(0, 0.9)
    return stack(one.set(shape=moving), other.set(shape=moving.early(8)))  # type: ignore[attr-defined]


def scan(count: Argument) -> P:
    def made(n: Fraction) -> Any:
        most = whole(n, "scan", 1, MAX_TIMES)
        return queries.cat([queries.fastcat([queries.pure(k) for k in range(m)]) for m in range(1, most + 1)])

    return Pattern(each(count, "scan", made))


def grain(begin: Number, length: Number) -> Any:
    first, lasts = float(exact(begin, "grain")), float(exact(length, "grain"))
    return ControlPattern(queries.pure({"begin": first, "end": first + lasts}))


def _pairs(given: tuple[Any, ...], what: str) -> list[tuple[Any, Any]]:
    pairs = [tuple(pair) for pair in given if isinstance(pair, list | tuple) and len(pair) == 2]
    if not pairs or len(pairs) < len(given):
        raise UsageError(f'{what} takes pairs of a number and a pattern, as in {what}((4, s("bd*4")), (2, s("sd*2")))')
    return pairs


itri: Pattern[float] = signals.tri.map(lambda value: 1.0 - value)
envL: Pattern[float] = Pattern(queries.signal(lambda time, seed: float(min(max(time, Fraction(0)), Fraction(1)))))
_WAVES = {name: getattr(signals, name) for name in ("sine", "cosine", "saw", "isaw", "tri", "square", "rand")}
SIGNALS = {
    **{f"{name}2": wave.map(lambda value: value * 2 - 1) for name, wave in {**_WAVES, "itri": itri}.items()},
    "itri": itri,
    "envL": envL,
    "brand": signals.rand.map(lambda value: value < 0.5),
    "time": Pattern(queries.signal(lambda time, seed: float(time))),
}
"""Signals by name: names ending in 2 are bipolar; `envL` rises from 0 to 1 in cycle 0 and stays there."""


def pulse(width: Number = 0.5) -> Pattern[float]:
    share = exact(width, "pulse")
    return Pattern(queries.signal(lambda time, seed: float(Fraction(time) % 1 < share)))


EXTRA_WORDS: dict[str, Any] = {
    "slowcat": lambda *patterns: cat(*(convert_to_pattern(pattern) for pattern in patterns)),
    "time_cat": lambda *steps: timecat(
        *((weight, convert_to_pattern(pattern)) for weight, pattern in _pairs(steps, "time_cat"))
    ),
    "ncat": lambda *sections: arrange(*sections),
    "polyrhythm": lambda *patterns: stack(*(convert_to_pattern(pattern) for pattern in patterns)),
    "spread": lambda change, values, pattern: cat(*_spread(change, values, pattern, "spread")),
    "fastspread": lambda change, values, pattern: fastcat(*_spread(change, values, pattern, "fastspread")),
} | {"steady": lambda value: Pattern(queries.signal(lambda time, seed: value))}
