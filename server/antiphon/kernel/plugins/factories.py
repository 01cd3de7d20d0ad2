"""Factories that hooks register: a callable, or "module:Name", which is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from antiphon.kernel.errors import PluginError
from antiphon.kernel.runtime.importing import import_object

Factory = Callable[[], Any]


def resolve(factory: str | Factory) -> Factory:
    """The factory as a callable; "module:Name" is imported when it is called."""
    if callable(factory):
        return factory
    if not isinstance(factory, str) or not all(part for part in factory.partition(":")):
        raise PluginError(f'the factory is {factory!r}; a callable or "module:Name" is allowed')
    return partial(_call_named, factory)


def _call_named(where: str) -> Any:
    return import_object(where)()
