"""The registrations of one kind, without loading all plugins."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.plugins.dispatcher import HookDispatcher
from antiphon.plugins.factories import Factory, resolve
from antiphon.plugins.finding import sources
from antiphon.plugins.hook_lists import hook_lists


@dataclass(frozen=True, slots=True)
class Registration:
    """A factory that a plugin registered under a name. doc: one line for people."""

    factory: Factory
    doc: str = ""


def factories(kind: str) -> dict[str, Factory]:
    """By name, the factories of `registrations`."""
    return {name: registration.factory for name, registration in registrations(kind).items()}


def registrations(kind: str) -> dict[str, Registration]:
    """By name, what the hook `antiphon_KIND` registers; of two with one name the first, as in the loader.

    Only plugins that implement the hook are imported. One that fails is left out: the loader, `antiphon plugins` and
    `antiphon doctor` report it.

    Args:
        kind: One of `loader.KINDS`.
    """
    result: dict[str, Registration] = {}
    hook, dispatcher = f"antiphon_{kind}", HookDispatcher()
    wanted = hook_lists().implementing(hook)

    def register(name: str, factory: str | Factory, doc: str = "") -> None:
        result.setdefault(name, Registration(resolve(factory), doc))

    for source in sources():
        if source.name in wanted and not source.problem:
            try:
                dispatcher.add(source.name, source.importing())
            except (Exception, SystemExit):
                continue
            dispatcher.call(hook, only=source.name, register=register)
    return result
