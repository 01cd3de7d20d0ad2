"""Declarations of arguments: the type of a record's field, with its sentence, range and unit.

Command line, HTTP and Python take their options from them. A field with an `argument` is one; one without a default is
positional on the command line.
"""

import os
from collections.abc import Iterator
from dataclasses import fields as fields_of_dataclass
from typing import Any, NamedTuple, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields as fields_of_struct

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.shortening import short_repr

PLACE = "OUT"
"""Flags of an argument that has a default and is nevertheless given by its place."""


def argument(
    sentence: str,
    shown: str | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    flags: str = "",
    names: str = "",
    beside: tuple[str, str] | None = None,
    envvar: str | None = None,
) -> Meta:
    """Declares an argument.

    `sentence`: its help. `shown`: what stands for its value there. `low`, `high`, `unit`: its range; its default is
    always allowed. `flags`: its options, where they are not its name; `PLACE` where it is given without one. `names`:
    what completes it, of `antiphon.cli.completion`. `beside`: of a further file, the field that asks for it by HTTP (""
    for none) and the name of that result. `envvar`: the environment variable that gives it where the command line does
    not.
    """
    extra = {"shown": shown, "unit": unit, "flags": flags, "names": names, "beside": beside, "envvar": envvar}
    return Meta(ge=low, le=high, description=sentence, extra=extra)


class Argument(NamedTuple):
    """A declared argument of an operation."""

    name: str
    kind: Any
    default: Any  # `NODEFAULT` where it has to be given
    meta: Meta

    @property
    def option(self) -> str:
        """Its name on the command line: midi-out."""
        return self.name.replace("_", "-")

    def said(self, key: str) -> Any:
        """The value that `argument` was given by that name."""
        return (self.meta.extra or {})[key]


def arguments(kind: Any) -> Iterator[Argument]:
    """Arguments of a record, in order, without those of a part of its own, as `FinishRequest` is one.

    `kind`: a msgspec Struct, or a dataclass, all of whose arguments have defaults.
    """
    hints = get_type_hints(kind, include_extras=True)
    declared: Any = fields_of_struct(kind) if issubclass(kind, Struct) else fields_of_dataclass(kind)
    for field in declared:
        hint = hints[field.name]
        if hasattr(hint, "__metadata__"):
            yield Argument(field.name, hint.__origin__, field.default, hint.__metadata__[0])


def check(asked: object) -> None:
    """Raises UsageError for a number outside its range."""
    for one in arguments(type(asked)):
        value, low, high = getattr(asked, one.name), one.meta.ge, one.meta.le
        if value == one.default or low is None or high is None:
            continue
        if not isinstance(value, int | float) or not low <= value <= high:
            unit, wrong = one.said("unit"), f"{value:g}" if isinstance(value, float) else short_repr(value)
            raise UsageError(f"--{one.option} takes {low:g} to {high:g}{unit and f' {unit}'}, not {wrong}")


def option_words(name: str, value: Any) -> list[str]:
    """Words of the command line that give an argument a value; none for an empty text, or a switch that is off."""
    option = f"--{name.replace('_', '-')}"
    if value is None or value is False or value == "":
        return []
    if value is True:
        return [option]
    if isinstance(value, list | tuple):
        return [word for each in value for word in (option, str(each))]
    return [option, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
