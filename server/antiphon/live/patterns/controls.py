"""Control patterns: events with the named values of a note, such as `s` `n` `note` `speed`."""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Self, TypeAlias, overload

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects, queries
from antiphon.live.patterns.arguments import Argument, each, figure, name_value, numbers, whole
from antiphon.live.patterns.harmony import Scale, note_words, parse_note_name, scale_of
from antiphon.live.patterns.mini_reading import read
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Number, Span, exact

Value: TypeAlias = float | int | str | bool
Values: TypeAlias = Mapping[str, Value]
"""Names and values of one note."""
UNNAMED = ""
"""Name of a value that a later `note`, `n` or `s` renames."""
MAX_ECHOES, MAX_PIECES = 64, 1024
"""Maximum repeats of `echo`, and pieces of `chop`."""


class ControlPattern(Pattern[Values]):
    """A pattern of notes: each event has named values such as `s`, `n`, `note`, `velocity`, `speed`, `pan`.

    `note`, `velocity` (1 to 127), `length` (in beats) and `legato` (a factor of the event's length) apply to every
    instrument; further names depend on the node, such as the sampler's `s n speed begin end cut pan gain`.
    """

    __slots__ = ()

    def set(self, **values: Argument) -> Self:
        """Sets further values of each event, replacing those of the same name.

        Args:
            values: By name: a number, a text in mini-notation or a pattern, such as `pan=sine`, `speed="1 <2 3>"`.
        """
        return self._with(values, lambda old, new: new, sets=True)

    def add(self, other: Argument = 0, **values: Argument) -> Self:
        """Adds to values of each event: `add(speed=1)`. A missing value counts as 0.

        `other`: semitones for its notes: `add("<0 7>")`; `values`: by name.
        """
        steps = Pattern(numbers(other, "add")) if isinstance(other, str) else other  # no names of notes
        given = {"note": steps, **values} if not isinstance(other, int) or other else values
        noted = self
        if dialects.current() < dialects.STRUDEL and "note" in given:  # Tidal's note 0
            noted = self._new(queries.map_values(self.events, _with_zero))
        return noted._with(given, lambda old, new: _sum(old, new))

    def __add__(self, other: Argument) -> Self:
        """Transposes the pattern's notes."""
        return self.add(other)

    def times(self, **values: Argument) -> Self:
        """Multiplies values of each event: `times(speed=2)`. A missing value counts as 1."""
        return self._with(values, lambda old, new: _product(old, new))

    def _with(self, values: Mapping[str, Argument], join: Callable[[Any, Any], Value], *, sets: bool = False) -> Self:
        result, named = self.events, (lambda old, new: new) if sets else _rename_note_value
        for name, argument in values.items():
            given = values_of(name, argument)
            result = queries.apply_left(
                result, given, lambda old, new: {**old, **{k: join(old.get(k), v) for k, v in named(old, new).items()}}
            )
        return self._new(result)

    def jux(self, change: Callable[[Self], Self]) -> Self:
        """Plays the pattern on the left and a changed copy on the right."""
        return self.jux_by(1, change)

    def jux_by(self, amount: Argument, change: Callable[[Self], Self]) -> Self:
        """Plays the pattern left and a changed copy right. `amount`: 0 has both in the middle, 1 is full separation."""
        strudel = dialects.current() == dialects.STRUDEL

        def panned(query: Query[Values], by: float) -> Query[Values]:
            if not strudel:
                return queries.map_values(query, lambda values: {**values, "pan": 0.5 + by})
            return queries.map_values(  # from where it is
                query, lambda values: {**values, "pan": min(max(plain_number(values.get("pan", 0.5)) + by, 0.0), 1.0)}
            )

        def parted(width: Fraction) -> Query[Values]:
            away = float(width) / 2
            if strudel:  # changed where it is
                right = self._new(panned(self.events, away))._changed(change, "jux(rev)").events
            else:
                right = panned(self._changed(change, "jux(rev)").events, away)
            return queries.stack([panned(self.events, -away), right])

        return self._new(each(amount, "jux_by", parted))

    def echo(self, times: int, cycles: Number, fade: float = 0.6) -> Self:
        """Repeats each event later and softer.

        Args:
            times: Total number of soundings, 1 to 64.
        """
        count = whole(exact(times, "echo"), "echo", 1, MAX_ECHOES)
        gap = exact(cycles, "echo")

        def repeated(k: int) -> Query[Values]:
            def softer(values: Values) -> Values:
                return {**values, "velocity": max(1.0, plain_number(values.get("velocity", 100.0)) * fade**k)}

            return queries.map_values(queries.shift(self.events, gap * k), softer) if k else self.events

        return self._new(queries.stack([repeated(k) for k in range(count)]))

    def chop(self, pieces: Argument) -> Self:
        """Cuts each sample into `pieces` parts, played one after the other within the event's length."""

        def query(span: Span, seed: int, count: int) -> list[CycleEvent[Values]]:
            found: list[CycleEvent[Values]] = []
            for event in self.events(span, seed):
                if event.whole is None:
                    continue
                length = (event.whole.end - event.whole.begin) / count
                first, last = plain_number(event.value.get("begin", 0.0)), plain_number(event.value.get("end", 1.0))
                for k in range(count):
                    at = event.whole.begin + k * length
                    piece = Span(at, at + length)
                    part = piece.overlap(event.part)
                    if part is not None:
                        begin, end = (first + (last - first) * place / count for place in (k, k + 1))
                        edges = {"begin": begin, "end": end}
                        found.append(CycleEvent(piece, part, {**event.value, **edges}, event.places))
            return found

        def cut(pieces: Fraction) -> Query[Values]:
            count = whole(pieces, "chop", 1, MAX_PIECES)
            return lambda span, seed: query(span, seed, count)

        return self._new(each(pieces, "chop", cut))


