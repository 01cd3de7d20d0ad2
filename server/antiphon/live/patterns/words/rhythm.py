"""Words for rhythms: euclidean ones, switches, and where patterns begin anew."""

from fractions import Fraction
from typing import Any

from antiphon.live.patterns import joins, queries
from antiphon.live.patterns.arguments import Argument, Truth, each, truths, whole
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import Number, exact
from antiphon.live.patterns.words.time import Change, P


def _euclid(pulses: Argument, steps: Argument, made: Any) -> Query[Any]:
    def stepped(k: Fraction) -> Query[Any]:
        count = whole(k, "euclid", -1024, 1024)
        return each(steps, "euclid", lambda n: made(count, whole(n, "euclid", 1, queries.MAX_STEPS)))

    return each(pulses, "euclid", stepped)


def euclid_rot(p: P, pulses: Argument, steps: Argument, rotation: Argument) -> P:
    def moved(k: int, n: int, r: Fraction) -> Query[Any]:
        rhythm = queries.shift(queries.euclid(queries.pure(None), k, n), Fraction(whole(r, "euclid", -1024, 1024), n))
        return queries.apply_left(rhythm, p.events, lambda _, value: value)

    return p._new(_euclid(pulses, steps, lambda k, n: each(rotation, "euclid", lambda r: moved(k, n, r))))


def euclid_inv(p: P, pulses: Argument, steps: Argument, rotation: Argument = 0) -> P:
    return p._new(
        _euclid(
            pulses,
            steps,
            lambda k, n: each(rotation, "euclid", lambda r: queries.euclid(p.events, -k or -1024, n, int(r))),
        )
    )


def euclid_legato(p: P, pulses: Argument, steps: Argument, rotation: Argument = 0) -> P:
    def lasting(k: int, n: int, r: int) -> Query[Any]:
        on = [step is (k >= 0) for step in queries.rhythm(abs(k), n)]
        places = [place for place, step in enumerate(on) if step]
        if not places:
            return queries.silence
        ends = [*places[1:], places[0] + n]
        timed = [(Fraction(end - at), queries.pure(None)) for at, end in zip(places, ends, strict=True)]
        rhythm = queries.shift(queries.timecat(timed), Fraction(places[0], n))
        return queries.shift(queries.apply_left(rhythm, p.events, lambda _, value: value), Fraction(r, n))

    return p._new(
        _euclid(
            pulses,
            steps,
            lambda k, n: each(rotation, "euclid", lambda r: lasting(k, n, whole(r, "euclid", -1024, 1024))),
        )
    )


def invert(p: P) -> P:
    return Pattern(queries.map_values(p.events, lambda value: value in (False, 0, "f", "false")))


def while_switched(p: P, switches: Truth, what: str, on: bool) -> Query[Any]:
    """Events while switches are on, or off."""
    chosen = queries.keep(truths(switches, what), lambda value: value is on)
    return queries.apply_left(p.events, chosen, lambda value, _: value)


def sew(p: P, switches: Truth, other: P) -> P:
    return p._new(
        queries.stack([while_switched(p, switches, "sew", True), while_switched(other, switches, "sew", False)])
    )


def stitch(p: P, switches: Truth, other: P) -> P:
    on, off = p.struct(switches), other.struct(invert(Pattern(truths(switches, "stitch"))))
    return p._new(queries.stack([on.events, off.events]))


def while_(p: P, switches: Truth, change: Change) -> P:
    return sew(p._changed(change, 'while_("1 0", fast(2))'), switches, p)


def wedge(p: P, share: Number, other: P) -> P:
    at = exact(share, "wedge")
    if at <= 0:
        return p._new(other.events)
    if at >= 1:
        return p
    return p._new(
        queries.stack([joins.compress(p.events, Fraction(0), at), joins.compress(other.events, at, Fraction(1))])
    )


def reset(p: P, switches: Truth) -> P:
    on = queries.keep(truths(switches, "reset"), bool)
    return p._new(joins.join_reset(queries.map_values(on, lambda _: p.events)))


def restart(p: P, switches: Truth) -> P:
    on = queries.keep(truths(switches, "restart"), bool)
    return p._new(joins.join_restart(queries.map_values(on, lambda _: p.events)))


def _digits(number: Argument, count: int | None) -> Pattern[bool]:
    def switches(n: Fraction) -> Query[bool]:
        value = whole(n, "binary", 0, 1 << 29)
        width = count or max(1, value.bit_length())
        return queries.fastcat([queries.pure(bool(value >> k & 1)) for k in reversed(range(width))])

    return Pattern(each(number, "binary", switches))


def ghost(p: P) -> P:
    from antiphon.live.patterns.words.values import operate

    def soft(q: P) -> P:
        return operate(operate(q, "mul", {"gain": 0.7, "speed": 1.25}), "set", {"end": 0.2})

    once = p.superimpose(lambda q: soft(q).late(Fraction(3, 16)))
    return once.superimpose(lambda q: soft(q).late(Fraction(5, 16)))


EXTRA_WORDS: dict[str, Any] = {
    "euclid_full": lambda p, pulses, steps, other: p._new(
        queries.stack([p.euclid(pulses, steps).events, euclid_inv(other, pulses, steps).events])
    ),
    "euclid_legato_rot": lambda p, pulses, steps, rotation: euclid_legato(p, pulses, steps, rotation),
    "euclid_off": lambda p, pulses, steps, rotation=0: p._new(
        _euclid(
            pulses,
            steps,
            lambda k, n: each(rotation, "euclid", lambda r: queries.shift(queries.euclid(p.events, k, n), -r / n)),
        )
    ),
    "binary": lambda number: _digits(number, None),
    "binary_n": lambda number, digits=16: _digits(number, whole(exact(digits, "binary_n"), "binary_n", 1, 64)),
}
