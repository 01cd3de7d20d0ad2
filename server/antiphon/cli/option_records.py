"""Commands whose options are the fields of records: `by_records`."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from msgspec import NODEFAULT

from antiphon.kernel.runtime.arguments import Argument, argument, arguments, declared_argument

Json = Annotated[bool, argument("One JSON object instead of words.", flags="--json")]
"""Annotation of the option `--json` of a command."""
T = TypeVar("T")
_PLAIN = inspect.Parameter.KEYWORD_ONLY


def by_records(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator that gives a command its arguments from declarations (`antiphon.kernel.runtime.arguments`).

    They are the declarations of its parameters and of the records that it takes: a request of
    `antiphon.operations.requests`, `ServeSettings`, or a dataclass of typer's options. Annotated[RECORD, (NAME, …)]
    takes only the named ones. Values outside their ranges are refused. A command without declarations stays unchanged.
    """
    hints = get_type_hints(function, include_extras=True)
    records: dict[str, Callable[[dict[str, Any]], Any]] = {}
    parameters: list[inspect.Parameter] = []
    ranged: list[Argument] = []
    declared: dict[str, Argument] = {}
    for parameter in inspect.signature(function).parameters.values():
        kind, only = hints[parameter.name], ()
        default = NODEFAULT if parameter.default is parameter.empty else parameter.default
        if (one := declared_argument(parameter.name, kind, default)) is not None:
            ranged.append(one)
            parameters.append(parameter.replace(annotation=_declared(one, one.kind), kind=_PLAIN))
            continue
        if isinstance(names := getattr(kind, "__metadata__", (None,))[0], tuple):
            kind, only = kind.__origin__, names
        own = _record_parameters(kind)
        if own or hasattr(kind, "__struct_fields__"):
            parameters += sorted((one for one in own if one.name in only), key=lambda one: only.index(one.name)) or own
            records[parameter.name] = functools.partial(request, kind, only)
            declared |= {one.name: one for one in arguments(kind)}
        elif hasattr(kind, "__dataclass_fields__"):
            flat = inspect.signature(kind, eval_str=True).parameters.values()
            parameters += [field.replace(kind=_PLAIN) for field in flat]
            records[parameter.name] = functools.partial(_dataclass, kind)
        else:
            parameters.append(parameter.replace(annotation=kind, kind=_PLAIN))

    @functools.wraps(function)
    def command(**given: Any) -> None:
        for one in ranged:
            one.check(given.get(one.name, one.default))
        made = {name: make(given) for name, make in records.items()}
        function(**made, **given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.declared = {**getattr(function, "declared", {}), **declared, **{one.name: one for one in ranged}}  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _dataclass(kind: Any, given: dict[str, Any]) -> Any:
    return kind(**{field.name: given.pop(field.name) for field in fields(kind) if field.name in given})


def request(kind: Any, only: tuple[str, ...], given: dict[str, Any]) -> Any:
    """Makes a request from given values, and removes them from `given`; a list that was not given is empty.

    `only`: names of values to take, for a command whose other records have the same names; () for all.
    """
    values = {}
    repeated = {one.name for one in arguments(kind) if one.repeated}
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "__struct_fields__"):
            values[name] = request(hint, only, given)
        elif name in given and (not only or name in only):
            value = given.pop(name)
            values[name] = tuple(value or ()) if name in repeated else value
    return kind(**values)


def read(kind: type[T], words: Sequence[str]) -> T | None:
    """Reads the record of a command line, as the command-line library does for `by_records`.

    Returns None for a line that is not well-formed, or has an option not spelled in full: the library then reports the
    error. Also None if the environment has a value.
    """
    own = list(_every(kind))
    if any(os.environ.get(one.said("envvar") or "") for one in own):
        return None
    options = {flag: (one, state) for one in own for flag, state in _spelled(one)}
    places = [one for one in own if one.default is NODEFAULT or one.said("placed")]
    given: dict[str, Any] = {one.name: [] if one.repeated else one.default for one in own}
    placed: list[str] = []
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-") or word == "-":
            placed.append(word)
            continue
        one, state = options.get(flag, (None, None))
        if one is None or (state is not None and equals):
            return None
        if state is None:
            value = value if equals else next(rest, "--")
            # what reads a value of a kind: a number where it is nothing else, as `_record_parameters` has it
            kinds = (one.kind, *get_args(one.kind))
            read_as = one.element if one.repeated else str if str in kinds else int if int in kinds else float
            try:
                given[one.name] = [*given[one.name], read_as(value)] if one.repeated else read_as(value)
            except ValueError:
                return None
        else:
            given[one.name] = state
        if value.startswith("--"):
            return None
    several = len(placed) - len(places) + 1  # that the one place takes which may be given again
    if several < 1 or (several > 1 and not any(one.repeated for one in places)):
        return None
    if any(one.repeated and one.element is not str for one in places):
        return None
    for one in places:
        given[one.name] = [placed.pop(0) for _ in range(several)] if one.repeated else placed.pop(0)
    asked: T = request(kind, (), given)
    return asked


def _every(kind: Any) -> Iterator[Argument]:
    """Yields the arguments of a record, and of the records in it."""
    yield from arguments(kind)
    for hint in get_type_hints(kind).values():
        if hasattr(hint, "__struct_fields__"):
            yield from _every(hint)


def _spelled(one: Argument) -> Iterator[tuple[str, bool | None]]:
    """Yields each spelling of an option with the switch state that it sets; None for an option with a value."""
    switch = one.kind is bool or bool in get_args(one.kind)
    for flag in one.flags:
        on, slash, off = flag.partition("/")
        yield on, True if switch else None
        if slash:
            yield off, False


def _record_parameters(kind: Any) -> list[inspect.Parameter]:
    """Returns the options of a record with declared arguments; empty for another type."""
    if not (hasattr(kind, "__struct_fields__") or hasattr(kind, "__dataclass_fields__")):
        return []
    own, found = {one.name: one for one in arguments(kind)}, []
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "__struct_fields__"):
            found += _record_parameters(hint)
        elif (one := own.get(name)) is not None:
            taken = one.default is NODEFAULT
            texts = one.repeated or str in get_args(one.kind)  # what may be a number elsewhere is a text here
            annotation = (list[one.element] if one.repeated else str) if texts else one.kind  # type: ignore[name-defined]
            annotation = annotation | None if texts and not taken else annotation
            default = inspect.Parameter.empty if taken else None if one.repeated else one.default
            found.append(inspect.Parameter(name, _PLAIN, default=default, annotation=_declared(one, annotation)))
    return found


def _declared(one: Argument, annotation: Any) -> Any:
    """Returns typer's annotation of an argument."""
    import typer

    from antiphon.cli import completion

    more = {
        "help": f"{one.meta.description}{one.range_shown}",
        "metavar": one.said("shown"),
        "envvar": one.said("envvar"),
        "autocompletion": completion.of(one.said("names"), one.said("choices")),
    }
    if one.default is NODEFAULT or one.said("placed"):
        return Annotated[annotation, typer.Argument(**more)]
    return Annotated[annotation, typer.Option(*one.flags, **more)]
