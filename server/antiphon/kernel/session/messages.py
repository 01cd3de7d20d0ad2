"""Messages that change the sound, read as commands: those of OSC, of event files and of live scripts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from antiphon.kernel.contract.params import Param, Value, clamp_rounding
from antiphon.kernel.errors import MissingArgument, RequestError
from antiphon.kernel.graph.macros import Macro
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.runtime.shortening import check_number, count_of
from antiphon.kernel.session.commands import Command, SetParam, When
from antiphon.kernel.session.play import ROUNDING
from antiphon.kernel.session.records import RecordRow
from antiphon.kernel.wire.osc import IMPULSE

Args: TypeAlias = Sequence[object]
FindParam: TypeAlias = Callable[[str, str], Param]
"""(node, parameter) → its declaration, or an `AntiphonError` that lists the known ones."""
MAX_RAMP = 3600.0
_NORM = Param("norm")
_ANY = 1e38


def check_count(args: Args, count: int, takes: str) -> None:
    """Rejects more than `count` arguments; `takes` names the allowed ones in the message."""
    if len(args) > count:
        raise RequestError(f"takes {takes or 'no arguments'}; it came with {count_of(len(args), 'argument')}")


def number(
    args: Args,
    at: int,
    name: str,
    low: float,
    high: float,
    default: Any = ...,
    *,
    whole: bool = False,
    switch: bool = True,
    takes: str = "",
) -> Any:
    """Argument `at`, as `check_number`; without a `default` it is required. `switch`: true is 1, as buttons send it.

    A float beyond an end of the range by no more than `ROUNDING` is that end.
    """
    if at >= len(args):
        if default is ...:
            raise MissingArgument(f"{name} is missing: it takes {takes or f'{low:g} to {high:g}'}")
        return default
    value = args[at]
    value = int(value) if switch and isinstance(value, bool) else value
    if isinstance(value, float) and not low <= value <= high:
        value = next((end for end in (low, high) if abs(value - end) <= ROUNDING * max(1.0, abs(end))), value)
    return check_number(value, name, low, high, whole=whole, takes=takes)


def plain(row: RecordRow, args: Args, when: When) -> Command:
    """Makes a command whose fields, in order, are the arguments; those without a default are required."""
    check_count(args, len(row.fields), " ".join(row.names))
    given = max(len(args), row.least)
    values = {field.name: number(args, at, field.name, *field.bounds) for at, field in enumerate(row.fields[:given])}
    command: Command = row.record(**values, when=when)
    return command


def parameter(node: str, param: Param, args: Args, when: When, *, norm: bool = False) -> SetParam:
    """A parameter's value, or its position from 0 to 1 (`norm`), then a ramp in seconds; a trigger takes at most a
    number.

    The value has a type that a parameter may have; the session checks it.
    """
    if param.kind == "trigger":
        check_count(args, 1, "nothing, or a number other than 0")
        return SetParam(node, param.name, _plain(param, True if not args or args[0] is IMPULSE else args[0]), 0.0, when)
    if not args:
        raise MissingArgument(f"{param.name} is missing: {'0 to 1' if norm else param.allowed}")
    value = param.from_norm(clamp_rounding(_NORM, args[0])) if norm else _plain(param, clamp_rounding(param, args[0]))
    return SetParam(node, param.name, value, _ramp(param, args), when)


def macro_value(name: str, macros: Iterable[Macro], args: Args, when: When, find: FindParam) -> SetParam:
    """Sets a macro to the position of a value of its first target; the ramp in seconds follows."""
    macro = next(one for one in macros if one.name == name)
    place = macro.place(find, number(args, 0, "value", -_ANY, _ANY))
    return SetParam(MACRO, name, place, _ramp(_NORM, args), when)


def _ramp(param: Param, args: Args) -> float:
    if len(args) > 1 and param.kind != "float":
        raise RequestError(f"{param.name} takes {param.allowed} and nothing more; only a float can be ramped")
    check_count(args, 2, f"{param.allowed}, then at most the seconds of a ramp")
    return float(number(args, 1, "the ramp in seconds", 0.0, MAX_RAMP, 0.0))


def _plain(param: Param, value: object) -> Value:
    """Keeps a value as it is, for `Param.check`, which refuses None and blobs."""
    return value if isinstance(value, int | float | str) else param.check(value)
