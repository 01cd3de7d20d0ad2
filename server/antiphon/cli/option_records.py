"""Commands whose options stand in dataclasses: `by_records`."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints


def by_records(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator by which a command takes dataclasses of options: their fields become its options."""
    hints = get_type_hints(function, include_extras=True)
    records = {name: kind for name, kind in hints.items() if hasattr(kind, "__dataclass_fields__")}
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        kind = records.get(parameter.name)
        if kind is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=parameter.KEYWORD_ONLY))
        else:
            flat = inspect.signature(kind, eval_str=True).parameters.values()
            parameters += [field.replace(kind=field.KEYWORD_ONLY) for field in flat]

    @functools.wraps(function)
    def command(**given: Any) -> None:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind) if field.name in given})
            for name, kind in records.items()
        }
        function(**made, **given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
