"""Words for scales, chords and their voicings."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.patterns import dialects, joins, queries
from antiphon.live.patterns.arguments import Argument, number_of, numbers
from antiphon.live.patterns.controls import UNNAMED, ControlPattern, values_of
from antiphon.live.patterns.harmony import note_number, parse_note_name, scale_of, symbol
from antiphon.live.patterns.mini_reading import read
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import CycleEvent, Span
from antiphon.live.patterns.words.time import P

_scale_of = cache(scale_of)
_LETTER = re.compile(r"[a-gA-G][#bsf]{0,2}")
_INTERVALS = {"1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11, "8": 12}


def scale_pattern(name: Argument) -> Query[Any]:
    """Scales by name, or by a text or pattern of names joined by colons: "<c4:major a3:minor>"."""
    if isinstance(name, str):
        if " " in name and not any(sign in name for sign in "<[{,*:"):
            return queries.pure(_scale_of(name))
        return read(name.replace(" ", ":") if "<" not in name and ":" not in name else name, lambda w: (_scale_of(w),))
    if isinstance(name, Pattern):
        return queries.map_values(name.events, lambda value: _scale_of(_joined(value)))
    if isinstance(name, list):
        return queries.pure(_scale_of(_joined(name)))
    raise UsageError(f'scale takes a name, as in scale("c4:minor"), not {str(name)[:40]!r}')


def _joined(value: Any) -> str:
    return ":".join(map(str, value)) if isinstance(value, list) else str(value)


def degree_note(given: Any, value: Any, whole: Callable[[float], int] = round) -> Any:
    """Note of a scale degree; "2#" and "2b" are raised and lowered. `whole`: rounds a fraction of a degree."""
    text = str(value)
    if text[:1].isalpha() and parse_note_name(text) is not None:
        return _nearest(given, value)
    shift = text.count("#") - text.count("b") if isinstance(value, str) else 0
    try:
        number = float(text.strip("#b"))
    except ValueError:
        raise UsageError(f"a degree of a scale is a whole number, not {text[:40]!r}") from None
    return given[whole(number)] + shift


def scale(p: P, name: Argument) -> P:
    rounds = math.ceil if dialects.current() == dialects.STRUDEL else round

    def noted(value: Any, given: Any) -> Any:
        if not isinstance(value, dict):
            return degree_note(given, value, rounds)
        for degree in ("n", UNNAMED):
            if degree in value:
                note = degree_note(given, value[degree], rounds)
                return {**{k: v for k, v in value.items() if k != degree}, "note": note}
        if "note" in value:  # notes are moved to the nearest of the scale
            return {**value, "note": _nearest(given, value["note"])}
        return value

    return p._new(queries.apply_left(p.events, scale_pattern(name), noted))


def _nearest(given: Any, note: Any) -> Any:
    number = note_number(note)
    octave = int((number - given.root) // 12)
    notes = [given[k + octave * len(given)] for k in range(-1, len(given) + 1)]
    return min(notes, key=lambda known: (abs(known - number), -known))


def to_scale(p: P, steps: Sequence[int]) -> P:
    if isinstance(steps, str) or not steps:
        raise UsageError("to_scale takes a list of semitones, as in to_scale([0, 2, 7])")
    given = list(steps)
    return p.map(lambda v: given[int(v) % len(given)] + 12 * (int(v) // len(given)))


def _change_note_values(p: P, argument: Query[Any], change: Callable[[Any, Any], Any]) -> P:
    def changed(value: Any, by: Any) -> Any:
        if not isinstance(value, dict):
            return change(note_number(value), by)
        if "note" not in value:
            return value
        return {**value, "note": change(note_number(value["note"]), by)}

    return p._new(queries.apply_left(p.events, argument, changed))


def _semitones(word: Any) -> float:
    text = str(word)
    try:
        return float(text)
    except ValueError:
        pass
    sign, size, kind = (-1 if "-" in text else 1), text.strip("-PMmAd"), text.strip("-0123456789")
    if size not in _INTERVALS or kind not in ("P", "M", "m", "A", "d"):
        raise UsageError(f"transpose takes semitones, or intervals as 3M and 5P, not {text[:40]!r}")
    perfect = size in "1458"
    shift = {"P": 0, "M": 0, "m": -1, "A": 1, "d": -1 if perfect else -2}[kind]
    return sign * (_INTERVALS[size] + shift)


def transpose(p: P, by: Argument) -> P:
    given = read(by, lambda w: (_semitones(w),)) if isinstance(by, str) else numbers(by, "transpose")
    return _change_note_values(p, given, lambda note, steps: note + steps)


def scale_transpose(p: P, steps: Argument, name: Argument = "c4:major") -> P:
    pairs = queries.apply_both(numbers(steps, "scale_transpose"), scale_pattern(name), lambda a, b: (a, b))

    def moved(note: Any, pair: Any) -> Any:
        by, given = pair
        near = _nearest(given, note)
        octave = int((near - given.root) // 12)
        degree = next(k for k in range(len(given)) if given[k] + 12 * octave == near) + octave * len(given)
        return given[degree + round(float(by))]

    return _change_note_values(p, pairs, moved)


# ---- chords


def chords(names: Argument) -> Pattern[str]:
    query = read(names, lambda w: (w,)) if isinstance(names, str) else values_of("", names, plain=True)
    return Pattern(query)


def _with_chord(value: Any, given: Any) -> dict[str, Any]:
    return {**(value if isinstance(value, dict) else {"n": value}), **given}


def _set_voicing_value(p: Any, name: str, argument: Argument) -> ControlPattern:
    """Sets a value that `voicing` reads on a pattern of chords."""

    def named(value: Any, given: Any) -> dict[str, Any]:
        return {**_chord_event_values(value), **given}

    return ControlPattern(queries.apply_left(p.events, values_of(name, argument), named))


def _chord_event_values(value: Any) -> dict[str, Any]:
    """Values of a chord event; a bare or unnamed value becomes its `chord`."""
    if not isinstance(value, dict):
        return {"chord": value}
    return {"chord" if name == UNNAMED and "chord" not in value else name: one for name, one in value.items()}


def _chord_notes(
    event: CycleEvent[Any], value: dict[str, Any], notes: Callable[[str], Sequence[Any]], offset: int = 0
) -> list[CycleEvent[Any]]:
    """The notes of an event's chord; with a number `n`, only the note at that position.

    Values that control the voicing are removed.
    """
    name = value.pop("chord", None)
    for asked in ("anchor", "mode", "offset"):
        value.pop(asked, None)
    if not isinstance(name, str):
        raise UsageError('there is no chord to voice; write chords("<Am7 F^7>").voicing()')
    given = notes(name)
    if "n" in value:
        given = (_place(given, round(float(value.pop("n"))) + offset),)
    return [event.with_value({**value, "note": note}) for note in given]


def _place(notes: Sequence[Any], place: int) -> Any:
    """Note of a chord by its position from the bottom, which continues in further octaves."""
    octave, at = divmod(place, len(notes))
    return notes[at] + 12 * octave


@cache
def _voice_chord(name: str, highest: int) -> tuple[int, ...]:
    """Notes of a chord in close position above its bass, with the top one at or below `highest`."""
    notes, bass = symbol(name)
    classes = sorted({int(note) % 12 for note in notes})
    top = max(n for n in range(highest - 11, highest + 1) if n % 12 in classes)
    upper = [n for n in range(top - 11, top + 1) if n % 12 in classes]
    if bass == int(notes[0]) % 12:
        return tuple(upper)
    below = upper[0] - 1
    return below - (below - bass) % 12, *upper


def voicing(p: P, anchor: str | int = "c5") -> ControlPattern:
    highest = int(note_number(anchor))

    def query(span: Span, seed: int) -> list[CycleEvent[Any]]:
        found: list[CycleEvent[Any]] = []
        for event in p.events(span, seed):
            value = _chord_event_values(event.value)
            top = int(note_number(value.pop("anchor", highest)))
            shift = int(value.pop("offset", 0))
            found += _chord_notes(event, value, partial(_voice_chord, highest=top), shift)
        return found

    return ControlPattern(query)


def root_notes(p: P, octave: int = 2) -> ControlPattern:
    number = int(number_of(octave, "root_notes"))

    def query(span: Span, seed: int) -> list[CycleEvent[Any]]:
        found: list[CycleEvent[Any]] = []
        for event in p.events(span, seed):
            value = _chord_event_values(event.value)
            found += _chord_notes(event, value, lambda name: (12 * (number + 1) + symbol(name)[1],))
        return found

    return ControlPattern(query)


def inversion(p: P, times: int) -> P:
    count = int(number_of(times, "inversion"))

    def query(span: Span, seed: int) -> list[CycleEvent[Any]]:
        found: list[CycleEvent[Any]] = []
        for together in joins.notes_together(p.events)(span, seed):
            notes = sorted(together.value, key=lambda e: _height(e.value))
            for place, event in enumerate(notes):
                octaves = (count - place + len(notes) - 1) // len(notes)
                found.append(event.with_value(_transpose_value(event.value, 12 * octaves)))
        return found

    return p._new(query)


def _height(value: Any) -> Any:
    return note_number(value["note"]) if isinstance(value, dict) and "note" in value else value


def _transpose_value(value: Any, by: int) -> Any:
    return {**value, "note": note_number(value["note"]) + by} if isinstance(value, dict) else value + by


# ---- one note after the other


def _there_and_back(n: list[Any]) -> list[Any]:
    return n[:-1] + n[:0:-1]


_MODES: dict[str, Callable[[list[Any]], list[Any]]] = {
    "up": lambda n: n,
    "down": lambda n: n[::-1],
    "updown": lambda n: n[:-1] + n[:0:-1] if len(n) > 1 else n,
    "downup": lambda n: n[:0:-1] + n[:-1] if len(n) > 1 else n,
    "up&down": lambda n: n + n[::-1],
    "down&up": lambda n: n[::-1] + n,
    "converge": lambda n: [n[k // 2] if k % 2 == 0 else n[-1 - k // 2] for k in range(len(n))],
    "diverge": lambda n: _MODES["converge"](n)[::-1],
    "disconverge": lambda n: _MODES["converge"](n) + _MODES["diverge"](n)[1:],
    "pinkyup": lambda n: [x for one in n[:-1] for x in (one, n[-1])],
    "pinkyupdown": lambda n: _there_and_back(_MODES["pinkyup"](n)),
    "thumbup": lambda n: [x for one in n[1:] for x in (n[0], one)],
    "thumbupdown": lambda n: _there_and_back(_MODES["thumbup"](n)),
}


def arp(p: P, mode: Argument) -> P:
    text = mode if isinstance(mode, str) else ""
    if text and any(c.isalpha() for c in text):

        def known(name: str) -> tuple[Any]:
            if name not in _MODES:
                from antiphon.kernel.runtime.suggestion import instead

                raise UsageError(f"there is no arpeggio {name[:40]!r}{instead(name, _MODES)}")
            return (_MODES[name],)

        modes = read(text.replace("&", "and"), lambda w: known(w.replace("and", "&")))
        return p._new(queries.for_each(modes, lambda order: _run(p.events, order)))
    together = joins.notes_together(p.events)

    def chosen(number: float, notes: list[CycleEvent[Any]]) -> Any:
        return notes[round(float(number)) % len(notes)].value

    def picked(notes: list[CycleEvent[Any]]) -> Query[Any]:
        return queries.map_values(numbers(mode, "arp"), lambda k: chosen(k, notes))

    return p._new(queries.for_each(together, picked))


def _run(query: Query[Any], order: Callable[[list[Any]], list[Any]]) -> Query[Any]:
    def found(span: Span, seed: int) -> list[CycleEvent[Any]]:
        events: list[CycleEvent[Any]] = []
        for together in joins.notes_together(query)(span, seed):
            assert together.whole is not None
            notes = order(together.value)
            length = (together.whole.end - together.whole.begin) / max(1, len(notes))
            for place, event in enumerate(notes):
                here = Span(together.whole.begin + place * length, together.whole.begin + (place + 1) * length)
                part = here.overlap(span)
                if part is not None:
                    events.append(CycleEvent(here, part, event.value, event.places))
        return events

    return found


def arp_with(p: P, choose: Callable[[list[Any]], Any]) -> P:
    def made(events: list[CycleEvent[Any]]) -> Query[Any]:
        result = choose([event.value for event in events])
        return result.events if isinstance(result, Pattern) else queries.pure(result)

    return p._new(queries.for_each(joins.notes_together(p.events), made))


def in_octave(p: P, octave: int) -> P:
    def noted(value: Any) -> Any:
        if isinstance(value, Mapping) and UNNAMED in value:
            return {**value, UNNAMED: noted(value[UNNAMED])}
        return f"{value}{octave}" if isinstance(value, str) and _LETTER.fullmatch(value) else value

    return p._new(queries.map_values(p.events, noted))


EXTRA_WORDS: dict[str, Any] = {
    "octave": lambda p, octaves: _change_note_values(p, numbers(octaves, "octave"), lambda note, k: note + 12 * k),
    "up": lambda p, semitones: _change_note_values(p, numbers(semitones, "up"), lambda note, k: note + k),
    "chord": lambda p, names=None: (
        ControlPattern(values_of("chord", p))
        if names is None
        else p._new(queries.apply_left(p.events, values_of("chord", names), _with_chord))
    ),
    "anchor": lambda p, note: _set_voicing_value(p, "anchor", note),
    "mode": lambda p, name: _set_voicing_value(p, "mode", name),
    "offset": lambda p, places: _set_voicing_value(p, "offset", places),
    "arpeggiate": lambda p: p._new(_run(p.events, lambda notes: notes)),
}
