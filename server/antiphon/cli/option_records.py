"""Commands whose options are the fields of dataclasses or of a request: `by_records`."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, get_type_hints

_PLAIN = inspect.Parameter.KEYWORD_ONLY


def by_records(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator by which a command takes records of options, whose fields become its options.

    A record is a dataclass of typer's options, or a request of `antiphon.operations.requests`.
    """
    hints = get_type_hints(function, include_extras=True)
    records: dict[str, Callable[[dict[str, Any]], Any]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        kind = hints[parameter.name]
        if hasattr(kind, "__struct_fields__"):
            parameters += _of_request(kind)
            records[parameter.name] = functools.partial(_request, kind)
        elif hasattr(kind, "__dataclass_fields__"):
            flat = inspect.signature(kind, eval_str=True).parameters.values()
            parameters += [field.replace(kind=_PLAIN) for field in flat]
            records[parameter.name] = functools.partial(_dataclass, kind)
        else:
            parameters.append(parameter.replace(annotation=kind, kind=_PLAIN))

    @functools.wraps(function)
    def command(**given: Any) -> None:
        made = {name: make(given) for name, make in records.items()}
        function(**made, **given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _dataclass(kind: Any, given: dict[str, Any]) -> Any:
    return kind(**{field.name: given.pop(field.name) for field in fields(kind) if field.name in given})


def _request(kind: Any, given: dict[str, Any]) -> Any:
    """The request of what was given, which is taken out of it; a list that was not given is empty."""
    values = {}
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "__struct_fields__"):
            values[name] = _request(hint, given)
        elif name in given:
            value = given.pop(name)
            values[name] = tuple(value or ()) if getattr(hint, "__origin__", None) is tuple else value
    return kind(**values)


def _of_request(kind: Any) -> Iterator[inspect.Parameter]:
    from msgspec import NODEFAULT

    from antiphon.operations.requests import arguments

    own = {one.name: one for one in arguments(kind)}
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "__struct_fields__"):
            yield from _of_request(hint)
        elif name in own:
            one = own[name]
            repeated = getattr(one.kind, "__origin__", None) is tuple
            taken = one.default is NODEFAULT
            annotation = (list[str] if taken else list[str] | None) if repeated else one.kind
            default = inspect.Parameter.empty if taken else None if repeated else one.default
            yield inspect.Parameter(name, _PLAIN, default=default, annotation=_declared(one, annotation))


def _declared(one: Any, annotation: Any) -> Any:
    """The annotation by which typer knows an argument."""
    from typing import Annotated

    import typer
    from msgspec import NODEFAULT

    from antiphon.cli import completion
    from antiphon.operations.requests import PLACE

    more = {
        "help": one.meta.description,
        "metavar": one.said("shown"),
        "autocompletion": getattr(completion, one.said("names")) if one.said("names") else None,
    }
    if one.default is NODEFAULT or one.said("flags") == PLACE:
        return Annotated[annotation, typer.Argument(**more)]
    return Annotated[annotation, typer.Option(*(one.said("flags") or f"--{one.option}").split(), **more)]
