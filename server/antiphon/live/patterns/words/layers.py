"""Words for rhythms, and words that layer a pattern with copies of itself or change it by cycle."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects, joins, queries
from antiphon.live.patterns.arguments import Argument, Truth, each, truths, whole
from antiphon.live.patterns.pattern import MAX_TIMES, Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact
from antiphon.live.patterns.words.making import convert_to_pattern
from antiphon.live.patterns.words.time import Change, P, ribbon


def _euclid(pulses: Argument, steps: Argument, more: Argument, made: Any, what: str = "euclid") -> Query[Any]:
    """A rhythm that `made` returns for pulses, steps and a further argument, as of a rotation or of `what`."""

    def stepped(k: Fraction) -> Query[Any]:
        count = whole(k, "euclid", -1024, 1024)
        return each(steps, "euclid", lambda n: turned(count, whole(n, "euclid", 1, queries.MAX_STEPS)))

    def turned(k: int, n: int) -> Query[Any]:
        return each(more, what, lambda r: made(k, n, r))

    return each(pulses, "euclid", stepped)


def euclid_rot(p: P, pulses: Argument, steps: Argument, rotation: Argument) -> P:
    def moved(k: int, n: int, r: Fraction) -> Query[Any]:
        rhythm = queries.shift(queries.euclid(queries.pure(None), k, n), Fraction(whole(r, "euclid", -1024, 1024), n))
        return queries.apply_left(rhythm, p.events, lambda _, value: value)

    return p._new(_euclid(pulses, steps, rotation, moved))


def euclid_inv(p: P, pulses: Argument, steps: Argument, rotation: Argument = 0) -> P:
    return p._new(_euclid(pulses, steps, rotation, lambda k, n, r: queries.euclid(p.events, -k or -1024, n, int(r))))


def euclid_legato(p: P, pulses: Argument, steps: Argument, rotation: Argument = 0) -> P:
    def lasting(k: int, n: int, r: Fraction) -> Query[Any]:
        later = Fraction(whole(r, "euclid", -1024, 1024), n)
        on = [step is (k >= 0) for step in queries.rhythm(abs(k), n)]
        places = [place for place, step in enumerate(on) if step]
        if not places:
            return queries.silence
        ends = [*places[1:], places[0] + n]
        timed = [(Fraction(end - at), queries.pure(None)) for at, end in zip(places, ends, strict=True)]
        rhythm = queries.shift(queries.timecat(timed), Fraction(places[0], n))
        return queries.shift(queries.apply_left(rhythm, p.events, lambda _, value: value), later)

    return p._new(_euclid(pulses, steps, rotation, lasting))


def euclidish(p: P, pulses: Argument, steps: Argument, evenness: Argument = 0) -> P:
    def between(k: int, n: int, share: Fraction) -> Query[Any]:
        places = [at for at, on in enumerate(queries.rhythm(k, n)) if on]
        begins = [Fraction(at, n) * (1 - share) + Fraction(m, len(places)) * share for m, at in enumerate(places)]

        def found(cycle: int, span: Span, seed: int) -> list[CycleEvent[Any]]:
            wholes = [Span(cycle + begin, cycle + begin + Fraction(1, n)) for begin in begins]
            return [CycleEvent(whole, part, None) for whole in wholes if (part := whole.overlap(span)) is not None]

        return queries.apply_left(queries.by_cycle(found), p.events, lambda _, value: value)

    return p._new(_euclid(pulses, steps, evenness, between, "euclidish"))


def invert(p: P) -> P:
    return Pattern(queries.map_values(p.events, lambda value: value in (False, 0, "f", "false")))


def keep_while_switched(p: P, switches: Truth, what: str, on: bool) -> Query[Any]:
    """Keeps the events while switches are on, or off."""
    chosen = queries.keep(truths(switches, what), lambda value: value is on)
    return queries.apply_left(p.events, chosen, lambda value, _: value)


def sew(p: P, switches: Truth, other: P) -> P:
    on, off = keep_while_switched(p, switches, "sew", True), keep_while_switched(other, switches, "sew", False)
    return p._new(queries.stack([on, off]))


def stitch(p: P, switches: Truth, other: P) -> P:
    on, off = p.struct(switches), other.struct(invert(Pattern(truths(switches, "stitch"))))
    return p._new(queries.stack([on.events, off.events]))


def within_time(p: P, begin: Number, end: Number, change: Change) -> P:
    low, high = exact(begin, "within_time"), exact(end, "within_time")
    return when_t(p, lambda at: low <= at % 1 < high, change)


def chunk_time(p: P, parts: int, change: Change) -> P:
    n = whole(exact(parts, "chunk_time"), "chunk_time", -MAX_TIMES, MAX_TIMES) or 1
    turns = [within_time(p, Fraction(k, abs(n)), Fraction(k + 1, abs(n)), change).events for k in range(abs(n))]
    return p._new(queries.cat(turns if n > 0 else turns[::-1]))


def while_(p: P, switches: Truth, change: Change) -> P:
    return sew(p._changed(change, 'while_("1 0", fast(2))'), switches, p)


def wedge(p: P, share: Argument, other: P) -> P:
    def divided(at: Fraction) -> Query[Any]:
        if at <= 0 or at >= 1:
            return p.events if at >= 1 else other.events
        return queries.stack([joins.compress(p.events, Fraction(0), at), joins.compress(other.events, at, Fraction(1))])

    return p._new(each(share, "wedge", divided))


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

    how = "mix" if dialects.current() < dialects.STRUDEL else "in_"  # in Tidal cut at the cycle's end

    def soft(q: P) -> P:
        return operate(operate(q, "mul", {"gain": 0.7, "speed": 1.25}, how), "set", {"end": 0.2})

    once = p.superimpose(lambda q: soft(q).late(Fraction(3, 16)))
    return once.superimpose(lambda q: soft(q).late(Fraction(5, 16)))


MAX_LAYERS = 64


def _apply_change_repeatedly(p: P, change: Callable[..., Any], k: int, example: str) -> P:
    """Applies a change k times, or once with k if it also takes a number."""
    if not callable(change):
        return p._changed(change, example)
    try:
        two = len([x for x in inspect.signature(change).parameters.values() if x.default is x.empty and x.kind < 2]) > 1
    except (TypeError, ValueError):
        two = False
    if two:
        return p._changed(lambda q: change(q, k), example)
    for _ in range(k):
        p = p._changed(change, example)
    return p


def layer(p: P, *changes: Change) -> P:
    if not changes:
        raise UsageError("layer takes one or more changes, as in layer(rev, fast(2))")
    return p._new(queries.stack([p._changed(change, "layer(rev, fast(2))").events for change in changes]))


def echo_with(p: P, times: int, cycles: Number, change: Change) -> P:
    count, gap = whole(exact(times, "echo_with"), "echo_with", 1, MAX_LAYERS), exact(cycles, "echo_with")
    example = "echo_with(3, 1/8, add(7))"
    echoes = [_apply_change_repeatedly(p.late(gap * k), change, k, example).events for k in range(count)]
    return p._new(queries.stack(echoes))


def ply_with(p: P, times: Argument, change: Callable[..., Any]) -> P:
    def repeated(n: Fraction) -> Query[Any]:
        count = whole(n, "ply_with", 1, MAX_LAYERS)

        def played(value: Any) -> Query[Any]:
            one, example = p._new(queries.pure(value)), "ply_with(3, add(7))"
            changed = [_apply_change_repeatedly(one, change, k, example) for k in range(1, count)]
            return queries.fastcat([step.events for step in (one, *changed)])

        return joins.join_squeeze(queries.map_values(p.events, played))

    return p._new(each(times, "ply_with", repeated))


def juxcut(p: Any, change: Change) -> Any:
    right = p._changed(change, "juxcut(rev)")
    return p._new(queries.stack([p.set(pan=0, cut=1).events, right.set(pan=1, cut=2).events]))


def apply(p: P, change: Change) -> P:
    return p._changed(change, "apply(fast(2))")


def bypass(p: P, switch: Truth | int) -> P:
    on = truths(bool(switch) if isinstance(switch, int) else switch, "bypass")
    return p._new(queries.for_each(on, lambda value: queries.silence if value else p.events))


# ---- by the number of the cycle


def fold_every(p: P, cycles: Sequence[int], change: Change) -> P:
    for count in cycles:
        p = p.every(count, change)
    return p


def whenmod(p: P, cycles: int, first: int, change: Change) -> P:
    count = whole(exact(cycles, "whenmod"), "whenmod", 1, 1_000_000)
    return p.when(lambda cycle: cycle % count >= first, change)


def when_t(p: P, test: Callable[[Fraction], bool], change: Change) -> P:
    changed = p._changed(change, "when_t(lambda t: t % 1 < 1/2, rev)")

    def passes(event: CycleEvent[Any]) -> bool:
        return bool(test(event.reach.begin))

    return p._new(queries.stack([changed._where(passes).events, p._where(lambda event: not passes(event)).events]))


def ifp(p: P, test: Callable[[int], bool], change: Change, other: Change) -> P:
    yes, no = p._changed(change, "ifp(test, rev, fast(2))"), p._changed(other, "ifp(test, rev, fast(2))")
    return p._new(queries.when(no.events, yes.events, test))


def _chunk(p: P, parts: Any, change: Change, what: str, *, back: bool, into: bool, quick: bool) -> P:
    n = whole(exact(parts, what), what, -MAX_TIMES, MAX_TIMES)
    if n == 0:
        raise UsageError(f"{what} takes a number of parts other than 0")
    count, back = abs(n), back != (n < 0)
    switch = queries.fastcat([queries.pure(k == 0) for k in range(count)])
    places = range(count)
    if back:  # chunk_back begins with the first part, chunk_back_into with the last
        places = range(count - 1, -1, -1) if into else range(0, -count, -1)
    turning = [queries.shift(switch, Fraction(k, count)) for k in places]
    on = Pattern(queries.cat(turning))
    slow = p if quick else p._new(joins.by_number(lambda c: queries.shift(p.events, Fraction(c - c // count))))
    if into:

        def part(span: Span, seed: int) -> list[CycleEvent[Query[Any]]]:
            return [
                event.with_value(looped(event.reach) if event.value else p.events)
                for event in on.query(span.begin, span.end)
            ]

        def looped(span: Span) -> Query[Any]:
            return ribbon(p, span.begin, span.end - span.begin)._changed(change, f"{what}(4, rev)").events

        return p._new(queries.join_inner(part))
    changed = slow._changed(change, f"{what}(4, rev)")
    return p._new(queries.for_each(on.events, lambda value: (changed if value else slow).events))


def fix(p: P, change: Change, **values: Any) -> P:
    return contrast(p, change, lambda q: q, **values)


def contrast(p: P, change: Change, other: Change, **values: Any) -> P:
    if not values:
        raise UsageError('contrast and fix take values by name to compare with, as in fix(fast(2), s="hh")')

    def has(event: CycleEvent[Any]) -> bool:
        return isinstance(event.value, Mapping) and all(event.value.get(k) == v for k, v in values.items())

    yes, no = p._where(has), p._where(lambda event: not has(event))
    example = 'contrast(put(crush=4), put(speed=2), s="hh")'
    return p._new(queries.stack([yes._changed(change, example).events, no._changed(other, example).events]))


EXTRA_WORDS: dict[str, Any] = {
    "euclid_full": lambda p, pulses, steps, other: p._new(
        queries.stack([p.euclid(pulses, steps).events, euclid_inv(other, pulses, steps).events])
    ),
    "euclid_legato_rot": lambda p, pulses, steps, rotation: euclid_legato(p, pulses, steps, rotation),
    "euclid_off": lambda p, pulses, steps, rotation=0: p._new(
        _euclid(pulses, steps, rotation, lambda k, n, r: queries.shift(queries.euclid(p.events, k, n), -r / n))
    ),
    "binary": lambda number: _digits(number, None),
    "binary_n": lambda number, digits=16: _digits(number, whole(exact(digits, "binary_n"), "binary_n", 1, 64)),
    "overlay": lambda p, *others: p._new(
        queries.stack([p.events, *(convert_to_pattern(other).events for other in others)])
    ),
    "stut": lambda p, times, fade, cycles: p.echo(times, cycles, fade),
    "stutter": lambda p, times, cycles: echo_with(p, times, cycles, lambda q: q),
    "ply_for_each": lambda p, times, change: ply_with(p, times, change),
    "last_of": lambda p, cycles, change: p._new(
        each(cycles, "last_of", lambda n: p.every(n, change, whole(n, "last_of", 1, 1_000_000) - 1).events)
    ),
    "chunk_back": lambda p, parts, change: _chunk(p, parts, change, "chunk_back", back=True, into=False, quick=False),
    "slow_chunk": lambda p, parts, change: _chunk(p, parts, change, "slow_chunk", back=False, into=False, quick=False),
    "fast_chunk": lambda p, parts, change: _chunk(p, parts, change, "fast_chunk", back=False, into=False, quick=True),
    "chunk_into": lambda p, parts, change: _chunk(p, parts, change, "chunk_into", back=False, into=True, quick=True),
    "chunk_back_into": lambda p, parts, change: _chunk(
        p, parts, change, "chunk_back_into", back=True, into=True, quick=True
    ),
    "struct_all": lambda p, rhythm: p.keep.out(rhythm),
    "mask_all": lambda p, switches: p.keep.in_(switches),
    "hush": lambda p: p._new(queries.silence),
}