def _with_zero(values: Values) -> Values:
    """Values with the note that Tidal's 0 is here, where they have none: of a sample c2, of a synth c4."""
    if "note" in values or UNNAMED in values or "s" not in values:
        return values
    return {**values, "note": 60 if str(values["s"]).startswith("super") else 36}


def unnamed(p: Pattern[Any]) -> ControlPattern:
    """A pattern whose plain values are named later, as `mini("c4 e4").gain(0.5).note()`."""
    return ControlPattern(queries.map_values(p.events, lambda v: v if isinstance(v, Mapping) else {UNNAMED: v}))


def _rename_note_value(old: Values, new: Values) -> Values:
    """Renames a new value for the note to the unnamed one if the old values have that and no note."""
    unnamed = UNNAMED in old and "note" not in old
    return {UNNAMED if unnamed and name == "note" else name: value for name, value in new.items()}


class _Silence(ControlPattern):
    """A pattern without events, written with or without parentheses; as a change it silences a pattern."""

    def __call__(self, pattern: Pattern[Any] | None = None) -> Any:
        return self

    def _new(self, events: Query[Values]) -> Any:
        return ControlPattern(events)


silence = _Silence(queries.silence)
"""A pattern without events."""


def plain_number(value: Value) -> float:
    """Number of a value. Raises `UsageError` for a word."""
    if isinstance(value, str):
        raise UsageError(f"a number is wanted here, not {value[:40]!r}")
    return float(value)


def _sum(old: Value | None, new: Value) -> Value:
    return (
        new if old is None else old + new if isinstance(old, str) and isinstance(new, str) else _add_numbers(old, new)
    )


def _add_numbers(old: Value, new: Value) -> Value:
    numbers = [parse_note_name(one) if isinstance(one, str) else one for one in (old, new)]
    if None in numbers:
        raise UsageError(f"{old!r} and {new!r} cannot be added: one of them is a word")
    return sum(numbers)  # type: ignore[arg-type]


def _product(old: Value | None, new: Value) -> Value:
    old = 1 if old is None else old
    if isinstance(old, str) or isinstance(new, str):
        raise UsageError(f"{old!r} and {new!r} cannot be multiplied: one of them is a word")
    return old * new


def _word_or_number(word: str) -> tuple[Value]:
    try:
        return figure(word)
    except UsageError:
        return (word,)


def _sound(word: str) -> tuple[Values]:
    name, _, number = word.partition(":")
    number, _, gain = number.partition(":")
    found: dict[str, Value] = {"s": name}
    if number:
        found["n"] = int(figure(number)[0])
    return ({**found, "gain": figure(gain)[0]} if gain else found,)


