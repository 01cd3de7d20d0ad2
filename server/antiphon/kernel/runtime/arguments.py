"""Declarations of arguments: the type of a record's field, with its sentence, range and unit.

Command line, HTTP and Python take their options from them. A field with an `argument` is an argument; without a default
it is positional on the command line.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import fields as fields_of_dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields as fields_of_struct

from antiphon.kernel.errors import Refusal
from antiphon.kernel.runtime.shortening import check_number, short_repr
from antiphon.kernel.runtime.terms import spell


def argument(
    sentence: str,
    shown: str | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    flags: str = "",
    placed: bool = False,
    names: str | Callable[[], Iterable[str]] = "",
    beside: tuple[str, str] | None = None,
    envvar: str | None = None,
    needs: tuple[str, str] | None = None,
    choices: tuple[str | int, ...] = (),
) -> Meta:
    """Declares an argument.

    `sentence`: its help. `shown`: placeholder for its value in the help. `low`, `high`, `unit`: its range; its default
    is always allowed. `flags`: its options, where they are not its name. `placed`: it is positional, although it has a
    default. `names`: its completion, of `antiphon.cli.completion`, or a function that returns the names. `beside`: for
    a further file, the field that requests it by HTTP ("" for none) and the name of that result. `envvar`: the
    environment variable that gives it where the command line does not. `needs`: what it requires of a processor's
    `FileUse`, and the message where that lacks it. `choices`: its values; its default is always allowed.
    """
    extra = {"shown": shown, "unit": unit, "flags": flags, "placed": placed, "names": names, "beside": beside}
    more = {"envvar": envvar, "needs": needs, "choices": choices}
    return Meta(ge=low, le=high, description=sentence, extra=extra | more)


class Argument(NamedTuple):
    """A declared argument of an operation."""

    name: str
    kind: Any
    default: Any  # `NODEFAULT` where it has to be given
    meta: Meta

    @property
    def option(self) -> str:
        """Its name on the command line, such as midi-out."""
        return self.name.replace("_", "-")

    @property
    def flags(self) -> list[str]:
        """Its options, such as -p and --param."""
        return str(self.extra("flags") or f"--{self.option}").split()

    @property
    def spelling(self) -> str:
        """Its name in the terms of the one who asked."""
        return spell(self.name, flag=max(self.flags, key=len))

    def extra(self, key: str) -> Any:
        """Returns the value that was given to `argument` as `key`; None if its annotation is no `argument`."""
        return (self.meta.extra or {}).get(key)

    @property
    def repeated(self) -> bool:
        """Whether it may be given several times."""
        return any(get_origin(kind) in (tuple, list) for kind in (self.kind, *get_args(self.kind)))

    @property
    def in_tuple(self) -> bool:
        """Whether the values of a repeated argument are a tuple, not a list."""
        return any(get_origin(kind) is tuple for kind in (self.kind, *get_args(self.kind)))

    @property
    def element(self) -> type:
        """Type of one element of a repeated argument on a command line: a number, a path or text."""
        found = (get_args(kind) for kind in (self.kind, *get_args(self.kind)) if get_origin(kind) in (tuple, list))
        kinds = next(found, ())
        return kinds[0] if kinds and kinds[0] in (int, float, Path) else str

    @property
    def range(self) -> str:
        """Its range in words, such as 1 to 500 Hz; "" for none."""
        low, high = self.meta.ge, self.meta.le
        if low is None:
            return ""
        return f"{low:g} {'or more' if high is None else f'to {high:g}'} {self.extra('unit') or ''}".rstrip()

    @property
    def range_shown(self) -> str:
        """Range for the help of an argument whose sentence does not state it."""
        words = str(self.meta.description)
        return f" {self.range}." if self.range and not any(mark.isdigit() for mark in words) else ""

    @property
    def in_words(self) -> Meta:
        """Its range as a constraint on data, which an error message gives in words."""
        return Meta(ge=self.meta.ge, le=self.meta.le, description=self.range)

    def check(self, value: Any) -> None:
        """Raises Refusal for a number outside its range, or a value that is none of its choices."""
        low, high = self.meta.ge, self.meta.le
        if value == self.default:
            return
        if choices := self.extra("choices"):
            takes = ", ".join(map(str, choices))
            for one in value if self.repeated else (value,):
                if one not in choices:
                    raise Refusal(self.name, f"{self.spelling} takes {takes}, not {short_repr(one)}")
        if low is None:
            return
        most = math.inf if high is None else high
        check_number(value, self.spelling, low, most, takes=self.range, error=partial(Refusal, self.name))


@cache
def arguments(kind: Any) -> tuple[Argument, ...]:
    """Arguments of a record, in order, without those of a nested record such as `FinishRequest`.

    `kind`: a msgspec Struct, or a dataclass, all of whose arguments have defaults.
    """
    hints = get_type_hints(kind, include_extras=True)
    fields: Any = fields_of_struct(kind) if issubclass(kind, Struct) else fields_of_dataclass(kind)
    declared = (declared_argument(field.name, hints[field.name], field.default) for field in fields)
    return tuple(one for one in declared if one is not None)


def declared_argument(name: str, hint: Any, default: Any) -> Argument | None:
    """The argument that an annotation declares: Annotated[TYPE, argument(…)], or that | None; None for another."""
    # msgspec refuses the limits of a number that may be missing, unless they stand at the number
    inner = next((one for one in get_args(hint) if isinstance(_first_annotation_metadata(one), Meta)), None)
    if inner is not None:
        return Argument(name, inner.__origin__ | None, default, _first_annotation_metadata(inner))
    meta = _first_annotation_metadata(hint)
    return Argument(name, hint.__origin__, default, meta) if isinstance(meta, Meta) else None


def _first_annotation_metadata(hint: Any) -> Any:
    return getattr(hint, "__metadata__", (None,))[0]


def check(asked: object) -> None:
    """Raises Refusal for a value outside its range or choices."""
    kind: Any = type(asked)
    for one in arguments(kind):
        one.check(getattr(asked, one.name))
