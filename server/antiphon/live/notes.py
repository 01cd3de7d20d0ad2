"""Converts the values of a pattern's event to commands."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.shortening import is_finite_number, short_repr
from antiphon.kernel.session.play import is_held
from antiphon.live.patterns.controls import UNNAMED, plain_number
from antiphon.live.patterns.harmony import HIGHEST, note_number
from antiphon.live.patterns.spans import Places, exact, mark
from antiphon.live.patterns.words.table import print_remark_once
from antiphon.live.records import OUTSIDE, LiveEvent, LiveNote, check_node_name

VELOCITY = 100.0
"""Default velocity of a note, 1 to 127."""
SAMPLER = "drums"
"""Default node for samples, by its name in the shipped patches with a sampler."""
COMMON_VALUES = ("note", "velocity", "legato", "length", "channel")
"""Value names common to all instruments; an event with other names is a note with custom values."""
MACRO_VALUES = {
    "room": "room", "delay": "echo", "size": "size/value", "delaytime": "time/value", "delayfeedback": "repeats",
    "phaser": "phaser/value", "duckdepth": "duck",
}  # fmt: skip
"""Shared values of the whole patch, with the macro that takes each; with /value if it is in seconds or cycles."""
_SHARED = frozenset({*MACRO_VALUES, "duckorbit", "duckattack"})
_MOST = 1e9
_LEVELS = ("postgain", "distortvol")
"""Values that multiply `gain`."""
_DIP = Fraction(1, 64)
"""Beats from a note that ducks others until their level rises again."""
_BEYOND = 60
"""Range in notes beyond MIDI's within which notes are silent; those farther away are refused."""
_SHORTEST = Fraction(1, 1000)
_CONTROLLER = (("ccn", 0, HIGHEST), ("channel", 1, 16))


def to_commands(
    values: Mapping[str, Any],
    beat: Fraction,
    length: Fraction,
    on: str,
    source: str,
    line: int,
    places: Places = (),
    cycle: Fraction = Fraction(4),
) -> LiveEvent | LiveNote:
    """Command of an event of `length` beats: a note, or `/node/NAME/play` for a note with custom values.

    `on`: the node; "" for every note-taking node, or `SAMPLER` for sampler-only values. `source`: the track's or loop's
    name; `places`: its positions in the script; `cycle`: beats of a cycle.

    Raises UsageError: a value that notes do not take.
    """
    if not _SHARED.isdisjoint(values):
        values = {name: value for name, value in values.items() if name not in _SHARED}
    if isinstance(values.get("on"), str):  # a node
        on = check_node_name(values["on"])
        values = {name: value for name, value in values.items() if name != "on"}
    if isinstance(values.get("n"), str):  # the name of a note
        values = {**{name: value for name, value in values.items() if name != "n"}, "note": values["n"]}
    if values.get("n", 0) < 0:  # from the end, as SuperDirt counts; sets that are kept know n from 0 on
        values = {**values, "n": 0, "fromend": -round(float(values["n"]))}
    if UNNAMED in values and not values.keys().isdisjoint(("note", "s", "n")):
        values = {name: value for name, value in values.items() if name != UNNAMED}
    if UNNAMED in values:
        bare = repr(str(values[UNNAMED])[:40])
        raise UsageError(f"{bare} is a value without a name: end the pattern with .note() or .s()")
    if "ccn" in values or "ccv" in values:
        kept = {name: value for name, value in values.items() if name not in ("ccn", "ccv")}
        if kept.keys().isdisjoint(("note", "s", "n")):
            return _controller(values, beat, on, source, line)
        values = kept
    if not values.keys().isdisjoint(_LEVELS):
        level = math.prod(plain_number(values.get(name, 1.0)) for name in ("gain", *_LEVELS))
        values = {name: value for name, value in values.items() if name not in _LEVELS} | {"gain": level}
    if "unit" in values:
        values = _convert_speed_to_beats(values, cycle)
    if "synth" in values or all(name in COMMON_VALUES for name in values):
        return _note(values, beat, length, on, source, line, places)
    args: list[Any] = []
    for name, value in values.items():
        if name == "note":
            value = _whole(value, "note", 0, HIGHEST)
        elif name == "velocity":
            value = _velocity(values)
        elif name in COMMON_VALUES:
            continue
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"{name} takes a number or a word, not {str(value)[:40]!r}")
        args += [name, value]
    lasts = "legato" in values or "length" in values or is_held(values.get("s"))
    if lasts and not values.keys().isdisjoint(("s", "n")):  # of a sampler
        args += ["lasts", float(_length(values, length))]
    # a message to a node is a note with values where the first argument is a word
    return LiveEvent(beat, f"/node/{on or SAMPLER}/play", tuple(args), source, line, mark(places, length))


def _note(
    values: Mapping[str, Any], beat: Fraction, length: Fraction, on: str, source: str, line: int, places: Places
) -> LiveNote:
    if "note" not in values:
        raise UsageError('there is nothing to play in it: give it s or note, as in s("bd") or note("c4")')
    lasts, channel = _length(values, length), _whole(values.get("channel", 1), "channel", 1, 16)
    on = on or (check_node_name(values["synth"]) if "synth" in values else "")
    own: tuple[Any, ...] = ()
    if not on.startswith(OUTSIDE):  # MIDI has no values by name
        named = {name: value for name, value in values.items() if name not in (*COMMON_VALUES, "synth")}
        own = tuple(part for pair in named.items() for part in pair)
    channel = 1 if own else channel  # as `/node/NAME/play` begins it
    note, lit = _whole(values["note"], "note", 0, HIGHEST), mark(places, lasts)
    return LiveNote(beat, note, _velocity(values), lasts, on, channel, source, line, lit, own)


