"""Data of a file or a request as a typed struct; data that does not fit is refused in one sentence.

The allowed values of a field are the description of its `Meta`, which follows the word "takes".
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.suggestion import instead

T = TypeVar("T")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*?)`(?: - at `|$)", re.DOTALL)
_PLACE = re.compile(r" - at (?:`key` in )?`\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_WORDS = {"str": "text", "bool": "true or false", "int": "a whole number", "float": "a number", "object": "a table",
          "array": "a list"}  # fmt: skip
_KINDS = {bool: "true or false", str: "text", list: "a list", dict: "a table", type(None): "null"}


HALF = "holds half of a character (a lone surrogate), which is no text"


class HalfCharacter(ValueError):
    """A text that cannot be written as UTF-8, with `HALF` as its sentence."""


class Misfit(ValueError):
    """Data that does not fit a type. `what`: text after the key in a sentence, such as "takes 0 to 60 s, not 70"."""

    def __init__(self, path: tuple[str, ...], what: str) -> None:
        super().__init__(f"{'.'.join(path)} {what}" if path else what)
        self.path, self.what = path, what


def parse_json(data: bytes | str) -> Any:
    """Parses JSON from outside.

    Raises HalfCharacter: a text in it holds half of a character. Raises ValueError: it is not JSON, is nested too
    deep, or is not UTF-8.
    """
    try:
        found = json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    check_text(found)
    return found


def check_text(value: Any) -> None:
    """Raises HalfCharacter: a text in a value, or in what it holds, cannot be written as UTF-8."""
    held = [value]
    while held:
        one = held.pop()
        if isinstance(one, str):
            try:
                one.encode()
            except UnicodeEncodeError:
                raise HalfCharacter(HALF) from None
        elif isinstance(one, dict):
            held += one
            held += one.values()
        elif isinstance(one, list | tuple):
            held += one


def convert(data: Any, kind: type[T], whole: str, *, strict: bool = True) -> T:
    """Converts data of TOML or JSON to a type.

    `whole`: the kind of the data, such as "a patch". `strict`: no text is read as a number. Raises `Misfit`: the data
    does not fit.
    """
    try:
        return msgspec.convert(data, kind, strict=strict)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _misfit_of_message(data, kind, whole, str(error)) from None
    except UnicodeError:  # msgspec reads texts as UTF-8
        raise Misfit(next(_paths_to_half_characters(data), ()), HALF) from None


def value_text(value: object) -> str:
    """A value as an error message shows it: a number or the beginning of a text; the kind of any other."""
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return "a number of more than 64 bits"
    scalar = isinstance(value, str | int | float) and not isinstance(value, bool)
    return short_repr(value, 60) if scalar else kind_of(value)


def kind_of(value: object) -> str:
    """The kind of a value of TOML or JSON."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "a number" if number else _KINDS.get(type(value), "a date or time")


def _misfit_of_message(data: Any, kind: Any, whole: str, message: str) -> Misfit:
    place = _PLACE.search(message)
    path: list[str] = []
    info, takes = _bare(inspect.type_info(kind))
    # msgspec names no key of a dictionary, and no place of a number that no float holds
    steps = _STEP.findall(place[1].partition("[...]")[0]) if place else next(_paths_to_large_integers(data), ())
    for name, index in steps:
        if name:
            path.append(name)
            inner = next((each.type for each in getattr(info, "fields", ()) if each.encode_name == name), None)
        else:
            items = info.item_types if isinstance(info, inspect.TupleType) else None
            inner = items[int(index)] if items else getattr(info, "item_type", None)
        if inner is None:
            break
        data = data[name or int(index)]
        info, own = _bare(inner)
        takes = own or ("" if name else takes)
    fields = {each.encode_name: each.type for each in getattr(info, "fields", ())}
    field = _FIELD.match(message)
    if field is None:
        apart = "[...]" in message or (isinstance(data, list) and "of length" in message)
        wrong = "" if apart else f", not {value_text(data)}"
        if not path:
            return Misfit((), f"{whole} is {takes or _plain(message)} with {', '.join(fields)}{wrong}")
        return Misfit(tuple(path), f"takes {takes or _plain(message)}{wrong}")
    of = path[-1] if path else whole
    if field[1] == "contains unknown":
        return Misfit((*path, field[2]), f"is not a key of {of}{instead(field[2], fields, 'the keys are')}")
    own = _bare(fields[field[2]])[1] if field[2] in fields else ""
    return Misfit(tuple(path), f"{of} lacks {field[2]}{', which takes ' if own else ''}{own}")


def _paths_to_half_characters(data: Any) -> Iterator[tuple[str, ...]]:
    """Yields the path to each text that is none."""
    held: list[tuple[tuple[str, ...], Any]] = [((), data)]
    while held:
        path, one = held.pop()
        if isinstance(one, str):
            try:
                one.encode()
            except UnicodeEncodeError:
                yield path
        elif isinstance(one, dict):
            held += [(path, key) for key in one]
            held += [((*path, str(key)), inner) for key, inner in one.items()]
        elif isinstance(one, list | tuple):
            held += [((*path, str(at)), inner) for at, inner in enumerate(one)]


def _paths_to_large_integers(data: Any) -> Iterator[tuple[tuple[str, str], ...]]:
    """Yields the path to each integer beyond 64 bits."""
    if isinstance(data, int) and abs(data) >= 1 << 63:
        yield ()
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, inner in items:
        for rest in _paths_to_large_integers(inner):
            yield ((str(key), "") if isinstance(data, dict) else ("", str(key)), *rest)


def _bare(info: Any) -> tuple[Any, str]:
    """Returns a type without constraints, for an optional one the type itself, and its allowed values, "" for any."""
    said, declared = "", None
    while isinstance(info, inspect.Metadata):
        declared = info.extra or declared
        # the sentence of a declared argument says what it is for
        own = "" if declared else (info.extra_json_schema or {}).get("description", "")
        said, info = said or own, info.type
    if isinstance(info, inspect.UnionType):
        info, inner = _bare(next(each for each in info.types if not isinstance(each, inspect.NoneType)))
        return info, said or inner
    bounded = isinstance(info, inspect.IntType | inspect.FloatType) and info.ge is not None
    if bounded and (info.le is not None or declared):
        whole = isinstance(info, inspect.IntType) and declared is None
        most = "or more" if info.le is None else f"to {info.le:g}"
        said = said or (f"whole numbers {info.ge} to {info.le}" if whole else f"{info.ge:g} {most}")
        said += f" {declared['unit']}".rstrip() if declared else ""
    if isinstance(info, inspect.LiteralType):
        said = said or " or ".join(map(str, info.values))
    return info, said[:1].lower() + said[1:].removesuffix(".")


def _plain(message: str) -> str:
    """The type that msgspec expected, for a field without a description."""
    expected = re.match(r"Expected (.*?)(?:, got.*| - at.*|$)", message, re.DOTALL)
    words = expected[1].replace("`", "").removesuffix(" | null") if expected else message.partition(" - at")[0]
    return _WORDS.get(words, words)