def values_of(name: str, argument: Argument, *, plain: bool = False) -> Query[Any]:
    """Query of a control's values: `{name: value}`, or the bare value if `plain`; `s="bd:2:.5"` sets `n`, `gain`."""
    named: Query[Any]
    if isinstance(argument, str):
        if name == "s":
            return read(argument, _sound)
        named = read(argument, note_words if name == "note" else _word_or_number)
    elif isinstance(argument, bool | int | float | Fraction):
        named = queries.pure(float(argument) if isinstance(argument, Fraction) else argument)
    elif isinstance(argument, Scale | Sequence):
        named = queries.stack([queries.pure(one) for one in argument])
    elif hasattr(argument, "events"):
        named = argument.events
    else:
        raise UsageError(f"{name} takes a number, a text or a pattern, not {name_value(argument)}")

    if plain:
        return named

    def one(value: Any) -> Values:
        if isinstance(value, Mapping):
            if UNNAMED not in value:
                return value
            return {**{k: v for k, v in value.items() if k != UNNAMED}, **one(value[UNNAMED])}
        if name == "s" and isinstance(value, str):
            return _sound(value)[0]
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"{name} takes numbers and words, not {str(value)[:40]!r}")
        return {name: value}

    return queries.map_values(named, one)


def s(sounds: Argument, **values: Argument) -> ControlPattern:
    """Sounds of a sampler by the names of their folders: `s("bd*2 sn:3")` plays sound 3 of `sn`.

    `sounds`: names in mini-notation; `values`: further values, such as `speed=2`.
    """
    return ControlPattern(values_of("s", sounds)).set(**values)


def n(numbers: Argument, **values: Argument) -> ControlPattern:
    """Sounds of a folder by their numbers: `n("0 2", s="hh")`."""
    return ControlPattern(values_of("n", numbers)).set(**values)


def note(notes: Argument, **values: Argument) -> ControlPattern:
    """Notes by name or MIDI number: `note("c4 e4 <g4 a4>")`, `note("c'min7")`, `note(60)`.

    Args:
        notes: In mini-notation, a number, or a pattern of numbers, such as that of `scale`.
        values: Further values, such as `velocity=90`, `legato=0.5`, or `s="pluck"` for a sampler.
    """
    return ControlPattern(values_of("note", notes)).set(**values)


def synth(name: str, note: Argument = "c4", **values: Argument) -> ControlPattern:
    """Notes of a node `synth` with values of its SynthDef by name: `synth("mysaw", note="c4 e4", cutoff=800)`."""
    return ControlPattern(values_of("note", note)).set(synth=name, **values)


def mini(text: str) -> Pattern[Any]:
    """A pattern of the numbers and words of a text in mini-notation, for example for `mask`, `scale` or arithmetic."""
    return Pattern(read(text, _word_or_number))


@overload
def scale(name: str) -> Scale: ...
@overload
def scale(name: str, degrees: Argument) -> Pattern[float]: ...
def scale(name: str, degrees: Argument | None = None) -> Scale | Pattern[float]:
    """A scale, or the notes of its degrees as a pattern: `note(scale("c4 minor", "0 2 4 <7 9>"))`.

    Args:
        name: Root and name, such as "c4 minor"; the names are Tidal's.
        degrees: 0 is the root; degrees beyond the last are in the next octave.

    Raises:
        UsageError: The note or the scale is unknown.
    """
    if not isinstance(name, str):
        raise UsageError('scale("…", …) takes the name of one scale, a text such as "c4 minor"')
    if re.search(r"[][<>{}*,|]", name):
        raise UsageError(
            'scale("…", …) takes one scale; one that changes is a change of the degrees: '
            f'n("0 2 4").scale("{name[:60]}")'
        )
    found = scale_of(name)
    if degrees is None:
        return found

    def degree(values: Values) -> float:
        value = values["degree"]
        if isinstance(value, str) or value != int(value):
            raise UsageError(f"a degree is a whole number, not {str(value)[:40]!r}")
        return found[int(value)]

    return Pattern(queries.map_values(values_of("degree", degrees), degree))