def _controller(values: Mapping[str, Any], beat: Fraction, on: str, source: str, line: int) -> LiveEvent:
    if "ccn" not in values or "ccv" not in values:
        raise UsageError("a controller has a number and a value, as in ccn(74).ccv(100)")
    given = values["ccv"]
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= HIGHEST:
        raise UsageError(f"ccv takes 0 to {HIGHEST}, not {str(given)[:40]!r}")
    number, channel = (_whole(values.get(name, 1), name, low, high) for name, low, high in _CONTROLLER)
    share = given if given <= 1 else given / HIGHEST
    return LiveEvent(beat, "/cc", (number, float(share), channel, *((on,) if on else ())), source, line)


def is_silent(values: Mapping[str, Any]) -> bool:
    """True for a note without length, as after `clip(0)`, or slightly beyond MIDI's notes, which is reported once."""
    note, legato = values.get("note", 0), values.get("legato", 1)
    if isinstance(legato, int | float) and legato <= 0:
        return True
    if not isinstance(note, int | float) or -0.5 <= note <= HIGHEST + 0.5 or not -_BEYOND <= note <= HIGHEST + _BEYOND:
        return False
    print_remark_once(f"Notes below 0 or above {HIGHEST} are too low or too high to be heard, and are silent.")
    return True


def clip_velocity(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Clips a computed velocity to its range, and returns the event's values; clipping is reported once."""
    velocity = values.get("velocity", VELOCITY)
    if not is_finite_number(velocity) or 1 <= velocity <= HIGHEST:
        return values
    print_remark_once(f"Velocities go from 1 to {HIGHEST}; what is beyond is played as the nearest of these.")
    return {**values, "velocity": min(max(velocity, 1), HIGHEST)}


def to_macros(values: Mapping[str, Any], beat: Fraction, on: str, source: str, line: int) -> list[LiveEvent]:
    """Macros and the controller that an event with a note sets on its beat; `to_commands` ignores these values."""
    if "duckorbit" in values:
        values = {"duckdepth": 1.0, **values}
    elif "duckdepth" in values:
        values = {name: value for name, value in values.items() if name != "duckdepth"}
    control = [] if {"ccn", "ccv"}.isdisjoint(values) or {"note", "s", "n"}.isdisjoint(values) else ["ccn"]
    set_ = [
        LiveEvent(beat, f"/macro/{MACRO_VALUES[name]}", (_place(name, value),), source, line)
        for name, value in values.items()
        if name in MACRO_VALUES
    ]
    if "duckdepth" in values:
        rise = float(exact(values.get("duckattack", 0.1), "duckattack"))
        set_.append(LiveEvent(beat + _DIP, f"/macro/{MACRO_VALUES['duckdepth']}", (0.0, max(rise, 0.0)), source, line))
    return [_controller(values, beat, on, source, line) for _ in control] + set_


def _place(name: str, value: Any) -> float:
    """Scales a value for a macro: Strudel's rooms and echoes exceed 0 to 1, and are clipped here."""
    counted = MACRO_VALUES[name].endswith("/value")
    least, most = (-_MOST, _MOST) if counted else (0.0, 1.0)
    if not is_finite_number(value):
        wanted = "a number" if counted else "0 to 1"
        raise UsageError(f"{name} takes {wanted}, not {short_repr(value)}")
    return round(min(max(float(value), least), most), 6)


def _convert_speed_to_beats(values: Mapping[str, Any], cycle: Fraction) -> dict[str, Any]:
    """Replaces `speed` in cycles by `beats`: 1 plays the sound in one cycle."""
    found = {name: value for name, value in values.items() if name != "unit"}
    if values["unit"] not in ("c", "r"):
        raise UsageError(
            f"unit takes c (speed counts cycles) or r (speed is a factor), not {str(values['unit'])[:40]!r}"
        )
    speed, begin, end = (plain_number(found.get(name, at)) for name, at in (("speed", 1), ("begin", 0), ("end", 1)))
    if values["unit"] == "c" and speed:
        found |= {"beats": (end - begin) * float(cycle) / abs(speed), "speed": 1.0 if speed > 0 else -1.0}
    return found


def _length(values: Mapping[str, Any], length: Fraction) -> Fraction:
    legato = exact(values["legato"], "legato") if "legato" in values else Fraction(1)
    given = exact(values["length"], "length") if "length" in values else length * legato
    if given <= 0:
        raise UsageError("a note's length is above 0")
    return max(given, _SHORTEST)


def _velocity(values: Mapping[str, Any]) -> float:
    value = values.get("velocity", VELOCITY)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= HIGHEST:
        raise UsageError(f"velocity takes 1 to {HIGHEST}, not {str(value)[:40]!r}")
    return value if value > 1 else 1  # as a float it would be the full velocity


def _whole(value: Any, what: str, low: int, high: int) -> int:
    number = note_number(value) if what == "note" else value
    # NaN is within no range
    if isinstance(number, bool) or not isinstance(number, int | float) or not low - 0.5 <= number <= high + 0.5:
        raise UsageError(f"{what} takes {low} to {high}, not {str(value)[:40]!r}")
    return min(max(round(number), low), high)
